from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.corpus import corpus, domain_texts, knowledge_texts, text_split


@pytest.fixture
def prepared(tiny_dataset: Path) -> Prepared:
    return Prepared.open(locate(tiny_dataset))


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
