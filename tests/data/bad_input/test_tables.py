"""Items, users, triples, links and vectors that do not fit."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.prepared import Prepared

Refuse = Callable[..., None]
Accept = Callable[..., Prepared]

LOG = "interactions: {path: log.csv}\n"
ITEMS = LOG + "items: {path: items.csv, title: title, text: [title]}\n"
KNOWLEDGE = ITEMS + "knowledge: {path: kg.csv}\n"
LINKS = LOG + "links: {path: links.csv}\n"
VECTORS = LOG + "items: {path: items.csv, vectors: {image: image.npy}}\n"
COLUMN = LOG + "items: {path: items.csv, vectors: {image: picture}}\n"
CATALOG = "item_id,domain,title\na,x,Tea\nb,y,Pot\nc,x,\n"
LINK, TRIPLE = "left_id,right_id,kind\n", "head,relation,tail\n"
NO_TARGETS = "the split has no val targets"
NO_NUMBERS = "no array of numbers in the format of numpy"


class Planted:
    """What writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return Path.touch, (Path("planted"),)  # type: ignore[return-value]  # what pickle wants


def npy(values: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values), allow_pickle=True)
    return file.getvalue()


REFUSED = {
    "unknown text column": (
        {},
        LOG + "items: {path: items.csv, text: [tittlle]}",
        "items.csv",
        "`tittlle`",
        "did you mean `title`?",
    ),
    "unknown profile column": (
        {},
        LOG + "users: {path: users.csv, profile: [aeg]}",
        "users.csv",
        "`aeg`",
        "did you mean `age`?",
    ),
    "template with an unknown column": (
        {},
        LOG + "items: {path: items.csv, template: '{tittlle}'}",
        "items.csv",
        "`tittlle`",
        "did you mean `title`?",
    ),
    "template with an open brace": (
        {},
        LOG + "items: {path: items.csv, template: 'a {title'}",
        "items.template",
        "'a {title'",
        "write `{{` for the character itself",
    ),
    "template with an open bracket": (
        {},
        LOG + "items: {path: items.csv, template: '[{title}'}",
        "items.template",
        "'[{title}'",
        "never closed by a `]`",
    ),
    "template without a column": (
        {},
        LOG + "users: {path: users.csv, template: 'a user'}",
        "users.template",
        "'a user'",
        "write one as `{title}`",
    ),
    "items with too many fields": (
        {"items.csv": CATALOG + "d,x,Pan,9\n"},
        ITEMS,
        "items.csv: line 5",
        "4 fields",
        "in quotes",
    ),
    "empty items": ({"items.csv": ""}, ITEMS, "items.csv", "is empty", "give another or leave"),
    "a kind of link that is none": (
        {"links.csv": LINK + "a,b,shop\n"},
        LINKS,
        "links.csv: row 0",
        "'shop'",
        "write `user` or `item`",
    ),
    "links without an end": (
        {"links.csv": "left,right\na,b\n"},
        LINKS,
        "links.csv",
        "`left_id`",
        "under `columns.left_id`",
    ),
    "links that leave too few times": (
        {"links.csv": LINK + "a,b,item\nb,c,item\n"},
        LINKS,
        NO_TARGETS,
        "train: 2, val: 0",
        "give more data",
    ),
    "triples without a relation": (
        {"kg.csv": "head,rel,tail\na,b,c\n"},
        KNOWLEDGE,
        "kg.csv",
        "`relation`",
        "under `columns.relation`",
    ),
    "triples with too many fields": (
        {"kg.csv": TRIPLE + "a,b,c,d\n"},
        KNOWLEDGE,
        "kg.csv: line 2",
        "4 fields",
        "in quotes",
    ),
    "unknown relation": (
        {"kg.csv": TRIPLE + "a,made_by,c\n"},
        ITEMS + "knowledge: {path: kg.csv, in_text: [made_bi]}",
        "knowledge.in_text",
        "`made_bi`",
        "did you mean `made_by`?",
    ),
}

BAD_VECTORS = {
    "wrong rows": (VECTORS, npy([[1.0], [2.0]]), "image.npy", "2 rows, but", "row i of the array"),
    "no width": (VECTORS, npy(np.ones((3, 0))), "image.npy", "shape (3, 0)", "expected numbers"),
    "one dimension": (VECTORS, npy([1.0, 2.0, 3.0]), "image.npy", "shape (3,)", "expected numbers"),
    "NaN": (VECTORS, npy(np.full((3, 2), np.nan)), "items.vectors.image", "row 0", "leave the"),
    "infinite": (VECTORS, npy([[1], [np.inf], [1]]), "items.vectors.image", "item `b`", "correct"),
    "objects": (VECTORS, npy([Planted()] * 3), "image.npy", NO_NUMBERS, "`numpy.save`"),
    "a pickle": (VECTORS, pickle.dumps(Planted()), "image.npy", NO_NUMBERS, "`numpy.save`"),
    "cut": (VECTORS, npy(np.ones((3, 99)))[:-9], "image.npy", NO_NUMBERS, "`numpy.save`"),
    "empty": (VECTORS, b"", "image.npy", NO_NUMBERS, "`numpy.save`"),
}

