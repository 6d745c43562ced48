import pytest
import torch

from xrec_lightning.models.heads.generative import GenerativeConfig

YES, NO = 1, 3
LOGITS = torch.tensor([[0.0, 2.0, 5.0, 1.0], [0.0, -1.0, 0.0, 0.5]])


def test_the_logit_of_a_choice_is_that_of_yes_against_no() -> None:
    logits = GenerativeConfig().build(YES, NO)(LOGITS)
    assert logits.tolist() == [1.0, -1.5]
    share_of_yes = LOGITS[:, [NO, YES]].softmax(dim=1)[:, 1]
    torch.testing.assert_close(torch.sigmoid(logits), share_of_yes)


def test_the_loss_is_the_cross_entropy_of_the_right_answer() -> None:
    labels = torch.tensor([1.0, 0.0])
    two = GenerativeConfig().build(YES, NO).loss(LOGITS, labels)
    right = LOGITS[:, [NO, YES]].log_softmax(dim=1)[[0, 1], [1, 0]]
    torch.testing.assert_close(two, -right.mean())
    whole = GenerativeConfig(against="vocabulary").build(YES, NO).loss(LOGITS, labels)
    right = LOGITS.log_softmax(dim=1)[[0, 1], [YES, NO]]
    torch.testing.assert_close(whole, -right.mean())
    assert whole > two


def test_equal_answers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"head\.yes and head\.no are one token, ' Yes'"):
        GenerativeConfig(yes=" Yes", no=" Yes").build(YES, YES)
