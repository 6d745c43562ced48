import numpy as np
import pytest
import torch

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.bitgcf import BiTGCF, BiTGCFConfig, mix_domains

DOMAINS = ("books", "films", "games")
USERS, ITEMS, SHARE = 3, 12, 0.7
TAKEN = [(1, 1, 1), (1, 2, 1), (1, 7, 2), (2, 2, 1), (2, 9, 3), (2, 8, 2), (2, 7, 2)]
"""User, item and domain; user 3 did nothing and user 1 nothing in the last domain."""


@pytest.fixture
def three(catalog: Catalog) -> Catalog:
    games = torch.tensor([9, 10])
    return catalog._replace(domains=DOMAINS, candidates=(*catalog.candidates, games))


def rows(user: int, domain: int) -> int:
    return user + (domain - 1) * USERS


def by_hand(table: np.ndarray, num_layers: int) -> dict[tuple[str, int, int], np.ndarray]:
    """Return the scored vectors of users by domain and of items, in loops over the formulas."""
    count = {
        (u, d): sum(t[0] == u and t[2] == d for t in TAKEN) for u in (1, 2, 3) for d in (1, 2, 3)
    }
    degree = {i: sum(t[1] == i for t in TAKEN) for i in range(1, ITEMS + 1)}
    layer = {("item", i, 0): table[3 * USERS + 1 + i] for i in degree}
    layer |= {
        ("user", u, d): table[rows(u, d)] * (count[u, d] > 0) for u in (1, 2, 3) for d in (1, 2, 3)
    }
    parts = {key: [value] for key, value in layer.items()}
    for _ in range(num_layers):
        sums = {key: np.zeros_like(value) for key, value in layer.items()}
        for u, i, d in TAKEN:
            weight = 1 / np.sqrt(count[u, d] * degree[i])
            sums["user", u, d] = sums["user", u, d] + weight * layer["item", i, 0]
            sums["item", i, 0] = sums["item", i, 0] + weight * layer["user", u, d]
        layer = {key: layer[key] + sums[key] + layer[key] * sums[key] for key in layer}
        spread = dict(layer)
        for u in (1, 2):
            active = [d for d in (1, 2, 3) if count[u, d]]
            total = sum(count[u, d] for d in active)
            mean = sum(count[u, d] * spread["user", u, d] for d in active) / total
            for d in (1, 2, 3):
                others = [spread["user", u, e] for e in active if e != d]
                own = SHARE * spread["user", u, d] + (1 - SHARE) * np.mean(others, axis=0)
                layer["user", u, d] = (own + mean) / 2 if d in active else mean
        for key, value in layer.items():
            length = np.linalg.norm(value)
            parts[key].append(value / length if length else value)
    return {key: np.concatenate(value) for key, value in parts.items()}


@pytest.mark.parametrize("num_layers", [1, 2])
def test_vectors_are_those_of_the_formulas(three: Catalog, num_layers: int) -> None:
    model = BiTGCFConfig(num_layers=num_layers, own_share=SHARE).build(three)
    pairs = torch.tensor([(rows(user, domain), item) for user, item, domain in TAKEN])
    table = torch.randn(3 * USERS + ITEMS + 2, 5, generator=torch.Generator().manual_seed(0))
    found = model.propagation(*pairs.unbind(dim=1))(table).numpy()
    for (kind, index, domain), expected in by_hand(table.numpy(), num_layers).items():
        row = rows(index, domain) if kind == "user" else 3 * USERS + 1 + index
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


def test_two_domains_exchange_as_in_the_paper() -> None:
    (mixing,) = mix_domains(torch.tensor([[3, 1]]), 0.8)
    torch.testing.assert_close(mixing, torch.tensor([[0.775, 0.225], [0.475, 0.525]]))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([2, 0], [[1.0, 0.0], [1.0, 0.0]]), ([0, 0], [[0.0, 0.0], [0.0, 0.0]])],
)
def test_who_is_in_one_domain_alone_keeps_its_vector(
    counts: list[int], expected: list[list[float]]
) -> None:
    assert mix_domains(torch.tensor([counts]), 0.8)[0].tolist() == expected


def fitted(catalog: Catalog, batch: SequenceBatch, seed: int = 0) -> BiTGCF:
    """Return a model of two tastes, of which the last four users show only one domain."""
    config = BiTGCFConfig(embed_dim=8, epochs=60, batch_size=32, learning_rate=0.02, seed=seed)
    model = config.build(catalog._replace(num_users=25))
    generator = np.random.default_rng(0)
    for user in range(1, 25):
        books, films = ([1, 2, 3], [7, 8]) if user % 2 else ([4, 5, 6], [9, 10])
        taken = generator.permutation(books)[:2].tolist()
        domains = [1, 1]
        if user <= 20:
            taken, domains = [*taken, *films], [1, 1, 2, 2]
        model.observe(
            batch._replace(
                user_ids=torch.tensor([user]),
                item_ids=torch.tensor([taken]),
                domain_ids=torch.tensor([domains]),
            )
        )
    model.finish()
    return model


def asked(batch: SequenceBatch, user: int, history: list[int], domain: int) -> SequenceBatch:
    return batch._replace(
        user_ids=torch.tensor([user]),
        item_ids=torch.tensor([history]),
        target_domain_ids=torch.tensor([[domain]]),
    )


def test_it_learns_tastes_and_carries_them_to_another_domain(
    catalog: Catalog, batch: SequenceBatch
) -> None:
    model = fitted(catalog, batch)
    for user in range(1, 25):
        books, films = ([1, 2, 3], [7, 8]) if user % 2 else ([4, 5, 6], [9, 10])
        scores = model.scores(asked(batch, user, [0], 1))[0]
        assert scores[books].mean() > scores[[i for i in range(1, 7) if i not in books]].mean()
        scores = model.scores(asked(batch, user, [0], 2))[0]
        others = [item for item in (7, 8, 9, 10) if item not in films]
        assert scores[films].min() > scores[others].max(), user  # from 21 on never in the domain


def test_a_new_user_is_folded_in_and_an_empty_one_gets_what_is_popular(
    catalog: Catalog, batch: SequenceBatch
) -> None:
    model = fitted(catalog, batch)
    scores = model.scores(asked(batch, 25, [1, 2, 7], 2))[0]
    assert scores[8] > scores[[9, 10]].max()
    empty = model.scores(asked(batch, 25, [0], 2))[0]
    assert empty.tolist() == model.popularity_prior().tolist()


def test_the_seed_alone_decides(catalog: Catalog, batch: SequenceBatch) -> None:
    first, second, other = (fitted(catalog, batch, seed).item_vectors for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="num_layers is 0: set it to 1 or more"):
        BiTGCFConfig(num_layers=0)
    with pytest.raises(ValueError, match=r"own_share is 1\.2: set it from 0 to 1"):
        BiTGCFConfig(own_share=1.2)
