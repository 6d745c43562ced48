"""Train the fusion recommender."""

from collections.abc import Sequence

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.optim import AdamW, Optimizer
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.metrics.ranking import RankMetric
from xrec_lightning.models.channels.base import ChannelConfig
from xrec_lightning.models.fusion import FusionScorer
from xrec_lightning.models.losses import sampled_softmax_loss
from xrec_lightning.models.negatives import DomainNegatives
from xrec_lightning.modules.ranking import RankingModule


class FusionRecommender(RankingModule):
    """Score items by channels, trained with a softmax over the target's own domain.

    Args:
        catalog: What the data knows; linked from the datamodule.
        channels: Channels of the scorer.
        num_negatives: Negatives that the targets of a batch share in each domain; a domain with
            fewer items is ranked in full.
        temperature: Temperature of the cosine logits before training.
        use_bias: Whether every item has a trainable bias.
        optimizer: Optimizer of all parameters.
        metrics: Ranking metrics of validation and test; the usual ones when not given.
        top_k: Items a row of ``predict`` returns.
    """

    def __init__(
        self,
        catalog: Catalog,
        channels: list[ChannelConfig],
        num_negatives: int = 512,
        temperature: float = 0.07,
        use_bias: bool = True,
        optimizer: OptimizerCallable = AdamW,
        metrics: Sequence[RankMetric] | None = None,
        top_k: int = 10,
    ) -> None:
        super().__init__(catalog, metrics, top_k)
        self.scorer = FusionScorer(catalog, channels, temperature, use_bias)
        self.negatives = DomainNegatives(catalog, num_negatives)
        self.optimizer = optimizer
        self._item_vectors: Tensor | None = None

    @override
    def configure_optimizers(self) -> Optimizer:
        return self.optimizer(self.parameters())

    @override
    def training_step(self, batch: SequenceBatch, batch_idx: int) -> Tensor:
        losses = self.losses(batch)
        loss = losses.sum() / max(1, len(losses))  # windows of one basket hold no target
        self.log("train/loss", loss, batch_size=max(1, len(losses)), prog_bar=True)
        return loss

    def losses(self, batch: SequenceBatch) -> Tensor:
        """Return the loss of every target of ``batch``, one domain after the other."""
        user_vectors = self.scorer.user_vectors(batch)
        item_vectors = self.scorer.item_vectors()
        losses = [user_vectors.flatten()[:0]]  # keeps the graph when no target is there
        for domain in range(1, len(self.catalog.domains) + 1):
            is_here = batch.target_domain_ids == domain
            target_ids = batch.target_ids[is_here]
            if len(target_ids) == 0:
                continue
            users = user_vectors[is_here]  # (T, V)
            negative_ids = self.negatives.sample(domain).to(target_ids.device)
            losses.append(
                sampled_softmax_loss(
                    (users * item_vectors[target_ids]).sum(dim=-1),
                    users @ item_vectors[negative_ids].T,
                    target_ids[:, None] == negative_ids,
                    log_expected=None,
                )
            )
        return torch.cat(losses)

    @override
    def scores(self, batch: SequenceBatch) -> Tensor:
        if self._item_vectors is None:
            self._item_vectors = self.scorer.item_vectors()
        return self.scorer.user_vectors(batch)[:, 0] @ self._item_vectors.T

    @override
    def on_validation_epoch_start(self) -> None:
        self._item_vectors = None

    @override
    def on_test_epoch_start(self) -> None:
        self._item_vectors = None

    @override
    def on_predict_epoch_start(self) -> None:
        self._item_vectors = None
