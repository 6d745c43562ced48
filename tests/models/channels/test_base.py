import torch

from xrec_lightning.models.channels.base import last_states, normalize


def test_normalize_keeps_zero_vectors() -> None:
    vectors = normalize(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    torch.testing.assert_close(vectors, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


def test_last_states_are_zero_without_history() -> None:
    hidden = torch.arange(6.0).reshape(1, 3, 2)
    states = last_states(hidden, torch.tensor([[2, 0, -1]]))
    assert states.tolist() == [[[4.0, 5.0], [0.0, 1.0], [0.0, 0.0]]]
