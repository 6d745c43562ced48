from dataclasses import replace
from pathlib import Path

import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.tables import InteractionsConfig, ItemsConfig, UsersConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.inputs import collect_log, find_inputs, read_tables


@pytest.fixture
def config(tmp_path: Path) -> PrepareConfig:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu,a,1\n")
    (tmp_path / "items.csv").write_text("item_id,title\na,Tea\n")
    (tmp_path / "users.csv").write_text("user_id,age\nu,30\n")
    return PrepareConfig(
        interactions=InteractionsConfig(path=str(tmp_path / "log.csv")),
        items=ItemsConfig(path=str(tmp_path / "items.csv"), text=["title"]),
        users=UsersConfig(path=str(tmp_path / "users.csv"), profile=["age"]),
    )


def test_fingerprint_changes_with_contents_and_settings_only(
    config: PrepareConfig, tmp_path: Path
) -> None:
    first = find_inputs(config).fingerprint
    assert find_inputs(config).fingerprint == first
    assert find_inputs(replace(config, output="elsewhere")).fingerprint == first
    assert find_inputs(replace(config, seed=1)).fingerprint != first
    (tmp_path / "items.csv").write_text("item_id,title\na,Green tea\n")
    assert find_inputs(config).fingerprint != first


def test_every_table_is_read(config: PrepareConfig) -> None:
    inputs = find_inputs(config)
    assert [len(each) for each in inputs[:3]] == [1, 1, 1]
    assert len(inputs.hashes) == 3
    tables = read_tables(config, inputs)
    assert tables.catalog is not None
    assert tables.catalog.collect().rows() == [("a", "Tea")]
    assert tables.profiles is not None
    assert tables.profiles.collect().rows() == [("u", 30)]
    bare = replace(config, items=None, users=None)
    assert read_tables(bare, find_inputs(bare))[1:] == (None, None)


@pytest.mark.parametrize("table", ["items", "users"])
def test_columns_that_the_config_names_must_exist(config: PrepareConfig, table: str) -> None:
    broken = replace(config, **{table: replace(getattr(config, table), text=["txt"])})
    with pytest.raises(InputError, match=f"{table}.csv: no column `txt`"):
        read_tables(broken, find_inputs(broken))


def test_a_row_with_too_many_fields_names_its_file(config: PrepareConfig, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu,a,1\nu,b,2,3,4\n")
    inputs = find_inputs(config)
    with pytest.raises(InputError, match=r"log\.csv: cannot be read"):
        collect_log(read_tables(config, inputs).interactions, inputs)
