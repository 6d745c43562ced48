import json
from pathlib import Path
from shutil import copytree

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.corpus import (
    corpus,
    domain_texts,
    entity_texts,
    knowledge_texts,
    text_split,
    triple_texts,
)


@pytest.fixture
def prepared(tiny_dataset: Path) -> Prepared:
    return Prepared.open(locate(tiny_dataset))


@pytest.fixture
def known(tiny_dataset: Path, tmp_path: Path) -> Prepared:
    """The tiny data set with a label of a domain and with triples."""
    folder = copytree(locate(tiny_dataset), tmp_path / "known")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["config"]["domains"] = {"tea": "teas of the world"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    # The item i00 is the first one, with the title `green tea 0`; i29 has none.
    entities = [(1, "Japan", None), (2, "Kyoto", None), (3, "i00", 1), (4, "i29", 30)]
    edges = [
        (2, "lies_in", 1, None),
        (2, "makes", 3, "tea"),
        (2, "makes", 4, "tea"),
        (3, "grows in", 2, "tea"),
        (3, "sold in", 1, "pots"),
    ]
    names = ("head_index", "relation", "tail_index", "domain")
    pl.DataFrame(edges, schema=names, orient="row").write_parquet(
        folder / "graph/entity_entity.parquet"
    )
    pl.DataFrame(
        entities, schema={"entity_index": None, "name": None, "item_index": pl.Int32}, orient="row"
    ).write_parquet(folder / "graph/entities.parquet")
    return Prepared.open(folder)


def test_triples_become_texts_of_their_heads(known: Prepared) -> None:
    assert entity_texts(known).rows() == [
        ("entity", "Japan", None, "Japan"),
        ("entity", "Kyoto", "tea", "Kyoto. lies in: Japan. makes: green tea 0, i29"),
        ("fact", "i00", None, "green tea 0. grows in: Kyoto. sold in: Japan"),
    ]


def test_facts_of_items_are_in_the_corpus_only(known: Prepared) -> None:
    kinds = knowledge_texts(known).group_by("kind").len().sort("kind")
    assert kinds.rows() == [("domain", 2), ("entity", 2), ("item", 30), ("user", 24)]
    texts = dict(corpus(known).select("text", "domain_index").iter_rows())
    assert texts["green tea 0. grows in: Kyoto. sold in: Japan"] == 0
    tea = known.domains.index("tea") + 1
    assert texts["Kyoto. lies in: Japan. makes: green tea 0, i29"] == tea


def test_triples_can_be_left_out(known: Prepared) -> None:
    texts = set(corpus(known, "none")["text"])
    assert texts == set(corpus(known)["text"]) - set(entity_texts(known)["text"])
    assert len(texts) == 29 + 2


def test_triples_can_be_texts_of_their_own_with_a_tail(known: Prepared) -> None:
    rows = corpus(known, "tails").filter(pl.col("tail_start").is_not_null())
    tea = known.domains.index("tea") + 1
    pots = known.domains.index("pots") + 1
    texts = {text: (domain, text[start:]) for text, domain, start in rows.iter_rows()}
    assert texts == {
        "Kyoto. lies in: Japan": (0, "Japan"),
        "Kyoto. makes: green tea 0": (tea, "green tea 0"),
        "Kyoto. makes: i29": (tea, "i29"),
        "green tea 0. grows in: Kyoto": (tea, "Kyoto"),
        "green tea 0. sold in: Japan": (pots, "Japan"),
    }
    others = set(corpus(known, "tails")["text"]) - set(texts)
    assert others == set(corpus(known, "none")["text"])


def test_without_triples_there_are_no_entities(prepared: Prepared) -> None:
    assert entity_texts(prepared).is_empty()
    assert triple_texts(prepared).is_empty()
    assert corpus(prepared, "tails").equals(corpus(prepared, "none"))


def test_a_data_set_without_text_is_refused(known: Prepared) -> None:
    for name in ("items", "users"):
        path = known.folder / f"{name}.parquet"
        pl.read_parquet(path).with_columns(text=pl.lit(None, pl.String)).write_parquet(path)
    with pytest.raises(InputError, match=r"neither items nor users .* \(`items\.text`"):
        corpus(Prepared.open(known.folder), "none")
    assert not corpus(Prepared.open(known.folder)).is_empty()  # its triples are texts


def test_domains_are_called_by_their_labels(known: Prepared) -> None:
    texts = dict(domain_texts(known).select("id", "text").iter_rows())
    assert texts["tea"].startswith("teas of the world, ")
    assert texts["pots"].startswith("pots, ")


def test_every_item_user_and_domain_has_a_row(prepared: Prepared) -> None:
    rows = knowledge_texts(prepared)
    items = rows.filter(kind="item")
    assert items["id"].to_list() == prepared.items()["item_id"].to_list()
    assert items.filter(id="i29")["text"].to_list() == [None]
    assert items.filter(id="i00").select("domain", "text").row(0) == ("tea", "green tea 0")
    assert len(rows.filter(kind="user")) == len(prepared.users())
    assert rows.filter(kind="domain")["id"].to_list() == list(prepared.domains)


def test_a_domain_is_described_by_its_own_most_chosen_items(prepared: Prepared) -> None:
    texts = dict(domain_texts(prepared).select("id", "text").iter_rows())
    assert texts["tea"].startswith("tea, ")
    assert "pot" not in texts["tea"]
    items = (
        prepared.items()
        .filter(pl.col("domains").list.contains("tea"))
        .sort(["train_count", "title"], descending=[True, False])
    )
    assert texts["tea"].split(", ")[1:] == items["title"].to_list()[:8]


def test_the_corpus_holds_each_text_once_with_its_domain(prepared: Prepared) -> None:
    rows = corpus(prepared)
    assert rows["text"].is_unique().all()
    assert rows["text"].null_count() == 0
    index = prepared.domains.index("tea") + 1
    assert rows.filter(text="green tea 0")["domain_index"].to_list() == [index]


@given(st.text())
def test_the_split_of_a_text_never_changes_and_grows_with_the_share(text: str) -> None:
    assert text_split(text, 0.0) == "train"
    if text_split(text, 0.1) == "val":
        assert text_split(text, 0.2) == "val"


def test_the_held_out_share_is_as_asked() -> None:
    splits = [text_split(f"text {i}", 0.1) for i in range(4000)]
    assert splits.count("val") / 4000 == pytest.approx(0.05, abs=0.01)
    assert splits.count("test") / 4000 == pytest.approx(0.05, abs=0.01)
