import pytest
import torch

from xrec_lightning.models.heads.features import features, feed_forward, num_features


def test_features_of_one_vector_and_of_two_are_worked_by_hand() -> None:
    left, right = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 7.0]])
    root = 2**0.5
    torch.testing.assert_close(features(left), root * torch.tensor([[0.6, 0.8]]))
    expected = root * torch.tensor([[0.6, 0.8, 0.0, 1.0, 0.6, 0.2, 0.0, 0.8]])
    torch.testing.assert_close(features(left, right), expected)
    assert features(left).size(1) == num_features(2, texts=1)
    assert features(left, right).size(1) == num_features(2, texts=2)


@pytest.mark.parametrize("hidden_dim", [0, 5])
def test_an_untrained_classifier_says_nothing(hidden_dim: int) -> None:
    layers = feed_forward(3, hidden_dim, 2, dropout=0.5)
    assert torch.equal(layers(torch.randn(4, 3)), torch.zeros(4, 2))
    assert len(layers) == (3 if hidden_dim else 0) + 1
