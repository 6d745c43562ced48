from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import yaml

from xrec_lightning.data.config.load import PrepareConfig, load_config
from xrec_lightning.data.config.steps import SplitConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate, prepare
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.protocol import dump_protocol, make_protocol, read_protocol

MakeConfig = Callable[..., PrepareConfig]

HEADER = "user_id,item_id,domain,timestamp\n"
ROWS = ["u,a,x,1\n", "u,b,y,2\n", "u,c,x,3\n", "v,c,x,1\n", "v,a,x,2\n", "v,b,y,3\n"]
LOG = HEADER + "".join(ROWS)
ITEMS = "item_id,domain,title\na,x,Tea\nb,y,Pot\nc,x,\n"


def protocol_of(config: PrepareConfig) -> dict:
    return make_protocol(Prepared.open(prepare(config)))


@pytest.fixture
def frozen(make_config: MakeConfig, tmp_path: Path) -> Path:
    """The protocol of the small log."""
    path = tmp_path / "protocol.yaml"
    path.write_text(dump_protocol(protocol_of(make_config())))
    return path


def test_the_protocol_says_what_is_evaluated(make_config: MakeConfig) -> None:
    protocol = protocol_of(make_config())
    assert list(protocol) == [
        "hash", "schema_version", "settings", "inputs", "domains", "counts", "contents",
    ]  # fmt: skip
    assert protocol["domains"] == ["x", "y"]
    assert len(protocol["inputs"]) == 1
    counts = protocol["counts"]
    assert (counts["users"], counts["items"], counts["interactions"]) == (2, 3, 6)
    assert (counts["train"], counts["val_targets"], counts["test_targets"]) == (2, 2, 2)
    assert protocol["settings"]["split"]["method"] == "leave_one_out"
    assert str(make_config().output) not in dump_protocol(protocol)


def test_texts_and_places_do_not_change_it(make_config: MakeConfig, tmp_path: Path) -> None:
    first = protocol_of(make_config())
    other = make_config(items=ITEMS.replace("Tea", "Green tea"))
    assert other.items is not None
    other = replace(
        other,
        items=replace(other.items, max_words=3),
        domains={"x": "drinks"},
        output=str(tmp_path / "elsewhere"),
    )
    assert protocol_of(other) == first


@pytest.mark.parametrize(
    ("changes", "differing"),
    [
        ({"seed": 1}, {"settings"}),
        ({"split": SplitConfig(method="last_n")}, {"settings"}),
        ({"log": LOG + "w,a,x,1\n"}, {"inputs", "counts", "contents"}),
        ({"items": ITEMS + "d,y,Pan\n"}, {"counts", "contents"}),
        ({"items": ITEMS.replace("c,x", "c,y")}, {"contents"}),
    ],
)
def test_what_shapes_the_evaluation_changes_it(
    make_config: MakeConfig, changes: dict, differing: set[str]
) -> None:
    first, second = protocol_of(make_config()), protocol_of(make_config(**changes))
    assert {name for name in first if first[name] != second[name]} == {"hash", *differing}


def test_contents_do_not_depend_on_the_order_of_rows(make_config: MakeConfig) -> None:
    first = protocol_of(make_config())
    second = protocol_of(make_config(HEADER + "".join(reversed(ROWS))))
    assert first["contents"] == second["contents"]
    assert first["inputs"] != second["inputs"]


def test_whole_numbers_are_one_setting_however_they_are_written(make_config: MakeConfig) -> None:
    days = [SplitConfig(fold_days=7), SplitConfig(fold_days=7.0), SplitConfig(fold_days=7.5)]
    hashes = [protocol_of(make_config(split=split))["hash"] for split in days]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("item_index", [3, 3]),
        ("history_end", [1, 5]),
        ("slice_cold", [True, True]),
        ("extra_seen", [[1], []]),
        ("extra_seen", [[], [1]]),
    ],
)
def test_each_column_of_the_targets_counts(
    make_config: MakeConfig, column: str, values: list
) -> None:
    prepared = Prepared.open(prepare(make_config()))
    seen = {make_protocol(prepared)["contents"]["test"]}
    path = prepared.folder / "targets" / "test.parquet"
    targets = pl.read_parquet(path)
    dtype = targets.schema[column]
    targets.with_columns(pl.Series(column, values, dtype=dtype)).write_parquet(path)
    contents = make_protocol(prepared)["contents"]
    seen.add(contents["test"])
    lists = pl.Series("extra_seen", [[1, 1], []], dtype=targets.schema["extra_seen"])
    targets.with_columns(lists).write_parquet(path)
    seen.add(make_protocol(prepared)["contents"]["test"])
    assert len(seen) == 3


