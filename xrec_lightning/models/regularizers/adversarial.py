"""Adversarial training on item embeddings, FGM (Miyato et al., ICLR 2017, arXiv:1605.07725)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.models.channels.item_table import ItemTable
from xrec_lightning.models.fusion import FusionScorer
from xrec_lightning.models.objectives import LossConfig
from xrec_lightning.models.regularizers.alignment import sequence_channel
from xrec_lightning.models.regularizers.base import Regularizer, RegularizerConfig
from xrec_lightning.models.training_pass import TrainingStep


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig(RegularizerConfig):
    """Settings of an `Adversarial`."""

    epsilon: float = 0.5
    """Length of the step on the item table, over all its entries."""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epsilon <= 0:
            raise ValueError(f"AdversarialConfig.epsilon is {self.epsilon}: set it above 0")

    @override
    def build(self, catalog: Catalog, scorer: FusionScorer, loss: LossConfig) -> "Adversarial":
        if not sequence_channel(scorer, "AdversarialConfig").item_embedding.has_rows:
            raise ValueError(
                "model.init_args.regularizers: AdversarialConfig needs a trainable item table; set "
                "item_input of the `sequence` channel to id or id+knowledge, or take it out"
            )
        return Adversarial(self)


torch.serialization.add_safe_globals([AdversarialConfig])


class Adversarial(Regularizer):
    """The loss after a step of length epsilon along the gradient on the item table.

    ``weight * L(E + epsilon * g / |g|)`` with ``g`` the gradient of the loss on the table ``E`` of
    the `sequence` channel, held constant; both histories and keys see the moved table. Unlike the
    paper, one step moves the whole table and the table is not normalized: its keys are. The weights
    themselves are never written to, so gradients may be accumulated; of several processes each
    takes the step of its own batch. A training step takes about two and a half times as long.
    """

    name = "adversarial"

    def __init__(self, config: AdversarialConfig) -> None:
        super().__init__()
        self.config = config

    @override
    def forward(self, step: TrainingStep) -> Tensor:
        table = sequence_channel(step.scorer, "AdversarialConfig").item_embedding
        loss = step.means(step.first.losses).sum()
        (gradient,) = torch.autograd.grad(loss, table.weight, retain_graph=True)
        moved = self.config.epsilon * gradient / gradient.norm().clamp_min(1e-12)
        with replaced_weight(table, table.weight + moved):
            second = step.again()
        return self.config.weight * step.means(second.losses).sum()


@contextmanager
def replaced_weight(table: ItemTable, weight: Tensor) -> Iterator[None]:
    """Let ``table`` look up ``weight`` instead of its own weight, which stays as it is."""
    own = table.weight
    # A registered parameter cannot be set to a tensor with a history, only its place can.
    table._parameters["weight"] = weight  # type: ignore[assignment]
    try:
        yield
    finally:
        table._parameters["weight"] = own
