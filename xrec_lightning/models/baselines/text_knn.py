"""Nearest neighbors of the history's text, without training."""

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.base import Baseline, BaselineConfig
from xrec_lightning.models.channels.base import normalize


@dataclass(frozen=True, kw_only=True)
class TextKNNConfig(BaselineConfig):
    """Settings of a `TextKNN`."""

    history: int = 3
    """Newest interactions whose weighted mean vector is compared."""
    decay: float = 0.85
    """Weight of an interaction relative to the next newer one."""

    def __post_init__(self) -> None:
        if self.history < 1:
            raise ValueError(f"history is {self.history}: compare at least the newest interaction")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay is {self.decay}: set it above 0 and at most 1, the plain mean")

    @override
    def build(self, catalog: Catalog) -> "TextKNN":
        return TextKNN(self, catalog)


torch.serialization.add_safe_globals([TextKNNConfig])


class TextKNN(Baseline):
    """Score an item by the cosine of its knowledge vector with the history's mean vector.

    The mean is over the newest interactions, of vectors of length 1; older ones weigh less.
    """

    vectors: Tensor

    def __init__(self, config: TextKNNConfig, catalog: Catalog) -> None:
        super().__init__(catalog)
        if catalog.vectors is None:
            raise ValueError(
                "text-kNN needs knowledge vectors: set data.init_args.knowledge to the folder "
                "that `xrec embed` wrote"
            )
        self.history = config.history
        self.decay = config.decay
        self.register_buffer("vectors", normalize(catalog.vectors), persistent=False)

    @override
    def scores(self, batch: SequenceBatch) -> Tensor:
        positions = torch.arange(batch.item_ids.size(1), device=batch.item_ids.device)
        ages = batch.state_positions - positions  # (B, L)
        is_recent = (ages >= 0) & (ages < self.history)
        weights = torch.where(is_recent, self.decay ** ages.clamp_min(0), 0.0)  # (B, L)
        query = normalize((self.vectors[batch.item_ids] * weights[..., None]).sum(dim=1))
        # Items without text come last, as if unlike everything.
        return (query @ self.vectors.T).masked_fill(self.vectors.abs().sum(dim=1) == 0, -2.0)
