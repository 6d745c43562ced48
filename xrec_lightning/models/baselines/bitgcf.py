"""BiTGCF, graphs of domains that exchange their users (Liu et al., CIKM 2020).

"Cross Domain Recommendation via Bi-directional Transfer Graph Collaborative Filtering Networks",
doi:10.1145/3340531.3412012.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.models.baselines.factors import FactorBaseline, FactorConfig, Propagation
from xrec_lightning.models.baselines.lightgcn import spread, user_item_graph


@dataclass(frozen=True, kw_only=True)
class BiTGCFConfig(FactorConfig):
    """Settings of a `BiTGCF`."""

    num_layers: int = 2
    """Steps over the graphs."""
    own_share: float = 0.8
    """Share of a user's own domain in what is exchanged, the paper's lambda."""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_layers < 1:
            raise ValueError(f"BiTGCFConfig.num_layers is {self.num_layers}: set it to 1 or more")
        if not 0 <= self.own_share <= 1:
            raise ValueError(f"BiTGCFConfig.own_share is {self.own_share}: set it from 0 to 1")

    @override
    def build(self, catalog: Catalog) -> "BiTGCF":
        return BiTGCF(self, catalog)


torch.serialization.add_safe_globals([BiTGCFConfig])


class BiTGCF(FactorBaseline):
    """One vector a user for each domain and one an item, spread over the graph of each domain.

    A layer adds to a vector those of its neighbors, over the root of both degrees, and their
    product with it. Then a user's vectors are exchanged among its domains: half of the new one is
    ``lambda`` of its own and the rest of the mean of the others, half is their mean weighted by
    interactions. All layers, from the first on with length 1, are concatenated.

    Unlike the paper there may be any number of domains; with two it is the same. The loss and the
    negatives are those of BPR-MF instead of cross-entropy, for equal terms with the other models,
    there is no drop-out, and an item of several domains is one. Where a user has no interaction in
    a domain, its vector there is the weighted mean of the others, and zero in the first layer, so
    that a domain can be recommended to who never was in it.

    Shapes: U users, E domains, N items, D width.
    """

    def __init__(self, config: BiTGCFConfig, catalog: Catalog) -> None:
        rows = catalog._replace(num_users=catalog.num_users * len(catalog.domains))
        super().__init__(config, rows, config.embed_dim * (config.num_layers + 1))
        self.users_per_domain = catalog.num_users
        self.num_layers = config.num_layers
        self.own_share = config.own_share

    @override
    def user_rows(self, user_ids: Tensor, domain_ids: Tensor) -> Tensor:
        return user_ids + (domain_ids - 1) * self.users_per_domain

    @override
    def finish(self) -> None:
        super().finish()
        known = self.is_known[1:].view(-1, self.users_per_domain)
        known |= known.any(dim=0)  # their vectors come from the other domains

    @override
    def propagation(self, user_ids: Tensor, item_ids: Tensor) -> Propagation:
        num_nodes = self.num_users + self.num_items + 2
        nodes = item_ids + self.num_users + 1
        adjacency = user_item_graph(user_ids, nodes, num_nodes)
        counts = torch.bincount(user_ids, minlength=self.num_users + 1)
        mixing = mix_domains(counts[1:].view(-1, self.users_per_domain).T, self.own_share)
        is_trained = torch.ones(num_nodes, 1, device=user_ids.device)
        is_trained[: self.num_users + 1, 0] = (counts > 0).float()

        def propagate(vectors: Tensor) -> Tensor:
            layer = vectors * is_trained
            layers = [layer]
            for _ in range(self.num_layers):
                neighbors = spread(adjacency, layer)
                layer = _exchange(layer + neighbors + layer * neighbors, mixing)
                layers.append(functional.normalize(layer, dim=1))
            return torch.cat(layers, dim=1)

        return propagate


def mix_domains(counts: Tensor, own_share: float) -> Tensor:
    """Return what each vector of a user is made of after an exchange, shape ``(U, E, E)``.

    Args:
        counts: Interactions of each user in each domain, shape ``(U, E)``.
        own_share: Share of the own vector where the others are as good.
    """
    is_active = counts > 0
    by_count = counts / counts.sum(dim=1, keepdim=True).clamp_min(1)  # (U, E)
    by_count = by_count[:, None].expand(-1, counts.size(1), -1)
    identity = torch.eye(counts.size(1), device=counts.device)
    others = is_active[:, None] * (1 - identity)
    by_share = own_share * identity + (1 - own_share) * others / (
        others.sum(dim=2, keepdim=True).clamp_min(1)
    )
    is_shared = is_active.sum(dim=1)[:, None, None] > 1
    mixed = torch.where(is_shared, 0.5 * (by_share + by_count), identity)
    return torch.where(is_active[..., None], mixed, by_count)


def _exchange(vectors: Tensor, mixing: Tensor) -> Tensor:
    """Mix the vectors of each user, which follow padding, domain by domain; items stay."""
    num_users, num_domains, _ = mixing.shape
    first_item = 1 + num_users * num_domains
    users = vectors[1:first_item].view(num_domains, num_users, -1)
    mixed = torch.einsum("uef,fud->eud", mixing, users).flatten(0, 1)
    return torch.cat([vectors[:1], mixed, vectors[first_item:]])
