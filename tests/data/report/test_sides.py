"""Catalogs and profiles, read from files."""

from pathlib import Path

from xrec_lightning.data.config.steps import AnonymizeConfig
from xrec_lightning.data.config.tables import ItemsConfig, UsersConfig
from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.report.facts import ColumnFacts, TableFacts
from xrec_lightning.data.report.linking import read_all_links
from xrec_lightning.data.report.sides import read_catalog, read_profiles

NO_LINKS = read_all_links(None)


def write(path: Path, text: str) -> SourceFile:
    path.write_text(text)
    return SourceFile(path, path.name)


def test_catalog_of_two_files(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "a.csv", "item_id,domain,title\na,x,Tea\na,y,\n,x,Pot\n"),
        write(tmp_path / "b.csv", "item_id,title,brand\nb,,Acme\n"),
    ]
    side = read_catalog(ItemsConfig(path="-", title="title", text=["title"]), files, NO_LINKS)
    assert side.facts == TableFacts(
        table="items",
        files=["a.csv", "b.csv"],
        rows=4,
        columns=[
            ColumnFacts("item_id", "String", 0),
            ColumnFacts("domain", "String", 1),
            ColumnFacts("title", "String", 2),
            ColumnFacts("brand", "String", 2),
        ],
    )
    pairs = side.pairs.sort("domain", "item_id", nulls_last=True)
    assert pairs.rows() == [("x", "a", True), ("y", "a", False), (None, "b", False)]
    rows = side.rows.sort("item_id").select("item_id", "rows", "domain_rows", "texts")
    assert rows.rows() == [("a", 2, 2, 1), ("b", 1, 1, 0)]
    assert [(each.code, each.file, each.count) for each in side.findings] == [
        ("rows_without_id", "a.csv", 1)
    ]


def test_contacts_are_looked_for_in_texts_of_items_only(tmp_path: Path) -> None:
    items = write(tmp_path / "items.csv", "item_id,title,maker\na,jo@shop.org,jo@shop.org\n")
    side = read_catalog(ItemsConfig(path="-", text=["title"]), [items], NO_LINKS)
    assert [(each.code, each.column) for each in side.findings] == [("email_in_text", "title")]


def test_contacts_are_looked_for_in_all_of_a_profile(tmp_path: Path) -> None:
    users = write(tmp_path / "users.csv", "user_id,text,age\nu,jo@shop.org,30\nv,,31\n")
    side = read_profiles(UsersConfig(path="-"), [users], NO_LINKS, AnonymizeConfig())
    assert [(each.code, each.column, each.share) for each in side.findings] == [
        ("email_in_text", "text", 0.5)
    ]
    assert [column.dtype for column in side.facts.columns] == ["String", "String", "Int64"]
    assert side.rows.sort("user_id")["rows"].to_list() == [1, 1]


def test_columns_that_are_dropped_may_hold_contacts(tmp_path: Path) -> None:
    users = write(tmp_path / "users.csv", "user_id,text\nu,jo@shop.org\n")
    side = read_profiles(UsersConfig(path="-"), [users], NO_LINKS, AnonymizeConfig(drop=["text"]))
    assert side.findings == []
