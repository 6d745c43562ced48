"""Tables besides the log, under linked and hashed ids."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.steps import AnonymizeConfig, CleanConfig
from xrec_lightning.data.config.tables import ItemsConfig, LinksConfig, TriplesConfig, UsersConfig
from xrec_lightning.data.engine.engines import LocalEngine
from xrec_lightning.data.engine.opening import Opened, open_inputs
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import prepare
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.raw.inputs import find_inputs

MakeConfig = Callable[..., PrepareConfig]

KEY = "XREC_ANONYMIZE_KEY"
PEOPLE = ["alice-1", "ALICE_2", "bob-3", "carl-4", "dora-5", "erik-6"]
"""Ids that are found wherever they are; the first two are one person, the last in no log."""


def open_config(config: PrepareConfig, folder: Path) -> Opened:
    return open_inputs(config, find_inputs(config), folder / "work", LocalEngine(), 10**6)


@pytest.fixture
def with_people(make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function of changes that gives the config of a log of people, hidden."""
    monkeypatch.setenv(KEY, "0123456789abcdef")
    rows = [(user, item, time) for user in PEOPLE[:4] for time, item in enumerate("abcd")]
    log = "user_id,item_id,domain,timestamp\n" + "".join(
        f"{user},{item},x,{time}\n" for user, item, time in rows
    )
    log += "dora-5,a,x,never\ndora-5,a,x,3\ndora-5,b,x,4\n"
    (tmp_path / "users.csv").write_text(
        "user_id,city,mail\n" + "".join(f"{user},Rome,{user}@x.org\n" for user in PEOPLE)
    )
    (tmp_path / "links.csv").write_text(
        "left_id,right_id,kind\nalice-1,ALICE_2,user\nbob-3,,user\ncarl-4,carl-4,user\n"
        "a,b,item\nerik-6,erik-6,user\n"
    )
    config = make_config(
        log,
        users=UsersConfig(path=str(tmp_path / "users.csv"), text=["city"], profile=["city"]),
        links=LinksConfig(path=str(tmp_path / "links.csv")),
        anonymize=AnonymizeConfig(users=True, drop=["mail"]),
    )

    def make(**changes: object) -> PrepareConfig:
        return replace(config, **changes)

    return make


