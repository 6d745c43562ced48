import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig, load_config
from xrec_lightning.data.config.steps import CleanConfig
from xrec_lightning.data.engine import indexing
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate, prepare
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.steps.targets import make_targets

HEADER = "user_id,item_id,domain,timestamp\n"
LOG = HEADER + "u,a,x,1\nu,b,y,2\nu,c,x,3\nv,c,x,1\nv,a,x,2\nv,b,y,3\n"
ITEMS = "item_id,domain,title\na,x,Tea\nb,y,Pot\nc,x,\n"

MakeConfig = Callable[..., PrepareConfig]


def test_a_small_log_becomes_a_whole_folder(make_config: MakeConfig) -> None:
    prepared = Prepared.open(prepare(make_config()))
    assert prepared.domains == ("x", "y")
    items = prepared.items()
    assert items.columns[:7] == [
        "item_index", "item_id", "domains", "title", "text", "train_count", "is_hidden",
    ]  # fmt: skip
    assert items.select("item_id", "text", "train_count").rows() == [
        ("a", "Tea", 1),
        ("b", "Pot", 0),
        ("c", None, 1),
    ]
    assert prepared.item_ids.tolist() == [1, 2, 3, 3, 1, 2]
    assert prepared.offsets.tolist() == [0, 3, 6]
    assert prepared.train_ends.tolist() == [1, 4]
    assert prepared.targets("val")["item_index"].to_list() == [2, 1]
    assert prepared.targets("test")["item_index"].to_list() == [3, 2]
    interactions = prepared.interactions().collect()
    assert interactions.columns == [
        "user_index", "item_index", "domain_index", "user_id", "item_id", "domain", "timestamp",
        "split",
    ]  # fmt: skip
    assert interactions["split"].to_list() == ["train", "val", "test"] * 2


def test_manifest_tells_inputs_counts_and_missing_text(make_config: MakeConfig) -> None:
    config = make_config()
    manifest = Prepared.open(prepare(config)).manifest
    assert [entry["rows"] for entry in manifest["inputs"]] == [6, None]
    assert len(manifest["inputs"][0]["sha256"]) == 64
    assert manifest["counts"]["items_without_text"] == 1
    assert manifest["counts"]["train"] == 2
    assert manifest["config"]["split"]["method"] == "leave_one_out"
    assert manifest["domain_overlap"]["x"] == {"x": 2, "y": 2}
    assert manifest["graph"]["user_item"] == 2


def test_the_same_config_and_input_reuse_the_folder(make_config: MakeConfig) -> None:
    config = make_config()
    folder = prepare(config)
    written = (folder / "manifest.json").stat().st_mtime_ns
    assert prepare(config) == folder
    assert (folder / "manifest.json").stat().st_mtime_ns == written
    assert prepare(replace(config, seed=1)) != folder
    assert prepare(make_config(LOG + "w,a,x,1\n")) != folder


def test_two_runs_write_the_same_arrays_and_tables(make_config: MakeConfig, tmp_path: Path) -> None:
    ties = HEADER + "".join(f"u{row % 3},i{row},x,{row // 9}\n" for row in range(40))
    config = make_config(ties, None)
    first = prepare(config)
    second = prepare(replace(config, output=str(tmp_path / "again")))
    assert first.name == second.name
    for path in first.rglob("*.npy"):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes()
    for path in first.rglob("*.parquet"):
        assert pl.read_parquet(path).equals(pl.read_parquet(second / path.relative_to(first)))


def test_every_dropped_row_is_written_with_its_reason(make_config: MakeConfig) -> None:
    log = LOG + "u,a,x,soon\n,a,x,5\nu,,x,5\nu,a,x,1\nu,a,x,9\n"
    prepared = Prepared.open(prepare(make_config(log)))
    rejected = pl.read_parquet(prepared.folder / "rejected.parquet")
    assert rejected["row"].to_list() == [6, 7, 8, 9, 10]
    assert rejected["value"].to_list() == ["soon", None, None, None, None]
    assert rejected["source"].unique().to_list() == [prepared.manifest["inputs"][0]["path"]]
    assert prepared.manifest["rejected"] == {
        "exact duplicate of another row": 1,
        "item_id is null": 1,
        "the user has an earlier event with this item": 1,
        "timestamp cannot be read": 1,
        "user_id is null": 1,
    }
    assert len(prepared.item_ids) == 6


