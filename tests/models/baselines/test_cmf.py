import numpy as np
import pytest
import torch

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.cmf import CMF, INITIAL_SCALE, CMFConfig
from xrec_lightning.models.channels.knowledge import whitened_vectors

TAKEN = [(1, 1, 1), (1, 2, 1), (1, 7, 2), (1, 6, 2), (2, 2, 1), (2, 6, 1), (3, 8, 2), (3, 9, 2)]
"""User, item and domain; item 6 is in both domains, user 2 in the first and user 3 in the second
alone."""
D = 4


def observed(config: CMFConfig, catalog: Catalog, batch: SequenceBatch) -> CMF:
    model = config.build(catalog)
    for user in (1, 2, 3):
        mine = [each for each in TAKEN if each[0] == user]
        mine = [*mine, mine[0]]  # a repeat counts once
        model.observe(
            batch._replace(
                user_ids=torch.tensor([user]),
                item_ids=torch.tensor([[item for _, item, _ in mine]]),
                domain_ids=torch.tensor([[domain for _, _, domain in mine]]),
            )
        )
    model.finish()
    return model


class Loops:
    """The objective, a term at a time, and its minimum for one vector at a time."""

    def __init__(self, config: CMFConfig, catalog: Catalog) -> None:
        self.config = config
        given = config.domain_weights or {}
        self.weights = {d: given.get(name, 1.0) for d, name in enumerate(catalog.domains, start=1)}
        self.pools = {d: pool.tolist() for d, pool in enumerate(catalog.candidates, start=1)}
        self.users = {d: sorted({t[0] for t in TAKEN if t[2] == d}) for d in self.weights}
        text = whitened_vectors(catalog, D).double()
        self.text = (text / text.norm(dim=1, keepdim=True).clamp_min(1e-12)).numpy()

    def best(
        self, kind: int, index: int, vectors: np.ndarray, map_: np.ndarray | None
    ) -> np.ndarray:
        """Return the best vector of a user (0) or item (1), given those of the others."""
        matrix, wanted, penalty = np.zeros((D, D)), np.zeros(D), 0.0
        for domain, weight in self.weights.items():
            here, others = self.users[domain], self.pools[domain]
            if kind == 1:
                here, others = others, here
            if index in here:
                for other in others:
                    share = weight * self.config.unobserved_weight
                    matrix += share * np.outer(vectors[other], vectors[other])
                    penalty += share
        for taken in TAKEN:
            if taken[kind] == index:
                weight, other = self.weights[taken[2]], vectors[taken[1 - kind]]
                matrix += weight * np.outer(other, other)
                wanted += weight * other
                penalty += weight
        if kind == 1 and map_ is not None and self.text[index].any():
            matrix += self.config.text_weight * map_ @ map_.T
            wanted += self.config.text_weight * map_ @ self.text[index]
        matrix += max(self.config.regularization * penalty, 1e-6) * np.eye(D)
        return np.linalg.solve(matrix, wanted)

    def map_to_text(self, items: np.ndarray) -> np.ndarray:
        rows = [i for i in range(1, 13) if self.text[i].any()]
        gram = sum(np.outer(items[i], items[i]) for i in rows)
        gram = gram + self.config.regularization * len(rows) * np.eye(D)
        return np.linalg.solve(gram, sum(np.outer(items[i], self.text[i]) for i in rows))


@pytest.mark.parametrize(
    "config",
    [
        CMFConfig(embed_dim=D, epochs=2),
        CMFConfig(embed_dim=D, epochs=3, unobserved_weight=0.5, domain_weights={"films": 0.2}),
        CMFConfig(embed_dim=D, epochs=2, text_weight=0.7, regularization=0.05),
    ],
    ids=repr,
)
def test_vectors_and_scores_are_those_of_the_equations_solved_one_by_one(
    config: CMFConfig, catalog: Catalog, batch: SequenceBatch
) -> None:
    model, loops = observed(config, catalog, batch), Loops(config, catalog)
    generator = torch.Generator().manual_seed(0)
    items = INITIAL_SCALE * torch.randn(13, D, generator=generator).double().numpy()
    items[0] = 0.0
    for _ in range(config.epochs):
        users = np.stack([np.zeros(D), *(loops.best(0, u, items, None) for u in (1, 2, 3))])
        map_ = loops.map_to_text(items) if config.text_weight else None
        items = np.stack([np.zeros(D), *(loops.best(1, i, users, map_) for i in range(1, 13))])
    np.testing.assert_allclose(model.item_vectors.numpy(), items, rtol=2e-3, atol=2e-4)
    user = loops.best(0, 1, items, None)
    asked = batch._replace(
        item_ids=torch.tensor([[1, 7, 2, 6, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]),
        domain_ids=torch.tensor([[1, 2, 1, 2, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]),
    )
    scores = model.scores(asked) - 1e-3 * model.popularity_prior()
    np.testing.assert_allclose(scores[0].numpy(), items @ user, rtol=5e-3, atol=1e-3)
    assert scores[1].abs().max() == 0.0  # popularity alone ranks for an empty history


def test_tastes_cross_domains_through_shared_users(catalog: Catalog, batch: SequenceBatch) -> None:
    model = CMFConfig(embed_dim=D, epochs=10).build(catalog._replace(num_users=20))
    for user in range(1, 21):
        taken = [1, 2, 7, 8] if user % 2 else [3, 4, 9, 10]
        model.observe(
            batch._replace(
                user_ids=torch.tensor([user]),
                item_ids=torch.tensor([taken]),
                domain_ids=torch.tensor([[1, 1, 2, 2]]),
            )
        )
    model.finish()
    histories = torch.tensor([[1, 2], [3, 4]])
    scores = model.scores(
        batch._replace(item_ids=histories, domain_ids=torch.ones(2, 2, dtype=torch.int64))
    )
    assert scores[0][[7, 8]].min() > scores[0][[9, 10]].max()
    assert scores[1][[9, 10]].min() > scores[1][[7, 8]].max()
    assert scores[0][11] < scores[0][7]  # nobody took it


def test_text_gives_vectors_to_cold_items(catalog: Catalog, batch: SequenceBatch) -> None:
    plain, told = (
        observed(CMFConfig(embed_dim=D, text_weight=weight), catalog, batch)
        for weight in (0.0, 1.0)
    )
    assert plain.item_vectors[[11, 12]].abs().max() < 1e-6
    assert told.item_vectors[11].norm() > 1e-3
    assert told.item_vectors[12].abs().max() < 1e-6  # it has no text


def test_the_size_of_a_block_does_not_matter(
    catalog: Catalog, batch: SequenceBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CMFConfig(embed_dim=D, epochs=2)
    whole = observed(config, catalog, batch).item_vectors
    monkeypatch.setattr("xrec_lightning.models.baselines.cmf.BLOCK", 2 * D)
    torch.testing.assert_close(observed(config, catalog, batch).item_vectors, whole)


def test_settings_that_cannot_be_name_the_remedy(catalog: Catalog) -> None:
    with pytest.raises(ValueError, match="epochs is 0: set it above 0"):
        CMFConfig(epochs=0)
    with pytest.raises(ValueError, match="the weight of books is -1: set it to 0 or more"):
        CMFConfig(domain_weights={"books": -1})
    with pytest.raises(ValueError, match="no domain is book; the data have books, films"):
        CMFConfig(domain_weights={"book": 1.0}).build(catalog)
