import json
import math
from pathlib import Path

import polars as pl
import pytest
import torch
from lightning.pytorch import Trainer

from xrec_lightning.batches import SequenceBatch
from xrec_lightning.callbacks.rank_writer import METRICS_FILE, PER_USER_FILE, RankWriter
from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.data.errors import InputError
from xrec_lightning.modules.ranking import RankingModule
from xrec_lightning.predictions import RankedBatch


class HashRecommender(RankingModule):
    """Scores that differ by user and item and are no one's favorite."""

    def scores(self, batch: SequenceBatch) -> torch.Tensor:
        items = torch.arange(self.catalog.num_items + 1)
        return torch.sin(batch.user_ids[:, None] * 7.3 + items * 1.7)

    def configure_optimizers(self) -> None:
        return None


def trainer(folder: Path) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def test_figures_equal_a_loop_over_users(datamodule: BehaviorDataModule, tmp_path: Path) -> None:
    module = HashRecommender(datamodule.catalog)
    (figures,) = trainer(tmp_path).test(module, datamodule, verbose=False)
    log = datamodule.prepared.interactions().collect()
    items = datamodule.prepared.items()
    gains, by_domain = [], {"tea": [], "pots": []}
    for target in datamodule.prepared.targets("test").iter_rows(named=True):
        domain = datamodule.catalog.domains[target["domain_index"] - 1]
        own = log.filter(user_index=target["user_index"])
        seen = set(own.filter(own["timestamp"] <= target["timestamp"])["item_index"])
        candidates = [
            index
            for index, domains in zip(items["item_index"], items["domains"], strict=True)
            if domain in domains and (index not in seen or index == target["item_index"])
        ]
        values = {i: math.sin(target["user_index"] * 7.3 + i * 1.7) for i in candidates}
        rank = sum(value >= values[target["item_index"]] for value in values.values())
        gain = 1 / math.log2(rank + 1) if rank <= 10 else 0.0
        gains.append(gain)
        by_domain[domain].append(gain)
    assert figures["test/ndcg@10"] == pytest.approx(sum(gains) / len(gains), abs=1e-6)
    for domain, values_ in by_domain.items():
        expected = sum(values_) / len(values_)
        assert figures[f"test/ndcg@10/{domain}"] == pytest.approx(expected, abs=1e-6)


def test_figures_of_believed_ties_have_their_own_keys(
    datamodule: BehaviorDataModule, tmp_path: Path
) -> None:
    (plain,) = trainer(tmp_path).test(
        HashRecommender(datamodule.catalog), datamodule, verbose=False
    )
    believing = HashRecommender(datamodule.catalog._replace(ties="file"))
    (marked,) = trainer(tmp_path).test(believing, datamodule, verbose=False)
    assert marked == {key.replace("test/", "test[ties=file]/"): plain[key] for key in plain}


def test_candidates_are_those_of_the_domain_less_the_seen(datamodule: BehaviorDataModule) -> None:
    module = HashRecommender(datamodule.catalog)
    batch = next(iter(datamodule.test_dataloader()))
    scores = module.candidate_scores(batch)
    for row in range(len(scores)):
        allowed = set(datamodule.catalog.candidates[batch.target_domain_ids[row, 0] - 1].tolist())
        allowed -= set(batch.seen_ids[row].tolist())
        assert set(scores[row].isfinite().nonzero()[:, 0].tolist()) == allowed


def test_rows_and_candidate_counts_come_with_the_ranks(datamodule: BehaviorDataModule) -> None:
    module = HashRecommender(datamodule.catalog)
    batch = next(iter(datamodule.test_dataloader()))
    ranked = module.test_step(batch, 0)
    assert isinstance(ranked, RankedBatch)
    assert ranked.row_ids.tolist() == batch.row_ids.tolist()
    assert (ranked.ranks <= ranked.num_candidates).all()
    assert (ranked.ranks >= 1).all()


def test_predictions_are_unseen_and_best_first(datamodule: BehaviorDataModule) -> None:
    module = HashRecommender(datamodule.catalog, top_k=15)
    batch = next(iter(datamodule.predict_dataloader()))
    best = module.predict_step(batch)
    assert torch.equal(best.scores, best.scores.sort(dim=1, descending=True).values)
    for row, seen in enumerate(batch.seen_ids.tolist()):
        listed = {item for item in best.item_ids[row].tolist() if item}
        assert listed
        assert not listed & set(seen)
    assert (best.item_ids[best.scores.isneginf()] == 0).all()


def test_a_checkpoint_of_other_data_is_refused(datamodule: BehaviorDataModule) -> None:
    checkpoint: dict[str, object] = {"state_dict": {}}
    HashRecommender(datamodule.catalog).on_save_checkpoint(checkpoint)
    HashRecommender(datamodule.catalog).on_load_checkpoint(checkpoint)
    other = HashRecommender(datamodule.catalog._replace(fingerprint="other"))
    with pytest.raises(ValueError, match="the data given is other"):
        other.on_load_checkpoint(checkpoint)


def test_a_test_among_sampled_negatives_says_so(tiny_dataset: Path, tmp_path: Path) -> None:
    figures = {}
    for negatives in (0, 3, 10_000):
        datamodule = BehaviorDataModule(tiny_dataset, test_negatives=negatives)
        module, writer = HashRecommender(datamodule.catalog), RankWriter()
        folder = tmp_path / str(negatives)
        runner = trainer(folder)
        runner.callbacks.append(writer)  # type: ignore[attr-defined]
        runner.test(module, datamodule, verbose=False)
        figures[negatives] = json.loads((folder / METRICS_FILE).read_text())
        ranks = pl.read_parquet(folder / PER_USER_FILE)
        if negatives == 3:
            assert ranks["num_candidates"].max() == 4
            assert ranks["rank"].max() <= 4
    assert figures[3]["test[negatives=3]/ndcg@10"] > figures[0]["test/ndcg@10"]
    everything = figures[10_000]["test[negatives=10000]/ndcg@10"]
    assert everything == figures[0]["test/ndcg@10"]
    assert not any(key.startswith("test/") for key in figures[3])


def test_a_negative_number_of_negatives_is_refused(tiny_dataset: Path) -> None:
    with pytest.raises(InputError, match="test_negatives is -1"):
        BehaviorDataModule(tiny_dataset, test_negatives=-1)