def test_repeats_may_be_kept(make_config: MakeConfig) -> None:
    config = make_config(LOG + "u,a,x,4\n", clean=CleanConfig(repeats="keep"))
    prepared = Prepared.open(prepare(config))
    assert prepared.item_ids.tolist() == [1, 2, 3, 1, 3, 1, 2]
    assert prepared.manifest["rejected"] == {}


def test_the_core_is_fitted_on_training_and_leaves_the_vocabulary(make_config: MakeConfig) -> None:
    rows = [("uvw"[user], item, "x", time) for user in range(3) for time, item in enumerate("abyz")]
    log = HEADER + "".join(f"{user},{item},{domain},{time}\n" for user, item, domain, time in rows)
    config = make_config(log + "u,q,x,1\n", None, clean=CleanConfig(k_core=2))
    # y and z only validate and test: they have no training event.
    with pytest.raises(InputError, match="no val targets"):
        prepare(config)
    kept = log + "".join(f"{user},{item},x,0\n" for user in "st" for item in "abyz")
    prepared = Prepared.open(prepare(make_config(kept + "u,q,x,1\n", None, clean=config.clean)))
    assert prepared.items()["item_id"].to_list() == ["a", "b", "y", "z"]
    assert prepared.manifest["rejected"] == {"user or item has too few training events": 1}


