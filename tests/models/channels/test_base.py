import torch

from xrec_lightning.models.channels.base import normalize


def test_normalize_keeps_zero_vectors() -> None:
    vectors = normalize(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    torch.testing.assert_close(vectors, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
