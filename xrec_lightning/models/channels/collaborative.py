"""The `collaborative:*` channels: items that people took after, or together with, the history."""

from dataclasses import dataclass
from typing import Literal

import torch
from scipy.sparse import csr_array
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.models.channels.base import Phrase, normalize
from xrec_lightning.models.channels.linear import LinearChannel, MemoryChannelConfig
from xrec_lightning.models.cooccurrence import (
    degree_normalized,
    positive_pmi,
    together_counts,
    transition_counts,
)
from xrec_lightning.models.truncated_svd import factorize

PHRASES = {
    "next": Phrase("usually comes after", "usually comes after such a history"),
    "together": Phrase("often goes with", "often goes with such a history"),
}


@dataclass(frozen=True, kw_only=True)
class CollaborativeChannelConfig(MemoryChannelConfig):
    """Settings of a `CollaborativeChannel`."""

    relation: Literal["next", "together"] = "next"
    """What is counted: items that followed an item, strictly later; or items of the same user,
    whatever came first."""
    dim: int = 128
    """Width of the factors."""
    window: int = 5
    """Earlier interactions that each one follows; or how far apart two may be."""
    step_decay: float = 0.7
    """What one more step between two interactions counts, relative to one less."""
    normalization: Literal["ppmi", "degree"] = "ppmi"
    """What is factorized: positive pointwise mutual information, or counts over the roots of both
    items' sums."""
    shift: float = 1.0
    """With `ppmi`: what its logarithm is taken off; more keeps only what is surprising."""
    keep_lengths: bool = True
    """Whether a key is the shorter the less is known of the item, at most 1; if not, each is 1, and
    what is hardly known crowds the top."""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        for name, lowest in (("dim", 1), ("window", 1), ("step_decay", 0), ("shift", 1)):
            value = getattr(self, name)
            if value < lowest:
                raise ValueError(
                    f"CollaborativeChannelConfig.{name} is {value}: set it to {lowest} or more"
                )

    @override
    def build(self, catalog: Catalog) -> "CollaborativeChannel":
        return CollaborativeChannel(self, catalog)


torch.serialization.add_safe_globals([CollaborativeChannelConfig])


class CollaborativeChannel(LinearChannel):
    """Compare low-rank factors of the co-occurrence of items in training histories.

    What people take after an item is not what comes before it: an item has one vector as part of a
    history, the left factor, and another one as a key, the right factor. Items without training
    event, and those that never stand beside another one, have neither.
    """

    key_vectors: Tensor

    def __init__(self, config: CollaborativeChannelConfig, catalog: Catalog) -> None:
        factors = factorize(_strengths(config, catalog), config.dim)
        left, right = (torch.from_numpy(each).float() for each in factors)
        super().__init__(config, catalog, normalize(left), is_trainable=config.is_trainable)
        keys = normalize(right)
        if config.keep_lengths:
            keys = right / right.norm(dim=1).max().clamp_min(1e-12)
        self.register_buffer("key_vectors", keys, persistent=False)
        self.name = f"collaborative:{config.relation}"
        self.phrase = PHRASES[config.relation]

    @override
    def keys(self) -> Tensor:
        return self.key_vectors


def _strengths(config: CollaborativeChannelConfig, catalog: Catalog) -> csr_array:
    """Return how strongly each item (row) speaks for each other one (column)."""
    if catalog.histories is None:
        raise ValueError("the collaborative channel needs training events, and the data have none")
    histories, num_items = catalog.histories(), catalog.num_items
    if config.relation == "together":
        counts = together_counts(histories, num_items, config.window, config.step_decay)
    else:
        counts = transition_counts(
            histories,
            num_items,
            config.window,
            config.step_decay,
            is_ordered=catalog.ties == "file",
        )
    if config.normalization == "ppmi":
        return positive_pmi(counts, config.shift)
    return degree_normalized(counts)
