import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_lightning.knowledge.propagation import normalized_adjacency, propagate

NODES = st.integers(0, 5)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(NODES, NODES), max_size=12), st.integers(0, 3), st.sampled_from([1.0, 0.5])
)
def test_propagation_is_a_mean_of_powers(
    edges: list[tuple[int, int]], num_layers: int, self_weight: float
) -> None:
    dense = np.zeros((6, 6))
    for left, right in edges:
        if left != right:
            dense[left, right] = dense[right, left] = 1
    degrees = np.maximum(dense.sum(axis=1), 1)
    dense /= np.sqrt(np.outer(degrees, degrees))
    adjacency = normalized_adjacency(torch.tensor(edges).reshape(-1, 2).T.long(), 6)
    np.testing.assert_allclose(adjacency.toarray(), dense, rtol=1e-6)
    vectors = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    steps = sum(np.linalg.matrix_power(dense, step) @ vectors for step in range(1, num_layers + 1))
    expected = (self_weight * vectors + steps) / (self_weight + num_layers)
    before = vectors.copy()
    result = propagate(adjacency, torch.from_numpy(vectors), num_layers, self_weight)
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-5)
    assert np.array_equal(vectors, before), "the given vectors stay as they are"
