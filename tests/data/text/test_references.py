from pathlib import Path

import numpy as np
import pytest
import torch

from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.clicks import target_choices
from xrec_lightning.data.text.labels import LabelConfig
from xrec_lightning.data.text.references import (
    ITEM_SHRINKAGE,
    USER_SHRINKAGE,
    RatingBias,
    text_knn_scores,
)
from xrec_lightning.knowledge.store import KnowledgeStore


def test_text_knn_is_the_cosine_of_the_mean_or_nearest_of_the_history(
    tiny_dataset: Path, tiny_store: Path
) -> None:
    prepared, store = Prepared.open(locate(tiny_dataset)), KnowledgeStore.open(tiny_store)
    everyone = np.ones(len(prepared.users()) + 1, dtype=bool)
    examples = target_choices(prepared, "test", everyone)
    scores = text_knn_scores(examples, prepared, store)
    raw = prepared.items()["item_id"].to_list()
    unit = torch.nn.functional.normalize(store.vectors("item", raw), dim=1)
    assert scores.dtype == np.float32
    assert len(scores) > 20
    for row, item in enumerate(examples.item_ids):
        span = slice(examples.history_starts[row], examples.history_ends[row])
        history = unit[torch.from_numpy(prepared.item_ids[span].astype(np.int64)) - 1]
        cosine = torch.nn.functional.cosine_similarity(history.mean(dim=0), unit[item - 1], dim=0)
        nearest = (history @ unit[item - 1]).max()
        assert scores[row].tolist() == pytest.approx([cosine.item(), nearest.item()], abs=1e-5)


def test_the_bias_is_worked_event_by_event(rated_dataset: Path) -> None:
    prepared = Prepared.open(locate(rated_dataset))
    is_user = np.ones(len(prepared.users()) + 1, dtype=bool)
    is_user[[2, 5]] = False  # held out
    log = prepared.interactions().collect().rows(named=True)
    first = dict(prepared.targets("val").select("user_index", "timestamp").iter_rows())
    read = [
        row
        for row in log
        if is_user[row["user_index"]] and row["timestamp"] < first[row["user_index"]]
    ]
    ratings = np.array([row["rating"] for row in read], dtype=np.float64)
    bias = RatingBias.fit(prepared, is_user)
    assert bias.scale.mean == pytest.approx(ratings.mean())
    assert bias.scale.deviation == pytest.approx(ratings.std())

    def of_item(item: int) -> float:
        gaps = [row["rating"] - bias.scale.mean for row in read if row["item_index"] == item]
        return sum(gaps) / (len(gaps) + ITEM_SHRINKAGE)

    everyone = np.ones_like(is_user)
    examples = target_choices(prepared, "test", everyone, LabelConfig(answer="rating"))
    predicted = bias.predict(examples, prepared)
    times = prepared.targets("test").select("user_index", "timestamp")
    rows = zip(examples.user_ids.tolist(), examples.item_ids.tolist(), predicted[:, 0], strict=True)
    moment = dict(times.iter_rows())
    for user, item, found in rows:
        gaps = [
            row["rating"] - bias.scale.mean - of_item(row["item_index"])
            for row in log
            if row["user_index"] == user and row["timestamp"] < moment[user]
        ]
        added = sum(gaps) / (len(gaps) + USER_SHRINKAGE)
        assert found == pytest.approx(bias.scale.mean + of_item(item) + added, abs=1e-5)