def test_a_log_without_domains_has_one(make_config: MakeConfig) -> None:
    log = "user_id,item_id\n" + "u,a\nu,b\nu,c\nu,d\n"
    config = make_config(log, "item_id,title\na,Tea\nz,Zen\n")
    config = replace(config, interactions=replace(config.interactions, order="file"))
    prepared = Prepared.open(prepare(config))
    assert prepared.domains == ("items",)
    assert prepared.items()["item_id"].to_list() == ["a", "b", "c", "d", "z"]
    assert prepared.targets("test")["item_index"].to_list() == [4]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("user_id,itm_id,domain,timestamp\nu,a,x,1\n", "no column `item_id`"),
        (HEADER + "u,a,x,soon\n", "row 0 .*timestamp cannot be read.*'soon'"),
        (HEADER + "u,a,x,1\nu,b,x,1\n", "no val targets"),
        (HEADER + "u,a,cold,1\n", "domain 'cold' is the name of a slice"),
        (HEADER, "no rows"),
    ],
)
def test_bad_input_is_one_error_and_leaves_nothing(
    make_config: MakeConfig, tmp_path: Path, log: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        prepare(make_config(log))
    assert list((tmp_path / "prepared").iterdir()) == []


def test_a_catalog_domain_named_like_a_slice_is_refused(make_config: MakeConfig) -> None:
    with pytest.raises(InputError, match="domain 'warm'"):
        prepare(make_config(LOG, ITEMS + "d,warm,Pan\n"))


def test_a_leak_stops_the_run(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def make_leaky(*arguments: Any) -> pl.DataFrame:
        return make_targets(*arguments).with_columns(pl.col("history_end") + 1)

    monkeypatch.setattr(indexing, "make_targets", make_leaky)
    config = make_config()
    with pytest.raises(AssertionError, match="reaches its val target"):
        prepare(config)
    assert list(Path(config.output).iterdir()) == []


def test_a_dataset_is_located_by_folder_or_yaml(make_config: MakeConfig, tmp_path: Path) -> None:
    make_config(items=None)
    yaml = tmp_path / "data.yaml"
    yaml.write_text(f"interactions: {{path: {tmp_path}/log.csv}}\noutput: {tmp_path}/prepared\n")
    with pytest.raises(FileNotFoundError, match=f"run `xrec prepare {yaml}`"):
        locate(yaml)
    folder = prepare(load_config(yaml))
    assert locate(yaml) == folder
    assert locate(folder) == folder
    for wrong in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(FileNotFoundError, match="xrec prepare"):
            locate(wrong)


KILLED = """
import sys, time
from pathlib import Path
from xrec_lightning.data import prepare as pipeline
from xrec_lightning.data.config.load import load_config

def stall(folder, facts):
    print("half", flush=True)
    time.sleep(60)

pipeline.write_manifest = stall
pipeline.prepare(load_config(Path(sys.argv[1])))
"""


def test_a_killed_run_leaves_no_half_folder(make_config: MakeConfig, tmp_path: Path) -> None:
    make_config(items=None)
    yaml = tmp_path / "data.yaml"
    yaml.write_text(f"interactions: {{path: {tmp_path}/log.csv}}\noutput: {tmp_path}/prepared\n")
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(yaml)], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    leftovers = list((tmp_path / "prepared").iterdir())
    assert [path.name.startswith(".tmp-") for path in leftovers] == [True]
    assert any(leftovers[0].iterdir())
    with pytest.raises(FileNotFoundError, match="not prepared yet"):
        locate(yaml)
    folder = prepare(load_config(yaml))
    assert list((tmp_path / "prepared").iterdir()) == [folder]
    Prepared.open(folder)


TWICE = """
import sys
from pathlib import Path
from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.prepare import prepare

config = load_config(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(prepare(config, rows_per_shard=int(sys.argv[2])))
"""


def test_processes_at_once_make_one_folder(make_config: MakeConfig, tmp_path: Path) -> None:
    make_config(items=None)
    yaml = tmp_path / "data.yaml"
    yaml.write_text(f"interactions: {{path: {tmp_path}/log.csv}}\noutput: {tmp_path}/prepared\n")
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", TWICE, str(yaml), rows_per_shard],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=environment,
                    text=True,
                )
            )
            for rows_per_shard in ("1", "1000")
        ]
        assert [str(each.stdout and each.stdout.readline()) for each in processes] == [
            "ready\n"
        ] * 2
        printed = [each.communicate("go\n")[0] for each in processes]
    (folder,) = (tmp_path / "prepared").iterdir()
    assert printed == [f"{folder}\n"] * 2
    assert Prepared.open(folder).manifest["counts"]["interactions"] == 6


JOURNEY = Path("configs/data/complete_journey.yaml")


def test_the_shipped_data_is_prepared(tmp_path: Path) -> None:
    prepared = Prepared.open(prepare(replace(load_config(JOURNEY), output=str(tmp_path))))
    counts, ties = prepared.manifest["counts"], prepared.manifest["ties"]
    assert (counts["users"], counts["items"], counts["interactions"]) == (2456, 16821, 726276)
    assert ties["last_event_share"] == pytest.approx(0.77, abs=0.005)
    assert prepared.manifest["domain_overlap"]["cosmetics"]["nutrition"] == 277


@pytest.mark.skipif("XREC_DATA" not in os.environ, reason="XREC_DATA is not set")
@pytest.mark.parametrize("name", ["", "_cold", "_time"])
def test_the_benchmark_data_is_prepared(tmp_path: Path, name: str) -> None:
    config = load_config(Path(f"configs/data/amazon_grocery_kitchen{name}.yaml"))
    prepared = Prepared.open(prepare(replace(config, output=str(tmp_path))))
    counts = prepared.manifest["counts"]
    assert (counts["users"], counts["items"], counts["interactions"]) == (7144, 28095, 173548)
    assert prepared.manifest["ties"]["last_event_share"] == pytest.approx(0.32, abs=0.005)
    assert counts["items_without_text"] == 4738
    assert counts["hidden_items"] == (1869 if name == "_cold" else 0)
