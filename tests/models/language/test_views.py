import math

import pytest
import torch

from xrec_lightning.batches import TokenBatch
from xrec_lightning.models.language.views import ViewsConfig, text_vectors, view_loss


def batch(segments: torch.Tensor | None, mask: list[list[int]], texts: int) -> TokenBatch:
    attention_mask = torch.tensor(mask).bool()
    nothing = torch.zeros(attention_mask.shape, dtype=torch.int64)
    ids = torch.arange(texts)
    return TokenBatch(nothing, attention_mask, nothing, ids, ids, segments)


def test_vectors_are_means_of_real_tokens() -> None:
    states = torch.tensor([[[1.0], [3.0], [9.0]], [[5.0], [9.0], [9.0]]])
    rows = batch(None, [[1, 1, 0], [1, 0, 0]], texts=2)
    assert text_vectors(states, rows).tolist() == [[2.0], [5.0]]
    segments = torch.tensor([[1, 1, -1], [0, 2, 2]])
    block = batch(segments, [[1, 1, 0], [1, 1, 1]], texts=3)
    assert text_vectors(states, block).tolist() == [[5.0], [2.0], [9.0]]


def test_loss_equals_the_one_worked_by_hand() -> None:
    left = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    loss = view_loss(left, left, torch.tensor([0, 1]), temperature=1.0)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1.0)))


def test_an_equal_text_is_no_wrong_answer() -> None:
    left = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert view_loss(left, left, torch.tensor([4, 4]), 0.1).item() == 0.0
    assert view_loss(left, left, torch.tensor([4, 5]), 0.1).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("key", ["weight", "temperature"])
def test_numbers_that_cannot_be_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match=rf"contrastive\.{key}: 0.0 is not above 0"):
        ViewsConfig(**{key: 0.0})