BAD_COLUMNS = {
    "ragged": ("1 2", "1 2 3", "items.vectors.image", "3 wide", "need the same width"),
    "text": ("1 2", "1 q", "items.vectors.image", "'1 q'", "is no number"),
    "none": ("", "", "items.vectors.image", "`picture`", "no row of"),
}

ACCEPTED = {
    "cyclic links": ({"links.csv": LINK + "u,v,user\nv,w,user\nw,u,user\na,q,item\n"}, {}),
    "links of ids with themselves": ({"links.csv": LINK + "a,a,item\nu,u,user\n"}, {}),
    "links of unknown ids": ({"links.csv": LINK + "q,r,item\nq,r,user\n"}, {}),
    "half a link": ({"links.csv": LINK + "a,,item\n,b,item\n"}, {"a linked id is missing": 2}),
    "no links": ({"links.csv": LINK}, {}),
}


@pytest.mark.parametrize(
    ("files", "yaml", "where", "value", "remedy"), REFUSED.values(), ids=REFUSED
)
def test_tables_that_do_not_fit_are_refused(
    refuse: Refuse, files: dict[str, str], yaml: str, where: str, value: str, remedy: str
) -> None:
    refuse(files, yaml, where, value, remedy)


@pytest.mark.parametrize(
    ("yaml", "content", "where", "value", "remedy"), BAD_VECTORS.values(), ids=BAD_VECTORS
)
def test_files_of_bad_vectors_are_refused_and_never_unpickled(
    refuse: Refuse, yaml: str, content: bytes, where: str, value: str, remedy: str
) -> None:
    refuse({"image.npy": content}, yaml, where, value, remedy)
    assert not Path("planted").exists()


def test_a_missing_file_of_vectors_is_refused(refuse: Refuse) -> None:
    refuse({}, VECTORS, "image.npy", "no such file", "(from the path `image.npy`)")


@pytest.mark.parametrize(
    ("first", "second", "where", "value", "remedy"), BAD_COLUMNS.values(), ids=BAD_COLUMNS
)
def test_columns_of_bad_vectors_are_refused(
    refuse: Refuse, first: str, second: str, where: str, value: str, remedy: str
) -> None:
    items = f"item_id,domain,picture\na,x,{first}\nb,y,{second}\n"
    refuse({"items.csv": items}, COLUMN, where, value, remedy)


@pytest.mark.parametrize(("files", "reasons"), ACCEPTED.values(), ids=ACCEPTED)
def test_odd_links_are_no_fault(
    accept: Accept, files: dict[str, str], reasons: dict[str, int]
) -> None:
    # Of linked users one remains, whose repeats would be dropped.
    accept(files, LINKS + "clean: {repeats: keep}", reasons)


def test_unknown_entities_are_entities(accept: Accept) -> None:
    prepared = accept({"kg.csv": TRIPLE + "zz,made_by,a\n"}, KNOWLEDGE)
    entities = prepared.graph("entities").select("name", "kind").rows()
    assert entities == [("a", "item"), ("zz", "entity")]


def test_triples_without_a_part_or_weight_are_rejected(accept: Accept) -> None:
    rows = ["a,made_by,,1", ",made_by,a,1", "a,,b,1", "a, ,b,1", "a,made_by,x,inf", "a,made_by,y,"]
    prepared = accept(
        {"kg.csv": "head,relation,tail,weight\n" + "".join(f"{row}\n" for row in rows)},
        KNOWLEDGE,
        {"head, relation or tail is missing": 4, "the weight is not a finite number": 1},
    )
    dropped = pl.read_parquet(prepared.folder / "rejected.parquet")
    assert dropped["row"].to_list() == [0, 1, 2, 3, 4]
    assert prepared.manifest["graph"]["entity_entity"] == 1


def test_the_first_text_of_an_item_counts(accept: Accept) -> None:
    prepared = accept({"items.csv": CATALOG + "a,x,Coffee\nc,x,Cup\n"}, ITEMS)
    assert prepared.items()["text"].to_list() == ["Tea", "Pot", "Cup"]


def test_items_without_a_domain_or_an_id_are_no_candidates(accept: Accept) -> None:
    prepared = accept({"items.csv": CATALOG + "d,,Pan\n,x,Pan\n"}, ITEMS)
    assert prepared.items()["item_id"].to_list() == ["a", "b", "c"]


def test_a_domain_may_have_no_text(accept: Accept) -> None:
    prepared = accept({"items.csv": CATALOG.replace("Pot", "")}, ITEMS)
    assert prepared.items()["text"].to_list() == ["Tea", None, None]


@pytest.mark.parametrize("name", ["listed", "row", "source", "text", "user_index", "train_count"])
def test_columns_of_items_may_have_any_name(accept: Accept, name: str) -> None:
    items = f"item_id,domain,title,{name}\na,x,Tea,1\nb,y,Pot,2\n"
    prepared = accept({"items.csv": items}, ITEMS.replace("[title]", f"[title, {name}]"))
    assert prepared.items()["text"].to_list() == ["Tea. 1", "Pot. 2", None]
