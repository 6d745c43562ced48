"""Collective matrix factorization (Singh and Gordon, KDD 2008, doi:10.1145/1401890.1401969)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.base import Baseline, BaselineConfig
from xrec_lightning.models.channels.base import normalize
from xrec_lightning.models.channels.knowledge import whitened_vectors
from xrec_lightning.models.ridge import ridge_map

INITIAL_SCALE = 0.1
BLOCK = 2**22
"""Numbers that are gathered at a time."""


@dataclass(frozen=True, kw_only=True)
class CMFConfig(BaselineConfig):
    """Settings of a `CMF`."""

    embed_dim: int = 64
    """Width of the vectors of users and items."""
    epochs: int = 15
    """Alternations between users and items."""
    unobserved_weight: float = 0.1
    """Weight of a user and an item without interaction, relative to one with."""
    regularization: float = 0.003
    """L2 penalty of a vector, for each unit of the weights of its row."""
    domain_weights: Mapping[str, float] | None = None
    """Weight of each domain's matrix; 1 where not given."""
    text_weight: float = 0.0
    """Weight of an item's knowledge vector, which its vector then explains too; 0: not used."""
    seed: int = 0
    """Seed of the initial vectors."""

    def __post_init__(self) -> None:
        for name in ("embed_dim", "epochs", "unobserved_weight", "regularization"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"CMFConfig.{name} is {value}: set it above 0")
        for name, value in [("text", self.text_weight), *(self.domain_weights or {}).items()]:
            if value < 0:
                raise ValueError(f"CMFConfig: the weight of {name} is {value}: set it to 0 or more")

    @override
    def build(self, catalog: Catalog) -> "CMF":
        unknown = sorted(set(self.domain_weights or {}) - set(catalog.domains))
        if unknown:
            raise ValueError(
                f"CMFConfig.domain_weights: no domain is {unknown[0]}; the data have "
                f"{', '.join(catalog.domains)}"
            )
        return CMF(self, catalog)


torch.serialization.add_safe_globals([CMFConfig])