def test_a_frozen_protocol_is_read_back(make_config: MakeConfig, frozen: Path) -> None:
    assert read_protocol(frozen) == protocol_of(make_config())
    assert Prepared.open(prepare(make_config())).protocol == read_protocol(frozen)["hash"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not valid YAML"),
        ("split: {n: 1}", r"no protocol: it has no `hash`; make one with `xrec protocol`"),
        ("- hash", "no protocol"),
        ("hash: abc\nschema_version: 3", "the file was changed after it was frozen"),
    ],
)
def test_a_file_that_is_no_protocol_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "protocol.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as error:
        read_protocol(path)
    assert str(path) in str(error.value)


def test_data_that_follow_the_protocol_are_prepared(
    make_config: MakeConfig, frozen: Path, tmp_path: Path
) -> None:
    config = replace(make_config(), output=str(tmp_path / "new"), protocol=str(frozen))
    folder = prepare(config)
    assert folder.name == prepare(make_config()).name
    assert prepare(config) == folder


def test_other_data_are_refused_and_leave_nothing(
    make_config: MakeConfig, frozen: Path, tmp_path: Path
) -> None:
    config = make_config(LOG + "w,a,x,1\nw,b,x,2\nw,c,x,3\n", split=SplitConfig(method="last_n"))
    config = replace(config, output=str(tmp_path / "new"), protocol=str(frozen))
    with pytest.raises(InputError) as error:
        prepare(config)
    message = str(error.value)
    assert message.startswith(f"protocol: {frozen}: the prepared data do not follow it: ")
    assert "settings.split.method is last_n, frozen leave_one_out" in message
    assert "counts.users is 3, frozen 2" in message
    digests = read_protocol(frozen)["inputs"]
    assert f"frozen [{digests[0][:12]}]" in message
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_that_exists_is_checked_too(
    make_config: MakeConfig, frozen: Path, tmp_path: Path
) -> None:
    prepare(make_config(seed=1))
    with pytest.raises(InputError, match=r"settings\.seed is 1, frozen 0"):
        prepare(make_config(seed=1, protocol=str(frozen)))
    data = tmp_path / "data.yaml"
    text = f"""
interactions: {{path: {tmp_path}/log.csv}}
items: {{path: {tmp_path}/items.csv, title: title, text: [title]}}
output: {tmp_path}/prepared
"""
    data.write_text(text)
    folder = prepare(load_config(data))
    data.write_text(f"{text}protocol: {frozen}\n")
    assert locate(data) == folder
    data.write_text(f"{text}seed: 1\n")
    prepare(load_config(data))
    data.write_text(f"{text}seed: 1\nprotocol: {frozen}\n")
    with pytest.raises(InputError, match=r"settings\.seed is 1, frozen 0"):
        locate(data)


def test_a_missing_protocol_is_told_before_the_work(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.yaml: no such file"):
        prepare(make_config(protocol=str(tmp_path / "none.yaml")))
    assert not (tmp_path / "prepared").exists()


def test_dates_stay_text(make_config: MakeConfig, tmp_path: Path) -> None:
    split = SplitConfig(method="global_time", val_from="1970-01-01", test_from=3)
    log = LOG.replace(",1\n", ",-1\n")
    protocol = protocol_of(make_config(log, split=split))
    path = tmp_path / "protocol.yaml"
    path.write_text(dump_protocol(protocol))
    assert yaml.safe_load(path.read_text())["settings"]["split"]["val_from"] == "1970-01-01"
    assert read_protocol(path) == protocol
