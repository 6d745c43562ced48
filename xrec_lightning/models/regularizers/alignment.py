"""Alignment of trained item keys with knowledge."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.base import normalize
from xrec_lightning.models.channels.knowledge import whitened_vectors
from xrec_lightning.models.channels.sequence import SequenceChannel
from xrec_lightning.models.fusion import FusionScorer
from xrec_lightning.models.objectives import LossConfig
from xrec_lightning.models.regularizers.base import Regularizer, RegularizerConfig
from xrec_lightning.models.training_pass import TrainingStep


@dataclass(frozen=True, kw_only=True)
class AlignmentConfig(RegularizerConfig):
    """Settings of an `Alignment`."""

    weight: float = 0.1
    """Factor of the term."""
    kind: Literal["contrastive", "cosine"] = "contrastive"
    """`contrastive`: an item's key is nearer to its own text than to that of the batch's other
    items, and the other way round; `cosine`: near to it, whatever the others."""
    temperature: float = 0.1
    """Temperature of the contrastive softmax."""
    max_items: int = 512
    """Most items of a batch that are aligned; a random part of larger batches."""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("temperature", 0.0), ("max_items", 1)):
            value = getattr(self, name)
            if not value > least:
                raise ValueError(f"AlignmentConfig.{name} is {value}: set it above {least}")

    @override
    def build(self, catalog: Catalog, scorer: FusionScorer, loss: LossConfig) -> "Alignment":
        return Alignment(self, catalog, sequence_channel(scorer, "AlignmentConfig").width)


torch.serialization.add_safe_globals([AlignmentConfig])


class Alignment(Regularizer):
    """Draw the keys of the `sequence` channel to the whitened knowledge vectors of their items.

    With ``contrastive`` it is the symmetric InfoNCE of CLIP (Radford et al., 2021,
    arXiv:2103.00020) between both sides of the items of a batch, with ``cosine`` one less their
    mean cosine. Knowledge is whitened to the width of the keys, as where it initializes them; no
    map between the two is learned. Items without text or without training event do not count.
    """

    name = "alignment"
    text: Tensor
    is_aligned: Tensor

    def __init__(self, config: AlignmentConfig, catalog: Catalog, width: int) -> None:
        super().__init__()
        self.config = config
        text = normalize(whitened_vectors(catalog, width))
        is_aligned = (text.abs().sum(dim=1) > 0) & (catalog.train_counts > 0)
        self.register_buffer("text", text, persistent=False)
        self.register_buffer("is_aligned", is_aligned, persistent=False)

    @override
    def forward(self, step: TrainingStep) -> Tensor:
        item_ids = self._items(step.batch)
        keys = sequence_channel(step.scorer, "AlignmentConfig").keys()[item_ids]
        return self.config.weight * self.distance(keys, self.text[item_ids])

    def distance(self, keys: Tensor, texts: Tensor) -> Tensor:
        """Return how far keys are from their texts, both ``(M, D)`` of length 1; 0 for none."""
        if len(keys) == 0:
            return keys.sum()
        if self.config.kind == "cosine":
            return 1.0 - (keys * texts).sum(dim=1).mean()
        logits = keys @ texts.T / self.config.temperature
        own = torch.arange(len(logits), device=logits.device)
        return 0.5 * (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own))

    def _items(self, batch: SequenceBatch) -> Tensor:
        """Return the distinct items of a batch that have text and are trained, shape ``(M,)``."""
        item_ids = torch.cat([batch.item_ids.flatten(), batch.target_ids.flatten()])
        item_ids = torch.unique(item_ids)
        item_ids = item_ids[self.is_aligned[item_ids]]
        if len(item_ids) > self.config.max_items:
            order = torch.randperm(len(item_ids), device=item_ids.device)
            item_ids = item_ids[order[: self.config.max_items]]
        return item_ids


def sequence_channel(scorer: FusionScorer, asked_by: str) -> SequenceChannel:
    """Return the channel with a trainable item table.

    Raises:
        ValueError: If there is none.
    """
    for channel in scorer.channel_list():
        if isinstance(channel, SequenceChannel):
            return channel
    raise ValueError(
        f"model.init_args.regularizers: {asked_by} needs the item table of a `sequence` channel; "
        "add one to model.init_args.channels or take the regularizer out"
    )
