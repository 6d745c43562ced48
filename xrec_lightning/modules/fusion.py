"""Train the fusion recommender."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.metrics.ranking import RankMetric
from xrec_lightning.models.calibration import (
    Evidence,
    concatenate,
    fit_cold_offset,
    fit_tail_factors,
    fit_weights,
    refine_weights,
)
from xrec_lightning.models.channels.base import ChannelConfig
from xrec_lightning.models.fusion import FusionScorer
from xrec_lightning.models.negatives import NegativesConfig, UniformNegativesConfig
from xrec_lightning.models.objectives import LossConfig, SampledSoftmaxLossConfig
from xrec_lightning.models.regularizers.base import RegularizerConfig
from xrec_lightning.models.training_pass import (
    DomainTargets,
    TrainingStep,
    relative_weights,
    training_pass,
)
from xrec_lightning.modules.ranking import RankingModule


class FusionRecommender(RankingModule):
    """Score items by channels, each trained to find the target among its own domain.

    Before each validation of a fit the channels' weights are fitted on validation targets, which
    no channel was built from or trained on; a domain has weights of its own where these gain more
    than the standard error of their gain.

    Args:
        catalog: What the data knows; linked from the datamodule.
        channels: Channels of the scorer.
        num_negatives: Negatives that the targets of a batch share in each domain; a domain with
            fewer items is ranked in full.
        negatives: How they are drawn; uniformly by default. What a user dislikes counts once more
            as a negative of the user's own targets in its domain.
        loss: What is trained on targets and negatives; the sampled softmax by default. With a loss
            over all items of the domain, ``num_negatives`` has no say.
        regularizers: Terms that are added to the loss; none by default.
        temperature: Temperature of the cosine logits before training.
        popularity_prior: Bias of an item before training, for each unit of the logarithm of its
            training events plus one; helps where training is short.
        calibration_targets: Validation targets of each domain that the weights are fitted on; 0
            keeps the weights of the config.
        tail_tolerance: Share of their validation NDCG@20 that all warm targets together may lose to
            those of one to three training events, for which the weights are then fitted by
            themselves; 0 keeps one weight for all items.
        cold_tolerance: Share of their validation NDCG@20 that warm targets may lose to items
            without training events, which are raised as far as that allows.
        optimizer: Optimizer of all parameters.
        metrics: Ranking metrics of validation and test; the usual ones when not given.
        top_k: Items a row of ``predict`` returns.

    Raises:
        ValueError: If negatives are chosen for a loss that takes all items.
    """

    train_counts: Tensor

    def __init__(
        self,
        catalog: Catalog,
        channels: list[ChannelConfig],
        num_negatives: int = 512,
        negatives: NegativesConfig | None = None,
        loss: LossConfig | None = None,
        regularizers: list[RegularizerConfig] | None = None,
        temperature: float = 0.07,
        popularity_prior: float = 0.0,
        calibration_targets: int = 1024,
        tail_tolerance: float = 0.0,
        cold_tolerance: float = 0.02,
        optimizer: OptimizerCallable = AdamW,
        metrics: Sequence[RankMetric] | None = None,
        top_k: int = 10,
    ) -> None:
        super().__init__(catalog, metrics, top_k)
        self.scorer = FusionScorer(catalog, channels, temperature, popularity_prior)
        self.loss = loss or SampledSoftmaxLossConfig()
        if self.loss.needs_all:
            if negatives is not None:
                raise ValueError(
                    f"model.init_args.negatives: {type(self.loss).__name__} takes all items of the "
                    "domain; leave negatives out"
                )
            num_negatives = catalog.num_items
        self.negatives = (negatives or UniformNegativesConfig()).build(catalog, num_negatives)
        self.regularizers = nn.ModuleList(
            config.build(catalog, self.scorer, self.loss) for config in regularizers or []
        )
        self.calibration_targets = calibration_targets
        self.tail_tolerance = tail_tolerance
        self.cold_tolerance = cold_tolerance
        self.optimizer = optimizer
        self.register_buffer("train_counts", catalog.train_counts, persistent=False)
        self._item_vectors: Tensor | None = None

    @override
    def configure_optimizers(self) -> Optimizer:
        return self.optimizer(self.parameters())

    @override
    def training_step(self, batch: SequenceBatch, batch_idx: int) -> Tensor:
        step = self._step(batch)
        count = max(1, step.first.losses.size(1))
        means = step.means(step.first.losses)
        names = [channel.name for channel in self.scorer.channel_list() if channel.trains]
        for name, mean in zip(names, means, strict=True):
            self.log(f"train/loss/{name}", mean, batch_size=count)
        loss = means.sum()
        for regularizer in self.regularizers:
            term = regularizer(step)
            self.log(f"train/{regularizer.name}", term, batch_size=count)
            loss = loss + term
        self.log("train/loss", loss, batch_size=count, prog_bar=True)
        return loss

    def losses(self, batch: SequenceBatch) -> Tensor:
        """Return the loss of each channel that trains and target, domain by domain, ``(C, T)``."""
        return self._step(batch).first.losses

    def _step(self, batch: SequenceBatch) -> TrainingStep:
        for channel in self.scorer.channel_list():
            batch = channel.prepare(batch)
        num_domains = len(self.catalog.domains)
        targets = [self._domain_targets(batch, domain + 1) for domain in range(num_domains)]
        again = partial(training_pass, self.scorer, self.loss, batch, targets)
        weights = relative_weights(batch, num_domains)
        return TrainingStep(self.scorer, batch, again(), weights, again)

    def _domain_targets(self, batch: SequenceBatch, domain: int) -> DomainTargets:
        is_here = batch.target_domain_ids == domain
        target_ids = batch.target_ids[is_here]
        negative_ids, log_expected = self.negatives.sample(domain, target_ids)
        is_no_dislike = None
        if batch.disliked_ids.size(1) > 0:
            disliked_ids = batch.disliked_ids[is_here.nonzero()[:, 0]]  # (T, K)
            is_no_dislike = ~self.is_candidate[domain][disliked_ids]
            is_no_dislike |= disliked_ids == target_ids[:, None]
        return DomainTargets(
            is_here=is_here,
            target_ids=target_ids,
            negative_ids=negative_ids.to(target_ids.device),
            log_expected=None if log_expected is None else log_expected.to(target_ids.device),
            num_candidates=len(self.negatives.pools[domain - 1]),
            is_no_dislike=is_no_dislike,
        )

    @override
    def scores(self, batch: SequenceBatch) -> Tensor:
        if self._item_vectors is None:
            self._item_vectors = self.scorer.item_vectors()
        return self.scorer.user_vectors(batch)[:, 0] @ self._item_vectors.T

    @override
    def on_validation_epoch_start(self) -> None:
        self._item_vectors = None
        is_fit = self.trainer.state.fn == TrainerFn.FITTING and not self.trainer.sanity_checking
        if is_fit and self.calibration_targets > 0:
            loaders = cast("Iterable[SequenceBatch]", self.trainer.val_dataloaders)
            self.fit_weights(loaders)

    @override
    def on_test_epoch_start(self) -> None:
        self._item_vectors = None

    @override
    def on_predict_epoch_start(self) -> None:
        self._item_vectors = None

    @torch.no_grad()
    def fit_weights(self, batches: Iterable[SequenceBatch]) -> None:
        """Fit the weights of the channels and the cold offset of each domain on held-out targets.

        With several processes each fits on its share; the weights of the first one count.

        Args:
            batches: Evaluation batches with one target a row.
        """
        is_raised = self.scorer.item_vectors()[:, -1] > 0
        if len(self.scorer.channels) == 1 and self.tail_tolerance == 0 and not is_raised.any():
            return  # nothing to weigh
        evidence = self._collect(batches)
        weights, factors = self.scorer.weights[0].clone(), self.scorer.bucket_factors
        factors.fill_(1.0)
        warm = {domain: self._without_cold(domain, each) for domain, each in evidence.items()}
        if warm:
            weights = fit_weights([*warm.values()], weights)
        self.scorer.weights[1:] = weights  # also where no target tells
        for domain, each in warm.items() if len(warm) > 1 else ():
            self.scorer.set_weights(domain, refine_weights(each, weights))
        if warm and self.tail_tolerance > 0:
            own = [self.scorer.weights[domain] for domain in warm]
            is_tail = [self.scorer.buckets[self._candidates(domain)] == 1 for domain in warm]
            factors[:, 1] = fit_tail_factors([*warm.values()], own, is_tail, self.tail_tolerance)
        for domain, each in evidence.items():
            self.scorer.cold_offsets[domain] = self._cold_offset(domain, each, is_raised)
        for buffer in (self.scorer.weights, self.scorer.cold_offsets, factors):
            # As numbers: a tensor that travels in inference mode could not be trained with.
            numbers = self.trainer.strategy.broadcast(buffer.tolist())
            buffer.copy_(torch.tensor(numbers, device=self.device))

    def _collect(self, batches: Iterable[SequenceBatch]) -> dict[int, Evidence]:
        """Return the parts of the scores of warm targets, by domain, where there are any."""
        keys = [channel.keys() for channel in self.scorer.channel_list()]
        collected: dict[int, list[Evidence]] = {}
        domains = range(1, len(self.catalog.domains) + 1)
        missing = dict.fromkeys(domains, self.calibration_targets)
        for batch in batches:
            batch = self.transfer_batch_to_device(batch, self.device, 0)
            is_warm = self.train_counts[batch.target_ids[:, 0]] > 0
            for domain in domains:
                is_wanted = is_warm & (batch.target_domain_ids[:, 0] == domain)
                rows = is_wanted.nonzero()[: missing[domain], 0]
                if len(rows) > 0:
                    part = SequenceBatch(*(values[rows] for values in batch))
                    collected.setdefault(domain, []).append(self._evidence(part, domain, keys))
                    missing[domain] -= len(rows)
            if not any(missing.values()):
                break
        return {domain: concatenate(collected[domain]) for domain in sorted(collected)}

    def _evidence(self, batch: SequenceBatch, domain: int, keys: Sequence[Tensor]) -> Evidence:
        item_ids = self._candidates(domain)
        seen = self.is_candidate.new_zeros(len(batch.item_ids), self.is_candidate.size(1))
        seen.scatter_(1, batch.seen_ids, value=True)
        return Evidence(
            parts=self.scorer.parts(batch, [key[item_ids] for key in keys]),
            bias=self.scorer.bias[item_ids],
            is_excluded=seen[:, item_ids],
            targets=torch.searchsorted(item_ids, batch.target_ids[:, 0].contiguous()),
        )

    def _cold_offset(self, domain: int, evidence: Evidence, is_raised: Tensor) -> float:
        """Return the offset of cold candidates that the targets of a domain can afford.

        Args:
            domain: Index of the domain.
            evidence: Its targets.
            is_raised: Cold items that a channel knows, shape ``(N + 1,)``.
        """
        item_ids = self._candidates(domain)
        buckets = self.scorer.buckets[item_ids]
        parts = tuple(
            part * self.scorer.bucket_factors[index, buckets]
            for index, part in enumerate(evidence.parts)
        )
        is_known = is_raised[item_ids] | (self.train_counts[item_ids] > 0)
        known = evidence._replace(parts=parts, is_excluded=evidence.is_excluded | ~is_known)
        weights = self.scorer.weights[domain]
        return fit_cold_offset(known, weights, is_raised[item_ids], self.cold_tolerance)

    def _without_cold(self, domain: int, evidence: Evidence) -> Evidence:
        is_cold = self.train_counts[self._candidates(domain)] == 0
        return evidence._replace(is_excluded=evidence.is_excluded | is_cold)

    def _candidates(self, domain: int) -> Tensor:
        return self.catalog.candidates[domain - 1].to(self.device)
