"""Users and items as vectors, trained on pairs: what BPR-MF and LightGCN share.

The loss is that of Bayesian personalized ranking (Rendle et al., UAI 2009, arXiv:1205.2618).
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Adam
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.base import Baseline, BaselineConfig
from xrec_lightning.models.ridge import ridge_map

INITIAL_SCALE = 0.1
FOLD_IN_PENALTY = 0.01
"""Penalty of the fold-in map, relative to the mean square of its inputs."""
DRAWS = 10
"""Draws after which a negative that the user took too is given up."""

Propagation = Callable[[Tensor], Tensor]
"""Map from trained vectors of users and items, ``(U + N + 2, D)``, to scored ones, ``(…, K)``."""


@dataclass(frozen=True, kw_only=True)
class FactorConfig(BaselineConfig):
    """Training of a `FactorBaseline`."""

    embed_dim: int = 64
    """Width of the vectors of users and items."""
    epochs: int = 50
    """Passes over the distinct training interactions."""
    batch_size: int = 2048
    """Interactions of a step."""
    learning_rate: float = 5e-3
    """Learning rate of Adam."""
    regularization: float = 1e-4
    """L2 penalty on the trained vectors of each sampled user and its two items."""
    seed: int = 0
    """Seed of initial vectors, order and negatives."""

    def __post_init__(self) -> None:
        for name in ("embed_dim", "epochs", "batch_size", "learning_rate"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"{type(self).__name__}.{name} is {value}: set it above 0")


class FactorBaseline(Baseline):
    """Score an item by the inner product of its vector with that of the user.

    A user with training interactions has a vector of its own, as in the papers; what happened
    since does not move it. Anyone else is folded in: a ridge regression over the known users maps
    the mean vector of the items of a training history to the vector of its user, and so scores
    any history. Popularity breaks ties and ranks for an empty history.

    Training happens on the device of the model, once all interactions were observed. Shapes: U
    users, N items, D width of trained vectors, K of scored ones; in tables of both, users come
    first and each part starts with padding.
    """

    user_vectors: Tensor
    item_vectors: Tensor
    fold_in: Tensor
    is_known: Tensor

    def __init__(self, config: FactorConfig, catalog: Catalog, width: int | None = None) -> None:
        """Make room for the vectors.

        Args:
            config: Training.
            catalog: What the data knows.
            width: Width of the scored vectors; that of the trained ones by default.
        """
        super().__init__(catalog)
        self.config = config
        self.num_users = catalog.num_users
        self.pools = catalog.candidates
        self.observed: list[Tensor] = []
        width = width or config.embed_dim
        self.register_buffer("user_vectors", torch.zeros(catalog.num_users + 1, width))
        self.register_buffer("item_vectors", torch.zeros(catalog.num_items + 1, width))
        self.register_buffer("fold_in", torch.zeros(width, width))
        self.register_buffer("is_known", torch.zeros(catalog.num_users + 1, dtype=torch.bool))

    @abstractmethod
    def propagation(self, user_ids: Tensor, item_ids: Tensor) -> Propagation:
        """Return how trained vectors become scored ones, given the distinct training pairs.

        Args:
            user_ids: Shape ``(M,)``.
            item_ids: Shape ``(M,)``.
        """

    def user_rows(self, user_ids: Tensor, domain_ids: Tensor) -> Tensor:
        """Return which vector a user has in a domain; one for all domains, unless overridden."""
        return user_ids

    @override
    def observe(self, batch: SequenceBatch) -> None:
        row, column = (batch.item_ids > 0).nonzero(as_tuple=True)
        domain_ids = batch.domain_ids[row, column]
        user_rows = self.user_rows(batch.user_ids[row], domain_ids)
        parts = (user_rows, batch.item_ids[row, column], domain_ids)
        self.observed.append(torch.stack(parts, dim=1).cpu())

    @override
    def finish(self) -> None:
        if not self.observed:
            return
        triples = torch.unique(torch.cat(self.observed), dim=0)
        self.observed = []
        pairs = torch.unique(triples[:, :2], dim=0)
        device = self.item_vectors.device
        propagate = self.propagation(*pairs.to(device).unbind(dim=1))
        vectors = self._fit(triples, propagate)
        self.user_vectors.copy_(vectors[: self.num_users + 1])
        self.item_vectors.copy_(vectors[self.num_users + 1 :])
        self.is_known.zero_()[pairs[:, 0].to(device)] = True
        self._fit_fold_in(pairs.to(device))

    @override
    def scores(self, batch: SequenceBatch) -> Tensor:
        user_rows = self.user_rows(batch.user_ids, batch.target_domain_ids[:, 0])
        own = self.user_vectors[user_rows]
        means = functional.embedding_bag(batch.item_ids, self.item_vectors, padding_idx=0)
        is_known = self.is_known[user_rows][:, None]
        queries = torch.where(is_known, own, means @ self.fold_in)
        return queries @ self.item_vectors.T + self.popularity_prior()

    def _fit(self, triples: Tensor, propagate: Propagation) -> Tensor:
        """Return the scored vectors of all users and items, shape ``(U + N + 2, K)``."""
        config, device = self.config, self.item_vectors.device
        penalty = config.regularization
        generator = torch.Generator().manual_seed(config.seed)
        size = (self.num_users + self.num_items + 2, config.embed_dim)
        table = (INITIAL_SCALE * torch.randn(size, generator=generator)).to(device)
        draw = NegativePairs(triples, self.pools, self.num_items)
        table.requires_grad_()
        optimizer = Adam([table], lr=config.learning_rate, fused=True)
        with torch.enable_grad():
            for _ in range(config.epochs):
                order = torch.randperm(len(triples), generator=generator)
                for rows in torch.split(order, config.batch_size):
                    negatives = draw(triples[rows], generator)
                    chosen = triples[rows][negatives > 0]
                    nodes = torch.stack([*chosen[:, :2].unbind(1), negatives[negatives > 0]])
                    nodes[1:] += self.num_users + 1
                    optimizer.zero_grad()
                    loss = pair_loss(table, propagate(table), nodes.to(device), penalty)
                    loss.backward()  # type: ignore[no-untyped-call]  # torch's own
                    optimizer.step()
        return propagate(table.detach())

    def _fit_fold_in(self, pairs: Tensor) -> None:
        """Fit the map from mean vectors of training histories to user vectors."""
        user_ids, item_ids = pairs.unbind(dim=1)
        means = torch.zeros_like(self.user_vectors)
        means.index_add_(0, user_ids, self.item_vectors[item_ids])
        counts = torch.bincount(user_ids, minlength=len(means)).clamp_min(1)
        means /= counts[:, None]
        penalty = FOLD_IN_PENALTY * float(means.square().sum()) / means.size(1) + 1e-12
        weights = self.is_known.float()
        self.fold_in.copy_(ridge_map(means, self.user_vectors, weights, penalty))


def pair_loss(table: Tensor, vectors: Tensor, nodes: Tensor, regularization: float) -> Tensor:
    """Return the mean BPR loss of pairs and the L2 penalty of what was trained for them.

    Args:
        table: Trained vectors, which are penalized, shape ``(V, D)``.
        vectors: Scored vectors, shape ``(V, K)``.
        nodes: Rows of users, positive and negative items, shape ``(3, B)``.
        regularization: Factor of half the squared length of the three vectors of a pair.
    """
    users, positives, negatives = functional.embedding(nodes, vectors)
    margins = (users * (positives - negatives)).sum(dim=1)
    count = max(1, nodes.size(1))  # nobody may have something left to take
    squares = functional.embedding(nodes, table).square().sum()
    return (0.5 * regularization * squares - functional.logsigmoid(margins).sum()) / count


class NegativePairs:
    """Draw, for each positive interaction, an item of its domain that the user did not take.

    Every item of the domain is as likely, with or without training interactions.

    Args:
        triples: User, item and domain of every training interaction, shape ``(M, 3)``.
        pools: Items of each domain.
        num_items: Number of items.
    """

    def __init__(self, triples: Tensor, pools: Sequence[Tensor], num_items: int) -> None:
        self.width = num_items + 1
        self.keys = torch.unique(triples[:, 0] * self.width + triples[:, 1])
        self.sizes = torch.tensor([len(pool) for pool in pools])
        self.starts = self.sizes.cumsum(0) - self.sizes
        self.items = torch.cat(list(pools))

    def __call__(self, triples: Tensor, generator: torch.Generator) -> Tensor:
        """Return an item for each of ``triples``; 0 where only taken ones were drawn, ``(B,)``."""
        item_ids = torch.zeros(len(triples), dtype=torch.int64)
        is_open = torch.ones(len(triples), dtype=torch.bool)
        domains = triples[:, 2] - 1
        for _ in range(DRAWS):
            shares = torch.rand(len(triples), dtype=torch.float64, generator=generator)
            places = (shares * self.sizes[domains]).long()
            drawn = self.items[self.starts[domains] + places]
            is_free = is_open & ~self._are_taken(triples[:, 0], drawn)
            item_ids = torch.where(is_free, drawn, item_ids)
            is_open &= ~is_free
            if not is_open.any():
                break
        return item_ids

    def _are_taken(self, user_ids: Tensor, item_ids: Tensor) -> Tensor:
        wanted = user_ids * self.width + item_ids
        places = torch.searchsorted(self.keys, wanted).clamp_max(len(self.keys) - 1)
        return self.keys[places] == wanted
