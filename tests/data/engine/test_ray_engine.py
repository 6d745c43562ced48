"""The steps on a cluster of two workers: the same folder as in this process."""

import os
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.steps import SplitConfig
from xrec_lightning.data.config.tables import InteractionsConfig
from xrec_lightning.data.engine.cleaning import clean_shard
from xrec_lightning.data.engine.log import ParsedLog
from xrec_lightning.data.engine.ray_engine import RayEngine
from xrec_lightning.data.engine.shards import Shards, Vocabulary
from xrec_lightning.data.engine.workspace import FolderWorkspace
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import prepare
from xrec_lightning.data.prepared import Prepared

ray = pytest.importorskip("ray")

SameFolder = Callable[..., None]
MakeRich = Callable[..., PrepareConfig]


@pytest.fixture(scope="module")
def engine() -> Iterator[RayEngine]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield RayEngine()
    ray.shutdown()


@pytest.mark.parametrize(
    "split",
    [
        SplitConfig(cold_items=0.2),
        SplitConfig(method="global_time", val_share=0.2, test_share=0.2, cold_users=0.2),
    ],
    ids=["leave_one_out", "global_time"],
)
def test_the_folder_is_that_of_one_process(
    engine: RayEngine,
    make_rich: MakeRich,
    same_folder: SameFolder,
    tmp_path: Path,
    split: SplitConfig,
) -> None:
    config = make_rich(split=split)
    local = prepare(config)
    config = replace(config, output=str(tmp_path / "on_ray"))
    same_folder(local, prepare(config, engine, rows_per_shard=60))
    manifest = Prepared.open(local).manifest
    for reason in ("user or item has too few training events", "exact duplicate of another row"):
        assert manifest["rejected"][reason] > 0
    assert manifest["links"]["user"]["merged"] > 0
    assert manifest["counts"]["hidden_items"] == (3 if split.cold_items else 0)
    assert Prepared.open(local).weights is not None
    assert Prepared.open(local).dislikes is not None


def test_workers_in_another_folder_find_relative_paths(
    engine: RayEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{user},{item},{item}" for user in "uvw" for item in range(4)]
    Path("log.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    log = InteractionsConfig(path="log.csv")
    folder = prepare(PrepareConfig(interactions=log, output="out"), engine)
    assert folder.parent == Path("out")
    assert Prepared.open(folder).manifest["inputs"][0]["path"] == "log.csv"
    assert list(Path("out").iterdir()) == [folder]


def test_what_is_wrong_in_a_task_is_said_and_leaves_nothing(
    engine: RayEngine, tmp_path: Path
) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\n" + "u,i,1\n" * 5 + "u,i,1,x,y\n")
    config = PrepareConfig(
        interactions=InteractionsConfig(path=str(tmp_path / "log.csv")),
        output=str(tmp_path / "prepared"),
    )
    with pytest.raises(InputError, match="line 7 has 5 fields, the header 3") as caught:
        prepare(config, engine)
    assert type(caught.value) is InputError
    assert list((tmp_path / "prepared").iterdir()) == []


def _fail_or_linger(folder: Path, shard: int) -> None:
    if shard == 0:
        while not (folder / "started").exists():
            time.sleep(0.01)
        raise InputError("shard 0 is broken")
    try:
        (folder / "started").touch()
        for _ in range(1000):
            time.sleep(0.03)
    finally:
        (folder / "ended").touch()


def test_no_task_outlives_the_error_of_another(engine: RayEngine, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="shard 0 is broken"):
        engine.map(partial(_fail_or_linger, tmp_path), range(2))
    assert (tmp_path / "ended").exists()


def _die_once(folder: Path, shard: int) -> None:
    if shard == 1 and not (folder / "died").exists():
        (folder / "died").touch()
        os._exit(1)


def test_a_dead_worker_is_an_error_and_its_step_is_not_done_again(
    engine: RayEngine, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"a worker of Ray has died: .* `--rows-per-shard`"):
        engine.map(partial(_die_once, tmp_path), range(2))


def test_results_are_in_order_and_nothing_is_nothing(engine: RayEngine) -> None:
    assert engine.map(lambda shard: shard**2, range(5)) == [0, 1, 4, 9, 16]
    assert engine.map(lambda shard: shard, []) == []


def test_ray_ends_with_the_engine_that_started_it(engine: RayEngine) -> None:
    assert engine.min_shards == 2
    with RayEngine() as joined:
        assert not joined.has_started
    assert ray.is_initialized()


def test_steps_carry_ids_once_and_no_rows(make_rich: MakeRich, tmp_path: Path) -> None:
    empty = pl.DataFrame({"user_id": ["u"]}).clear()
    log = ParsedLog(empty, 4, None, tmp_path)
    shards = Shards(make_rich(), log, FolderWorkspace(tmp_path))
    assert len(pickle.dumps(shards)) < 5_000
    ids = pl.Series([f"item {number:06}" for number in range(100_000)])
    vocabulary = Vocabulary([1, 2], ids, ids.head(3), np.zeros(len(ids) + 1, np.int32), 5)
    step = partial(clean_shard, shards, vocabulary, None)
    held = ids.estimated_size() + vocabulary.item_domains.nbytes
    # An id of more than 12 bytes has 16 more for its place.
    assert len(pickle.dumps(step)) < held + 16 * len(ids) + 20_000
    restored = pickle.loads(pickle.dumps(step))
    assert restored.args[1].items.equals(ids)
    assert restored.args[0].config == shards.config
