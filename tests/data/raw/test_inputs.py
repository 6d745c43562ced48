from dataclasses import replace
from pathlib import Path

import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.steps import AnonymizeConfig
from xrec_lightning.data.config.tables import (
    InteractionsConfig,
    ItemsConfig,
    LinksConfig,
    TriplesConfig,
    UsersConfig,
)
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.inputs import find_inputs, read_tables


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
    assert read_tables(bare, find_inputs(bare)) == (None, None, None, None)


@pytest.mark.parametrize("table", ["items", "users"])
def test_columns_that_the_config_names_must_exist(config: PrepareConfig, table: str) -> None:
    broken = replace(config, **{table: replace(getattr(config, table), text=["txt"])})
    with pytest.raises(InputError, match=f"{table}.csv: no column `txt`"):
        read_tables(broken, find_inputs(broken))


def test_templates_and_vectors_name_columns_and_files(
    config: PrepareConfig, tmp_path: Path
) -> None:
    items = ItemsConfig(path=str(tmp_path / "items.csv"), template="{titel}")
    broken = replace(config, items=items)
    with pytest.raises(InputError, match=r"items\.csv: no column `titel`"):
        read_tables(broken, find_inputs(broken))
    (tmp_path / "image.npy").write_bytes(b"vectors")
    vectors = {"image": str(tmp_path / "image.npy"), "text": "title"}
    inputs = find_inputs(replace(config, items=replace(items, vectors=vectors)))
    assert list(inputs.vectors) == ["image"]
    assert str(tmp_path / "image.npy") in inputs.hashes


def test_another_key_gives_another_folder(
    config: PrepareConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = replace(config, anonymize=AnonymizeConfig(users=True))
    monkeypatch.setenv("XREC_ANONYMIZE_KEY", "0123456789abcdef")
    first = find_inputs(hidden).fingerprint
    assert find_inputs(hidden).fingerprint == first
    monkeypatch.setenv("XREC_ANONYMIZE_KEY", "0123456789abcdeX")
    assert find_inputs(hidden).fingerprint != first


def test_triples_and_links_are_read(config: PrepareConfig, tmp_path: Path) -> None:
    (tmp_path / "facts.csv").write_text("head,relation,tail\na,is,green\n")
    (tmp_path / "links.csv").write_text("left_id,right_id\nu,w\n")
    more = replace(
        config,
        knowledge=TriplesConfig(path=str(tmp_path / "facts.csv")),
        links=LinksConfig(path=str(tmp_path / "links.csv")),
    )
    tables = read_tables(more, find_inputs(more))
    assert tables.triples is not None
    assert tables.triples.collect()["tail"].to_list() == ["green"]
    assert tables.links is not None
    assert tables.links.collect()["kind"].to_list() == ["user"]
