"""The `knowledge` channel: items whose text is near that of the history."""

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.knowledge.whitening import Whitening
from xrec_lightning.models.channels.base import Phrase, normalize
from xrec_lightning.models.channels.linear import LinearChannel, LinearChannelConfig


@dataclass(frozen=True, kw_only=True)
class KnowledgeChannelConfig(LinearChannelConfig):
    """Settings of a `KnowledgeChannel`."""

    dim: int = 128
    """Width after whitening; the directions of least variance are dropped."""

    @override
    def build(self, catalog: Catalog) -> "KnowledgeChannel":
        return KnowledgeChannel(self, catalog)


torch.serialization.add_safe_globals([KnowledgeChannelConfig])


def fit_whitening(vectors: Tensor, train_counts: Tensor, dim: int) -> Whitening:
    """Return the whitening of item vectors, fitted on the training items that have one.

    Args:
        vectors: Shape ``(N + 1, D)``, zero where an item has none.
        train_counts: Training events of each item, shape ``(N + 1,)``.
        dim: Width after whitening.
    """
    is_present = vectors.abs().sum(dim=1) > 0
    return Whitening.fit(vectors[is_present & (train_counts > 0)], dim)


def knowledge_vectors(catalog: Catalog) -> Tensor:
    """Return the knowledge vectors of the items, shape ``(N + 1, D)``.

    Raises:
        ValueError: If the catalog holds no knowledge.
    """
    if catalog.vectors is None:
        raise ValueError(
            "this model needs knowledge vectors: set data.init_args.knowledge to the folder "
            "that `xrec embed` wrote"
        )
    return catalog.vectors


def whitened_vectors(catalog: Catalog, dim: int) -> Tensor:
    """Return knowledge vectors whitened on the training items, shape ``(N + 1, dim)``.

    Raises:
        ValueError: If the catalog holds no knowledge.
    """
    vectors = knowledge_vectors(catalog)
    return fit_whitening(vectors, catalog.train_counts, dim).apply(vectors)


class KnowledgeChannel(LinearChannel):
    """Compare an item's knowledge vector with a weighted sum of the history's.

    An untrained channel is a text nearest-neighbor recommender.
    """

    name = "knowledge"
    phrase = Phrase("similar in meaning to", "similar in meaning to the history")

    def __init__(self, config: KnowledgeChannelConfig, catalog: Catalog) -> None:
        super().__init__(config, catalog, normalize(whitened_vectors(catalog, config.dim)))
