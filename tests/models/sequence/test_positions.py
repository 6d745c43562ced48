import pytest
import torch

from xrec_lightning.models.sequence.positions import PositionEmbedding, rotate


def test_a_position_has_the_row_of_its_number() -> None:
    embedding = PositionEmbedding(4, 2)
    assert embedding.weight.abs().sum() == 0
    torch.nn.init.normal_(embedding.weight)
    assert torch.equal(embedding(torch.zeros(3, 5, 2)), embedding.weight)
    assert torch.equal(embedding(torch.zeros(3, 2, 2)), embedding.weight[:2])


def test_a_history_beyond_the_table_names_the_remedy() -> None:
    with pytest.raises(ValueError, match="a history of 6 items is longer than the encoder's 4"):
        PositionEmbedding(4, 2)(torch.zeros(1, 6, 2))


def test_rotation_is_a_product_of_complex_numbers() -> None:
    vectors = torch.randn(2, 7, 6, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    rotated = rotate(vectors)
    for place in range(7):
        for pair in range(3):
            turn = torch.polar(
                torch.ones((), dtype=torch.double),
                torch.tensor(place / 10_000 ** (2 * pair / 6), dtype=torch.double),
            )
            expected = torch.complex(vectors[:, place, pair], vectors[:, place, pair + 3]) * turn
            got = torch.complex(rotated[:, place, pair], rotated[:, place, pair + 3])
            torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)


def test_products_of_rotated_vectors_depend_on_distances_alone() -> None:
    query, key = torch.randn(2, 1, 8, generator=torch.Generator().manual_seed(0))
    products = rotate(query.expand(6, 8)) @ rotate(key.expand(6, 8)).T
    for distance in range(-5, 6):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[0].expand_as(diagonal))
    assert not torch.allclose(products[0, 0], products[0, 1])