class CMF(Baseline):
    """Factorize the matrices of all domains and the items' knowledge with shared vectors.

    One vector a user, shared by its domains, and one an item minimize, by alternating least
    squares, the sum over domains of ``a_d * ((u v - 1)^2`` over interactions ``+ w (u v)^2`` over
    all pairs of the domain's items and of the users active in it``)``, plus ``b |x - v W|^2`` over
    items with knowledge vectors ``x``, plus a penalty in proportion to the weights of each row. The
    paper leaves loss and weights open; these are those of implicit feedback (Hu et al., ICDM 2008;
    Rendle et al., 2022, arXiv:2110.14037). The vector of a user is computed from the history that
    is given, so new users and new interactions count; popularity ranks for an empty one.

    Shapes: B rows, L entries of a row, N items, E domains, D width.
    """

    item_vectors: Tensor
    grams: Tensor
    domain_weights: Tensor
    is_candidate: Tensor
    text: Tensor | None

    def __init__(self, config: CMFConfig, catalog: Catalog) -> None:
        super().__init__(catalog)
        self.config = config
        self.num_users = catalog.num_users
        self.observed: list[Tensor] = []
        given, width = config.domain_weights or {}, config.embed_dim
        weights = torch.tensor([given.get(name, 1.0) for name in catalog.domains])
        is_candidate = torch.zeros(catalog.num_items + 1, len(catalog.domains))
        for index, item_ids in enumerate(catalog.candidates):
            is_candidate[item_ids, index] = 1.0
        self.register_buffer("domain_weights", weights, persistent=False)
        self.register_buffer("is_candidate", is_candidate, persistent=False)
        text = normalize(whitened_vectors(catalog, width)) if config.text_weight else None
        self.register_buffer("text", text, persistent=False)
        self.register_buffer("item_vectors", torch.zeros(catalog.num_items + 1, width))
        self.register_buffer("grams", torch.zeros(len(weights), width, width))

    @override
    def observe(self, batch: SequenceBatch) -> None:
        row, column = (batch.item_ids > 0).nonzero(as_tuple=True)
        parts = (batch.user_ids[row], batch.item_ids[row, column], batch.domain_ids[row, column])
        self.observed.append(torch.stack(parts, dim=1).cpu())

    @override
    def finish(self) -> None:
        if not self.observed:
            return
        triples = torch.unique(torch.cat(self.observed), dim=0).to(self.item_vectors.device)
        self.observed = []
        users, items, domains = triples.unbind(dim=1)
        generator = torch.Generator().manual_seed(self.config.seed)
        start = INITIAL_SCALE * torch.randn(self.item_vectors.shape, generator=generator)
        self.item_vectors.copy_(start).mul_(self.is_candidate.amax(dim=1, keepdim=True))
        is_active = self.is_candidate.new_zeros(self.num_users + 1, len(self.domain_weights))
        is_active[users, domains - 1] = 1.0
        weights = self.domain_weights[domains - 1]
        for _ in range(self.config.epochs):
            user_vectors = self._solve_all(
                users, items, weights, is_active, self.item_vectors, self.is_candidate
            )
            text = self._text_terms()
            vectors = self._solve_all(
                items, users, weights, self.is_candidate, user_vectors, is_active, text
            )
            self.item_vectors.copy_(vectors)
        self.grams.copy_(_grams(self.item_vectors, self.is_candidate))

    @override
    def scores(self, batch: SequenceBatch) -> Tensor:
        item_ids, domain_ids, is_first = _distinct(batch.item_ids, batch.domain_ids)
        places = (domain_ids - 1).clamp_min(0)
        weights = self.domain_weights[places] * is_first
        is_active = self.is_candidate.new_zeros(len(item_ids), len(self.domain_weights))
        is_active.scatter_reduce_(1, places, is_first, "amax")
        sizes = self.is_candidate.sum(dim=0)
        base = self._base(is_active, self.grams, sizes, weights.sum(dim=1))
        users = solve_rows(self.item_vectors, item_ids, weights, base)
        # Scores are shares of 1, often small ones.
        return users @ self.item_vectors.T + 1e-3 * self.popularity_prior()

    def _solve_all(
        self,
        rows: Tensor,
        others: Tensor,
        weights: Tensor,
        is_row_here: Tensor,
        vectors: Tensor,
        is_here: Tensor,
        text: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Return the best vectors of all rows, given the ``vectors`` of the others.

        Args:
            rows: Row of each interaction, shape ``(M,)``.
            others: Row of ``vectors`` of each interaction, shape ``(M,)``.
            weights: Weight of each interaction, shape ``(M,)``.
            is_row_here: Which domains a row takes part in, shape ``(R, E)``.
            vectors: Shape ``(V, D)``.
            is_here: Which domains the others take part in, shape ``(V, E)``.
            text: What text adds to the equations of each row, shapes ``(R, D, D)``, ``(R, D)``.
        """
        grams, sizes = _grams(vectors, is_here), is_here.sum(dim=0)
        found = vectors.new_zeros(len(is_row_here), vectors.size(1))
        for block, places, is_real in _blocks(rows, len(is_row_here), BLOCK // vectors.size(1)):
            shares = weights[places] * is_real
            base = self._base(is_row_here[block], grams, sizes, shares.sum(dim=1))
            extra = None
            if text is not None:
                has_text, wanted = text[0][block], text[1][block]
                base, extra = base + has_text, wanted
            found[block] = solve_rows(vectors, others[places], shares, base, extra)
        return found

    def _base(self, is_here: Tensor, grams: Tensor, sizes: Tensor, counts: Tensor) -> Tensor:
        """Return what all pairs and the penalty add to the equations of rows, ``(B, D, D)``."""
        shares = self.config.unobserved_weight * is_here * self.domain_weights  # (B, E)
        penalty = self.config.regularization * (counts + shares @ sizes)
        identity = torch.eye(grams.size(1), device=grams.device)
        # Rows of nothing at all stay zero.
        return (shares @ grams.flatten(1)).view(-1, *grams.shape[1:]) + identity * (
            penalty.clamp_min(1e-6)[:, None, None]
        )

    def _text_terms(self) -> tuple[Tensor, Tensor] | None:
        """Return what text adds to the equations of items, for the best map from their vectors."""
        if self.text is None:
            return None
        has_text = (self.text.abs().sum(dim=1) > 0).float()
        penalty = self.config.regularization * float(has_text.sum())
        to_text = ridge_map(self.item_vectors, self.text, has_text, penalty)  # (D, K)
        weights = self.config.text_weight * has_text[:, None]
        gram = weights[..., None] * (to_text @ to_text.T)
        return gram, weights * (self.text @ to_text.T)


def solve_rows(
    vectors: Tensor, ids: Tensor, weights: Tensor, base: Tensor, extra: Tensor | None = None
) -> Tensor:
    """Return the ``x`` of each row that minimizes ``sum w (x v - 1)^2 + x base x - 2 x extra``.

    Args:
        vectors: Shape ``(V, D)``.
        ids: Rows of ``vectors``, shape ``(B, L)``.
        weights: 0 where there is none, shape ``(B, L)``.
        base: Positive definite, shape ``(B, D, D)``.
        extra: Shape ``(B, D)``.
    """
    chosen = vectors[ids]
    weighted = chosen * weights[..., None]
    wanted = weighted.sum(dim=1) if extra is None else weighted.sum(dim=1) + extra
    factor = torch.linalg.cholesky(base + weighted.transpose(1, 2) @ chosen)
    return torch.cholesky_solve(wanted[..., None], factor)[..., 0]


def _grams(vectors: Tensor, is_here: Tensor) -> Tensor:
    """Return the sum of outer products of the vectors of each domain, shape ``(E, D, D)``."""
    return torch.stack([(vectors * mask[:, None]).T @ vectors for mask in is_here.T])


def _blocks(rows: Tensor, num_rows: int, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield rows of like length, the places of their entries and which of those are real."""
    order, counts = rows.argsort(stable=True), torch.bincount(rows, minlength=num_rows)
    starts = counts.cumsum(0) - counts
    by_length = counts.argsort(descending=True)
    first = 0
    while first < num_rows:
        length = max(1, int(counts[by_length[first]]))
        block = by_length[first : first + max(1, size // length)]
        columns = torch.arange(length, device=rows.device)
        places = (starts[block, None] + columns).clamp_max(len(rows) - 1)
        yield block, order[places], (columns < counts[block, None]).float()
        first += len(block)


def _distinct(item_ids: Tensor, domain_ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return items, domains and 1 at the first of each pair of them, each ``(B, L)``."""
    width = int(domain_ids.max()) + 1
    pairs = (item_ids * width + domain_ids).sort(dim=1).values
    is_first = torch.ones_like(pairs, dtype=torch.bool)
    is_first[:, 1:] = pairs[:, 1:] != pairs[:, :-1]
    return pairs // width, pairs % width, (is_first & (pairs > 0)).float()
