"""What the whole log says, from what its shards say."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.steps import CleanConfig, EventsConfig, SplitConfig
from xrec_lightning.data.engine.assembling import FinalTables, clean_log, index_tables, split_log
from xrec_lightning.data.engine.engines import LocalEngine
from xrec_lightning.data.engine.opening import open_inputs
from xrec_lightning.data.engine.shards import Shards
from xrec_lightning.data.engine.workspace import FolderWorkspace
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.inputs import find_inputs

MakeConfig = Callable[..., PrepareConfig]


class ManyShards(LocalEngine):
    """Wants more shards than there are users."""

    min_shards = 9


ENGINE = ManyShards()
HEADER = "user_id,item_id,domain,timestamp\n"
LOG = HEADER + "u,a,x,1\nu,b,y,2\nu,c,x,3\nv,c,x,1\nv,a,x,2\nv,b,y,3\nw,d,y,1\n"


def assemble(config: PrepareConfig, folder: Path) -> FinalTables:
    """Return the final tables of a log in as many shards as it has users."""
    opened = open_inputs(config, find_inputs(config), folder / "work", ENGINE, 10**6)
    shards = Shards(config, opened.log, FolderWorkspace(folder / "work"))
    assert opened.log.num_shards > 1
    clean = clean_log(shards, opened.items, ENGINE)
    split = split_log(shards, clean, opened.items, ENGINE)
    return index_tables(shards, clean, split, opened.items, opened.users)


def test_indices_are_dense_and_sorted_over_all_shards(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    tables = assemble(make_config(LOG), tmp_path)
    assert tables.users.select("user_index", "user_id").rows() == [(1, "u"), (2, "v"), (3, "w")]
    assert tables.items.select("item_index", "item_id", "domains").rows() == [
        (1, "a", ["x"]),
        (2, "b", ["y"]),
        (3, "c", ["x"]),
        (4, "d", ["y"]),
    ]
    assert tables.domains == ["x", "y"]
    assert tables.indices.users.tolist() == [0, 1, 2, 3]
    assert tables.indices.items.tolist() == [0, 1, 2, 3, 4]
    assert tables.cold is None


def test_what_is_outside_the_core_of_all_shards_has_no_index(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    # Item a has two training events, each in another shard; d and w have one.
    log = HEADER + "u,a,x,1\nu,c,x,1\nu,a,y,9\nv,a,x,1\nv,c,x,1\nv,c,z,9\nw,d,z,1\n"
    config = make_config(log, None, clean=CleanConfig(k_core=2, repeats="keep"))
    tables = assemble(config, tmp_path)
    assert tables.users["user_id"].to_list() == ["u", "v"]
    assert tables.items["item_id"].to_list() == ["a", "c"]
    assert tables.domains == ["x", "y", "z"]
    assert tables.indices.users.tolist() == [0, 1, 2, 0]
    assert tables.indices.items.tolist() == [0, 1, 2, 0]


def test_a_domain_that_the_core_leaves_empty_has_no_index(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    log = HEADER + "u,a,x,1\nu,c,x,1\nu,a,x,9\nv,a,x,1\nv,c,x,1\nw,d,b,1\n"
    config = make_config(log, None, clean=CleanConfig(k_core=2, repeats="keep"))
    tables = assemble(config, tmp_path)
    assert tables.domains == ["x"]
    assert tables.indices.domains.tolist() == [0, 0, 1]


def test_a_log_without_domains_takes_those_of_the_catalog_or_one(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    log = "user_id,item_id,timestamp\nu,a,1\nu,b,2\nv,c,3\n"
    listed = "item_id,domain,title\na,x,A\nb,y,B\nc,x,C\ne,z,E\n"
    assert assemble(make_config(log, listed), tmp_path / "a").domains == ["x", "y", "z"]
    nulls = "item_id,domain,title\na,,A\nz,,Z\n"
    tables = assemble(make_config(log, nulls), tmp_path / "b")
    assert tables.domains == ["items"]
    assert tables.items["item_id"].to_list() == ["a", "b", "c", "z"]


def test_hidden_items_and_users_are_in_final_indices(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    items = "item_id,domain,title\n0a,x,nowhere else\na,x,A\n"
    log = HEADER + "".join(
        f"{user},{item},x,{day}\n" for user in "uv" for day, item in enumerate("bac")
    )
    split = SplitConfig(cold_items=0.99, cold_users=0.5)
    cold = assemble(make_config(log, items, split=split), tmp_path).cold
    assert cold is not None
    # Of the items with events only a has text; 0a is item 1, a item 2.
    assert cold.items.tolist() == [False, False, True, False, False]
    assert cold.users[0] == 0
    assert cold.users.sum() == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"events": EventsConfig(dislikes=["no"])}, "no file of the interactions has a column"),
        ({"clean": CleanConfig(filters=["stars > 1"])}, "no column `stars`"),
        ({"clean": CleanConfig(filters=["timestamp > 10"])}, "all interactions are rejected"),
        ({"clean": CleanConfig(k_core=5)}, "k_core: 5 leaves no user"),
        ({"split": SplitConfig(cold_domain="z")}, "split.cold_domain: z: no such domain"),
        ({"split": SplitConfig(cold_users=0.01)}, "0.01 of 2 users with events at two times is"),
    ],
)
def test_what_the_log_as_a_whole_cannot_do_is_refused(
    make_config: MakeConfig, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        assemble(replace(make_config(LOG), **changes), tmp_path)


def test_the_first_rejected_row_of_all_shards_is_named(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    log = HEADER + "v,a,x,late\nu,b,x,soon\n"
    with pytest.raises(InputError, match=r"the first, row 0 of .*log.csv: .*'late'"):
        assemble(make_config(log), tmp_path)


def test_a_shard_has_its_users_only(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(LOG)
    opened = open_inputs(config, find_inputs(config), tmp_path / "work", ENGINE, 10**6)
    shards = Shards(config, opened.log, FolderWorkspace(tmp_path / "work"))
    clean = clean_log(shards, opened.items, ENGINE)
    assert clean.vocabulary.first_users == [1, 2, 3, 4]
    assert [shards.users(shard).to_list() for shard in shards.numbers] == [["u"], ["v"], ["w"]]
    assert clean.rows == {str(Path(config.interactions.path)): 7}
    kept = pl.concat([shards.frames.get("kept", shard) for shard in shards.numbers])
    assert kept["user_index"].to_list() == [1, 1, 1, 2, 2, 2, 3]