def every_byte(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the bytes of each file; of tables those of all values, as they are compressed."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes()
            if path.suffix == ".parquet":
                yield path.name, str(pl.read_parquet(path).rows()).encode()


@pytest.mark.parametrize("rows_per_shard", [10**6, 7])
def test_ids_of_people_who_are_hidden_stand_in_no_file(
    with_people: MakeConfig, rows_per_shard: int
) -> None:
    folder = prepare(with_people(), rows_per_shard=rows_per_shard)
    for name, content in every_byte(folder):
        for person in PEOPLE:
            assert person.encode() not in content, (name, person)
    prepared = Prepared.open(folder)
    assert len(prepared.users()) == 4  # two are one
    assert prepared.users()["text"].to_list() == ["Rome"] * 4
    assert prepared.users().columns == ["user_index", "user_id", "text", "city"]
    assert prepared.users()["user_id"].is_sorted()
    rejected = pl.read_parquet(folder / "rejected.parquet")
    assert rejected.filter(pl.col("source").str.ends_with("links.csv"))["row"].to_list() == [1]
    assert prepared.manifest["links"] == {
        "user": {"linked": 4, "merged": 1, "absent": 0},
        "item": {"linked": 2, "merged": 1, "absent": 0},
    }


def test_hidden_people_are_as_many_as_shown_ones(with_people: MakeConfig) -> None:
    hidden = Prepared.open(prepare(with_people()))
    shown = Prepared.open(prepare(with_people(anonymize=AnonymizeConfig())))
    assert hidden.manifest["counts"] == shown.manifest["counts"]
    assert hidden.manifest["rejected"] == shown.manifest["rejected"]
    values = pl.read_parquet(shown.folder / "rejected.parquet")["value"].to_list()
    assert {"bob-3 | user | ", "never"} <= set(values)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"anonymize": AnonymizeConfig(drop=["male"])}, "no column `male`; did you mean `mail`"),
        ({"anonymize": AnonymizeConfig(drop=["mail"]), "users": None}, "drop: mail: there are no"),
        ({"anonymize": AnonymizeConfig(drop=["city"])}, "drop: `city` is used by"),
        ({"clean": CleanConfig(filters=["user_id <> 'bob-3'"])}, "anonymize.users` hides `user_id"),
    ],
)
def test_what_would_show_or_keep_people_is_refused(
    with_people: MakeConfig, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        prepare(with_people(**changes))


@pytest.mark.parametrize("place", ["text", "profile", "template"])
def test_ids_are_no_text_of_people_who_are_hidden(
    with_people: MakeConfig, place: str, tmp_path: Path
) -> None:
    value: Any = "{user_id} of Rome" if place == "template" else ["user_id"]
    users = UsersConfig(path=str(tmp_path / "users.csv"), **{place: value})
    with pytest.raises(InputError, match="column `user_id` holds the ids that shall be hidden"):
        prepare(with_people(users=users))


def test_a_column_of_a_template_is_not_dropped(with_people: MakeConfig, tmp_path: Path) -> None:
    users = UsersConfig(path=str(tmp_path / "users.csv"), template="[{mail}]")
    with pytest.raises(InputError, match="drop: `mail` is used by"):
        prepare(with_people(users=users))


def test_vectors_come_from_a_column_and_from_a_file(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    """Rows without an id count in the file, and linked ids share the first vector."""
    pl.DataFrame(
        {
            "item_id": ["b", None, "a", "z", "c"],
            "title": ["B", "?", "A", "Z", "C"],
            "look": [[1.0, 2.0], [9.0, 9.0], None, [5.0, 6.0], [3.0, 4.0]],
        }
    ).write_parquet(tmp_path / "items.parquet")
    np.save(tmp_path / "sound.npy", np.arange(5)[:, None] * 10)
    (tmp_path / "links.csv").write_text("left_id,right_id,kind\na,z,item\n")
    config = make_config(
        items=None,
        links=LinksConfig(path=str(tmp_path / "links.csv")),
    )
    items = ItemsConfig(
        path=str(tmp_path / "items.parquet"),
        text=["title"],
        vectors={"image": "look", "audio": str(tmp_path / "sound.npy")},
    )
    prepared = Prepared.open(prepare(replace(config, items=items)))
    assert prepared.items()["item_id"].to_list() == ["a", "b", "c"]
    assert prepared.items().columns[-2:] == ["is_hidden", "title_raw"]  # and no vectors
    modalities = prepared.folder / "modalities"
    assert np.load(modalities / "image.npy").tolist() == [[0, 0], [5, 6], [1, 2], [3, 4]]
    assert np.load(modalities / "audio.npy").tolist() == [[0], [20], [0], [40]]


def test_a_vector_file_of_other_length_is_refused(make_config: MakeConfig, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.ones((2, 3)))
    config = make_config()
    items = replace(config.items, vectors={"image": str(tmp_path / "v.npy")})
    with pytest.raises(InputError, match="2 rows, but the item files have 3"):
        open_config(replace(config, items=items), tmp_path)


def test_triples_are_in_the_text_under_linked_ids(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "kg.csv").write_text(
        "head,relation,tail\nb,made_by,Acme\na,goes_with,c\nq,made_by,\n"
    )
    (tmp_path / "links.csv").write_text("left_id,right_id,kind\na,b,item\n")
    config = make_config(
        knowledge=TriplesConfig(path=str(tmp_path / "kg.csv"), in_text=["made_by"]),
        links=LinksConfig(path=str(tmp_path / "links.csv")),
    )
    opened = open_config(config, tmp_path)
    assert dict(opened.items.select("item_id", "text").iter_rows()) == {
        "a": "Tea. made by: Acme",
        "c": None,
    }
    assert opened.triples["head"].to_list() == ["a", "a"]
    assert opened.rejected.select("row", "value").rows() == [(2, "q | made_by | ")]
    assert opened.linked == {"item": {"linked": 2, "merged": 1, "absent": 0}}
    unknown = TriplesConfig(path=str(tmp_path / "kg.csv"), in_text=["make_by"])
    with pytest.raises(InputError, match="no triple has the relation `make_by`; did you mean"):
        open_config(replace(config, knowledge=unknown), tmp_path)


def test_an_empty_catalog_is_none(make_config: MakeConfig, tmp_path: Path) -> None:
    prepared = Prepared.open(prepare(make_config(items="item_id,domain,title\n")))
    assert prepared.items()["text"].to_list() == [None] * 3
    assert prepared.manifest["text_coverage"] == {"items": 0.0, "interactions": 0.0}


def test_contacts_are_in_the_manifest(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id,bio,mail\nu,call +49 30 1234567,u@x.org\nv,,\n")
    users = UsersConfig(path=str(tmp_path / "users.csv"), text=["bio"])
    items = "item_id,title\na,ask jo@shop.org\nb,Pot\n"
    manifest = Prepared.open(prepare(make_config(items=items, users=users))).manifest
    assert manifest["contacts"] == {
        "items": {"title": {"email_in_text": 1}},
        "users": {"bio": {"phone_in_text": 1}},
    }
    assert manifest["links"] == {}
