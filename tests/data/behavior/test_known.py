"""How much of each user a request knows."""

from pathlib import Path

import pytest

from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.data.prepare import prepare


@pytest.mark.parametrize("until", ["train", "val", "test", "now"])
def test_until_says_how_much_of_a_history_predict_knows(tiny_dataset: Path, until: str) -> None:
    datamodule = BehaviorDataModule(tiny_dataset, until=until)  # type: ignore[arg-type]
    user = datamodule.raw_user_ids[0]
    batch = datamodule.request_batch(datamodule.requests([user]))
    known = int((batch.item_ids[0] > 0).sum())
    log = datamodule.prepared.interactions().collect().filter(user_id=user)
    counts = dict(log.group_by("split").len().iter_rows())
    expected = {
        "train": counts["train"],
        "val": counts["train"],
        "test": counts["train"] + counts["val"],
        "now": len(log),
    }
    assert known == expected[until]


@pytest.fixture(scope="module")
def cold_dataset(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data with a third of its items hidden."""
    folder = tmp_path_factory.mktemp("cold")
    path = folder / "cold.yaml"
    text = tiny_dataset.read_text()
    text = text.replace(f"output: {tiny_dataset.parent}/prepared", f"output: {folder}/prepared")
    path.write_text(text + "split: {cold_items: 0.3}\n")
    prepare(load_config(path))
    return path


@pytest.mark.parametrize("until", ["train", "val", "test", "now"])
def test_hidden_items_that_were_taken_are_no_candidates(cold_dataset: Path, until: str) -> None:
    datamodule = BehaviorDataModule(cold_dataset, until=until)  # type: ignore[arg-type]
    log = datamodule.prepared.interactions().collect()
    assert (log["split"] == "hidden").any()
    for user in datamodule.raw_user_ids:
        own = log.filter(user_id=user)
        batch = datamodule.request_batch(datamodule.requests([user]))
        known = int((batch.item_ids[0] > 0).sum())
        warm = own.filter(own["split"] != "hidden")
        next_time = warm["timestamp"][known] if known < len(warm) else None
        hidden = own.filter(own["split"] == "hidden")
        if next_time is not None:
            hidden = hidden.filter(hidden["timestamp"] < next_time)
        expected = {*warm["item_index"][:known], *hidden["item_index"]}
        assert set(batch.seen_ids[0].tolist()) - {0} == expected


def test_a_hidden_target_does_not_shorten_what_is_known(cold_dataset: Path) -> None:
    ends = {}
    for until in ("train", "val", "test", "now"):
        requests = BehaviorDataModule(cold_dataset, until=until).requests()  # type: ignore[arg-type]
        ends[until] = requests["history_end"]
    assert (ends["train"] <= ends["val"]).all()
    assert (ends["val"] <= ends["test"]).all()
    assert (ends["test"] <= ends["now"]).all()
    assert (ends["train"] < ends["test"]).any()
