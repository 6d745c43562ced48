"""EASE, a linear model of items on items in closed form (Steck, WWW 2019, arXiv:1905.03375)."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg.lapack import spotrf, spotri
from scipy.sparse import csr_array
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.base import Baseline, BaselineConfig
from xrec_lightning.models.baselines.taken import TakenItems, history_matrix

Floats = NDArray[np.float32]
BLOCK_ROWS = 1024
"""Rows that are computed at once, so that a sparse product of all items is never held."""


@dataclass(frozen=True, kw_only=True)
class EASEConfig(BaselineConfig):
    """Settings of an `EASE`."""

    regularization: float = 500.0
    """Added to the diagonal of the item-item counts: shrinks the weights of rare items most."""
    scope: Literal["joint", "domain"] = "domain"
    """`domain` learns one matrix a domain, which needs less memory; `joint` learns one over the
    items of all domains, so that a history in one domain speaks for items of another."""
    max_items: int = 30_000
    """Most trained items of one matrix: it holds its square in memory, 3.4 GiB at 30,000."""

    def __post_init__(self) -> None:
        if not self.regularization > 0:
            raise ValueError(
                f"EASEConfig.regularization is {self.regularization}: set it above 0, else the "
                "matrix has no inverse"
            )

    @override
    def build(self, catalog: Catalog) -> "EASE":
        return EASE(self, catalog)


torch.serialization.add_safe_globals([EASEConfig])


class ItemWeights(NamedTuple):
    """Weights from the items of one scope to themselves. M items."""

    item_ids: NDArray[np.int64]
    """Item indices, shape ``(M,)``."""
    weights: Floats
    """What an item of the history (row) adds to an item's score (column), ``(M, M)``."""


class EASE(Baseline):
    """Score an item by the sum of the weights from the items of the history to it.

    The weights minimize the squared error of reconstructing the binary training matrix, with an
    L2 penalty and no weight from an item to itself. Items without a training interaction have
    weights of exactly 0 and are left out. An item of several domains is in the matrix of each.
    Popularity breaks ties.

    A checkpoint holds the training matrix; the weights are computed from it before the first
    scores, in float32 and in place: 4 bytes times the squared number of items, and a time that
    grows with its cube.
    """

    def __init__(self, config: EASEConfig, catalog: Catalog) -> None:
        super().__init__(catalog)
        self.config = config
        self.pairs = TakenItems(catalog)
        pools = catalog.candidates if config.scope == "domain" else (torch.cat(catalog.candidates),)
        self.scopes = [self._trained(item_ids, catalog) for item_ids in pools]
        self.learned: list[ItemWeights] = []

    @override
    def observe(self, batch: SequenceBatch) -> None:
        self.pairs.observe(batch)

    @override
    def finish(self) -> None:
        self.pairs.finish()
        self.learned = []

    @override
    def scores(self, batch: SequenceBatch) -> Tensor:
        scores = np.zeros((len(batch.item_ids), self.num_items + 1), dtype=np.float32)
        history = history_matrix(batch.item_ids, self.num_items)
        history.data[:] = 1.0
        domains = batch.target_domain_ids[:, 0].cpu().numpy()
        for domain, (item_ids, weights) in enumerate(self._weights(), start=1):
            is_asked = domains == domain if self.config.scope == "domain" else domains > 0
            rows = np.flatnonzero(is_asked)
            scores[np.ix_(rows, item_ids)] = history[rows][:, item_ids] @ weights
        return torch.from_numpy(scores).to(batch.item_ids.device) + self.popularity_prior()

    def _trained(self, item_ids: Tensor, catalog: Catalog) -> NDArray[np.int64]:
        """Return the distinct items with a training interaction.

        Raises:
            ValueError: If there are too many.
        """
        trained = torch.unique(item_ids[catalog.train_counts[item_ids] > 0])
        count, limit = len(trained), self.config.max_items
        if count > limit:
            remedy = "" if self.config.scope == "domain" else ", set scope to domain"
            raise ValueError(
                f"EASE over {count:,} items needs {4 * count**2 / 2**30:.1f} GiB, and max_items is "
                f"{limit:,}: raise it if there is so much memory{remedy}, or leave EASE out"
            )
        return trained.numpy()

    def _weights(self) -> list[ItemWeights]:
        """Return the weights of each scope; none before anything was observed."""
        if not self.learned and len(self.pairs.values) > 0:
            taken = self.pairs.matrix()
            self.learned = [
                ItemWeights(item_ids, item_weights(taken[:, item_ids], self.config.regularization))
                for item_ids in self.scopes
            ]
        return self.learned


def item_weights(taken: csr_array, regularization: float) -> Floats:
    """Return the weights of EASE, shape ``(M, M)``; the diagonal is 0.

    Args:
        taken: 1 where a user took an item, shape ``(U, M)``.
        regularization: Added to the diagonal of the counts.

    Raises:
        ValueError: If rounding makes the matrix singular.
    """
    gram = _dense_gram(taken)
    diagonal = np.arange(len(gram))
    gram[diagonal, diagonal] += regularization
    if len(gram) == 0:
        return gram
    # LAPACK wants columns: the transpose of a symmetric matrix is the matrix, without a copy.
    factor, failed = spotrf(gram.T, lower=1, overwrite_a=1)
    inverse, failed_too = (factor, 0) if failed else spotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise ValueError(
            f"EASE found no inverse with regularization {regularization}: raise it, for example "
            f"to {100 * regularization:g}"
        )
    weights: Floats = inverse.T  # only the upper triangle carries meaning
    _mirror(weights)
    weights /= -weights[diagonal, diagonal]
    weights[diagonal, diagonal] = 0.0
    return weights


def _dense_gram(taken: csr_array) -> Floats:
    """Return how many users took both of two items, shape ``(M, M)``."""
    size = taken.shape[1]
    gram = np.empty((size, size), dtype=np.float32)
    columns = taken.T.tocsr()
    for start in range(0, size, BLOCK_ROWS):
        gram[start : start + BLOCK_ROWS] = (columns[start : start + BLOCK_ROWS] @ taken).toarray()
    return gram


def _mirror(matrix: Floats) -> None:
    """Copy the upper triangle of ``matrix`` onto the lower one, in place."""
    for start in range(0, len(matrix), BLOCK_ROWS):
        stop = start + BLOCK_ROWS
        corner = matrix[start:stop, start:stop]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
        matrix[stop:, start:stop] = matrix[start:stop, stop:].T
