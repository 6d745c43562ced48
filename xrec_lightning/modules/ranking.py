"""What every recommender module shares: full ranking by domain, its metrics, top-k lists."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import FINGERPRINT, Catalog, SequenceBatch
from xrec_lightning.metrics.ranking import RankMetric, default_metrics, target_ranks
from xrec_lightning.metrics.sampling import keep_sampled
from xrec_lightning.metrics.sliced import SlicedRankMetrics
from xrec_lightning.predictions import RankedBatch, ScoredItems


class RankingModule(LightningModule):
    """Rank all candidates of the target's domain, seen items removed.

    Args:
        catalog: What the data knows; linked from the datamodule.
        metrics: Ranking metrics of validation and test; the usual ones when not given.
        top_k: Items a row of ``predict`` returns.
    """

    is_candidate: Tensor

    def __init__(
        self, catalog: Catalog, metrics: Sequence[RankMetric] | None = None, top_k: int = 10
    ) -> None:
        super().__init__()
        self.catalog = catalog
        self.top_k = top_k
        names = (*catalog.domains, *catalog.slices)
        chosen = list(metrics) if metrics is not None else default_metrics()
        self.val_metrics = SlicedRankMetrics(chosen, names)
        self.test_metrics = SlicedRankMetrics(chosen, names)
        is_candidate = torch.zeros(len(catalog.domains) + 1, catalog.num_items + 1).bool()
        for index, item_ids in enumerate(catalog.candidates, start=1):
            is_candidate[index, item_ids] = True
        self.register_buffer("is_candidate", is_candidate, persistent=False)

    @abstractmethod
    def scores(self, batch: SequenceBatch) -> Tensor:
        """Return scores of all items for rows with one target domain each, ``(B, N + 1)``."""

    def candidate_scores(self, batch: SequenceBatch) -> Tensor:
        """Return scores in which items that are no candidates are -inf, shape ``(B, N + 1)``."""
        with torch.autocast(self.device.type, enabled=False):  # half precision makes ties
            scores = self.scores(batch)
        is_excluded = ~self.is_candidate[batch.target_domain_ids[:, 0]]
        is_excluded.scatter_(1, batch.seen_ids, value=True)
        return scores.masked_fill_(is_excluded, float("-inf"))

    @override
    def validation_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        self._rank(batch, self.val_metrics)

    @override
    def test_step(  # type: ignore[override]  # the callbacks read a NamedTuple
        self, batch: SequenceBatch, batch_idx: int
    ) -> RankedBatch:
        return self._rank(batch, self.test_metrics, self.catalog.test_negatives)

    @override
    def predict_step(self, batch: SequenceBatch, batch_idx: int = 0) -> ScoredItems:
        scores = self.candidate_scores(batch)
        best = scores.topk(min(self.top_k, scores.size(1)), dim=1)
        return ScoredItems(
            user_ids=batch.user_ids,
            domain_ids=batch.target_domain_ids[:, 0],
            item_ids=best.indices.masked_fill(best.values.isneginf(), 0),
            scores=best.values,
        )

    @override
    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val", self.val_metrics)

    @override
    def on_test_epoch_end(self) -> None:
        self._log_metrics(self.catalog.test_stage, self.test_metrics)

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[FINGERPRINT] = self.catalog.fingerprint

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        found = checkpoint.get(FINGERPRINT)
        if found != self.catalog.fingerprint:
            raise ValueError(
                f"the checkpoint was trained on data {found}, but the data given is "
                f"{self.catalog.fingerprint}: name the data set and the knowledge store of that "
                "run, or train anew"
            )
        _refuse_other_shapes(checkpoint["state_dict"], self.state_dict())

    def _rank(
        self, batch: SequenceBatch, metrics: SlicedRankMetrics, num_negatives: int = 0
    ) -> RankedBatch:
        scores, target_ids = self.candidate_scores(batch), batch.target_ids[:, 0]
        if num_negatives > 0:
            kept = keep_sampled(~scores.isneginf(), target_ids, batch.row_ids, num_negatives)
            scores = scores.masked_fill_(~kept, float("-inf"))
        ranks = target_ranks(scores, target_ids)
        domains = torch.arange(1, len(self.catalog.domains) + 1, device=ranks.device)
        metrics.update(ranks, torch.cat([batch.target_domain_ids == domains, batch.slice_mask], 1))
        num_candidates = (~scores.isneginf()).sum(dim=1)
        return RankedBatch(batch.row_ids, ranks, num_candidates)

    def _log_metrics(self, stage: str, metrics: SlicedRankMetrics) -> None:
        values = {f"{stage}/{key}": value.float() for key, value in metrics.compute().items()}
        self.log_dict(values, sync_dist=True)  # equal on all processes; this keeps Lightning quiet
        metrics.reset()


def _refuse_other_shapes(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse a checkpoint of a model of other parts or sizes."""
    for key in sorted(found.keys() | wanted.keys()):
        shapes = [
            tuple(state[key].shape) if isinstance(state.get(key), Tensor) else key in state
            for state in (found, wanted)
        ]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"the checkpoint does not fit the model: {key} is {shapes[0]} in the checkpoint, "
                f"{shapes[1]} in the config; use the config.yaml of its run folder, or train anew"
            )
