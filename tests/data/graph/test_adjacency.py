import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.graph.adjacency import read_adjacency, read_node_space
from xrec_lightning.data.prepared import Prepared

# The nodes of the small graph, in their order.
PAD, U, V, A, B, C, POTS, TEA, GIFT, LEAF, OURS, HOME, KYOTO = range(13)

WEIGHTS = {
    "user_item": [(U, A, 6.5), (U, B, 0.5), (V, A, 3.0)],
    "item_item": [(A, B, 4.0), (A, C, 1.0)],
    "item_domain": [(A, TEA, 1.0), (B, POTS, 1.0), (B, TEA, 1.0), (C, POTS, 1.0)],
    "item_tag": [(A, LEAF, 1.0), (B, GIFT, 1.0)],
    "item_brand": [(C, OURS, 1.0)],
    "user_profile": [(U, HOME, 1.0)],
    "entity_entity": [(KYOTO, KYOTO, 1.0), (A, KYOTO, 2.0), (LEAF, KYOTO, 1.0)],
}


def dense(*kinds: str) -> NDArray[np.float64]:
    matrix = np.zeros((13, 13))
    for kind in kinds:
        for left, right, weight in WEIGHTS[kind]:
            matrix[left, right] += weight
            if left != right:
                matrix[right, left] += weight
    return matrix


def test_nodes_follow_each_other_by_kind(small_graph: Prepared) -> None:
    space = read_node_space(small_graph)
    assert space.num_nodes == 13
    assert space.offsets == {
        "user": PAD,
        "item": V,
        "domain": C,
        "tag": TEA,
        "brand": LEAF,
        "profile": OURS,
        "entity": HOME,
    }
    assert space.entity_nodes.tolist() == [PAD, KYOTO, A, LEAF]


@pytest.mark.parametrize("kinds", [[kind] for kind in WEIGHTS] + [list(WEIGHTS)])
def test_matrices_equal_dense_ones(small_graph: Prepared, kinds: list[str]) -> None:
    adjacency = read_adjacency(small_graph, kinds)
    assert adjacency.matrix.dtype == np.float32
    np.testing.assert_array_equal(adjacency.matrix.toarray(), dense(*kinds))
    plain = read_adjacency(small_graph, kinds, is_weighted=False)
    np.testing.assert_array_equal(plain.matrix.toarray(), dense(*kinds) != 0)


def test_normalization_divides_by_the_roots_of_both_degrees(small_graph: Prepared) -> None:
    expected = dense(*WEIGHTS)
    degrees = expected.sum(axis=1)
    for row in range(13):
        for column in range(13):
            if expected[row, column]:
                expected[row, column] /= np.sqrt(degrees[row] * degrees[column])
    adjacency = read_adjacency(small_graph, list(WEIGHTS), is_normalized=True)
    np.testing.assert_allclose(adjacency.matrix.toarray(), expected, rtol=1e-6)


def test_events_are_chosen(small_graph: Prepared) -> None:
    matrix = read_adjacency(small_graph, ["user_item", "item_brand"], events=["view"]).matrix
    assert matrix[[U], [A]] == matrix[[U], [B]] == 0.5
    assert matrix[[C], [OURS]] == 1
    assert matrix.nnz == 6


def test_tensors_multiply_as_the_matrix_does(small_graph: Prepared) -> None:
    adjacency = read_adjacency(small_graph, list(WEIGHTS), is_normalized=True)
    tensor = adjacency.to_tensor()
    assert tensor.layout == torch.sparse_csr
    states = torch.randn(13, 4, generator=torch.Generator().manual_seed(0))
    expected = adjacency.matrix.toarray() @ states.numpy()
    np.testing.assert_allclose((tensor @ states).numpy(), expected, atol=1e-6)


def test_unknown_kinds_are_refused(small_graph: Prepared) -> None:
    with pytest.raises(InputError, match="no edges `item_tags`; did you mean `item_tag`"):
        read_adjacency(small_graph, ["item_tags"])
