import numpy as np
import pytest
import torch

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.bpr_mf import BPRMFConfig
from xrec_lightning.models.baselines.lightgcn import LightGCNConfig

USER_IDS = torch.tensor([1, 1, 2, 2, 2])
ITEM_IDS = torch.tensor([1, 7, 1, 2, 9])


def smoothing(num_layers: int) -> torch.Tensor:
    """Return the dense map of 4 rows of users and 13 of items, by the formulas of the paper."""
    taken = np.zeros((4, 13))
    taken[USER_IDS, ITEM_IDS] = 1.0
    degrees = np.outer(taken.sum(axis=1), taken.sum(axis=0))
    weights = np.divide(taken, np.sqrt(degrees), out=np.zeros_like(taken), where=degrees > 0)
    adjacency = np.block([[np.zeros((4, 4)), weights], [weights.T, np.zeros((13, 13))]])
    powers = [np.linalg.matrix_power(adjacency, k) for k in range(num_layers + 1)]
    return torch.from_numpy(np.mean(powers, axis=0)).float()


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_vectors_and_gradients_equal_a_dense_computation(num_layers: int, catalog: Catalog) -> None:
    model = LightGCNConfig(num_layers=num_layers).build(catalog)
    propagate = model.propagation(USER_IDS, ITEM_IDS)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(17, 5, generator=generator, requires_grad=True)
    slopes = torch.randn(17, 5, generator=generator)
    found = propagate(vectors)
    expected = smoothing(num_layers) @ vectors
    torch.testing.assert_close(found, expected)
    for outputs in (found, expected):
        torch.testing.assert_close(
            torch.autograd.grad((outputs * slopes).sum(), vectors)[0],
            smoothing(num_layers).T @ slopes,
        )


def test_without_layers_it_is_bpr_mf(catalog: Catalog, batch: SequenceBatch) -> None:
    scores = []
    for config in (BPRMFConfig(epochs=3), LightGCNConfig(epochs=3, num_layers=0)):
        model = config.build(catalog)
        model.observe(batch)
        model.finish()
        scores.append(model.scores(batch))
    assert torch.equal(*scores)


def test_layers_are_not_negative() -> None:
    with pytest.raises(ValueError, match="num_layers is -1"):
        LightGCNConfig(num_layers=-1)
