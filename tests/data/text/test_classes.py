from pathlib import Path

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate, prepare
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.classes import history_texts, item_texts, keep_frequent_classes
from xrec_lightning.data.text.clicks import split_users
from xrec_lightning.data.text.templates import ItemLines, LineConfig


@pytest.fixture
def prepared(tiny_dataset: Path) -> Prepared:
    return Prepared.open(locate(tiny_dataset))


def test_items_have_the_class_of_a_column_or_of_their_domain(prepared: Prepared) -> None:
    items = prepared.items()
    for label, expected in (
        ("brand", items["brand"]),
        ("domain", items["domains"].list.first()),
    ):
        rows = item_texts(prepared, LineConfig(), label, 0.2, "data")
        assert len(rows) == 29  # one has no text
        for text, name, item in rows.select("text", "label", "item_index").iter_rows():
            assert items["title"][item - 1] == text
            assert expected[item - 1] == name
        assert rows["user_index"].to_list() == [0] * 29


def test_equal_texts_are_of_one_split(tmp_path: Path) -> None:
    titles = [f"tea {item % 40}" for item in range(120)]
    log = "".join(f"u{user},{item},{item}\n" for user in range(3) for item in range(120))
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\n" + log)
    items = pl.DataFrame(
        {
            "item_id": [str(item) for item in range(120)],
            "domain": "x",
            "title": titles,
            "kinds": [f"k{item % 3} > a,b" if item % 3 else None for item in range(120)],
        }
    )
    items.write_csv(tmp_path / "items.csv")
    (tmp_path / "data.yaml").write_text(
        f"""
interactions: {{path: {tmp_path}/log.csv}}
items:
  {{path: {tmp_path}/items.csv, title: title, text: [title], tags: [kinds], path_separator: ' > '}}
output: {tmp_path}/prepared
"""
    )
    prepared = Prepared.open(prepare(load_config(tmp_path / "data.yaml")))
    rows = item_texts(prepared, LineConfig(), "kinds", 0.2, "data")
    splits = rows.group_by("text").agg(pl.col("split").n_unique(), pl.col("label").len())
    assert splits["split"].to_list() == [1] * 40
    assert splits["label"].max() == 3  # distinct pairs of text and class
    assert set(rows["split"]) == {"train", "val", "test"}
    assert set(rows["label"]) == {"k1", "k2", None}  # the first tag
    kept = keep_frequent_classes(rows, 5, "kinds")
    assert kept.classes == ("k1", "k2")


def test_a_history_is_the_newest_training_items(prepared: Prepared) -> None:
    is_user = split_users(len(prepared.users()), 0.3, seed=0)
    lines = ItemLines(prepared, LineConfig(), "lines")
    rows = history_texts(prepared, lines, "domain", 2, is_user)
    titles = ["", *(title or "" for title in prepared.items()["title"])]
    assert len(rows) > 20
    for row in rows.iter_rows(named=True):
        user = row["user_index"]
        span = slice(prepared.offsets[user - 1], prepared.train_ends[user - 1])
        named = [titles[item] for item in prepared.item_ids[span] if titles[item]]
        assert row["text"] == "; ".join(named[-2:])
        most = np.bincount(prepared.domain_ids[span]).argmax()
        assert row["label"] == prepared.domains[most - 1]
        assert row["domain_index"] == most
        assert is_user[row["split"]][user]
        assert row["item_index"] == 0


def test_rare_and_blank_classes_are_left_out_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = pl.DataFrame(
        {
            "label": ["b", "a", "a", "b ", "c", " ", None, "c"],
            "split": ["train", "train", "train", "train", "train", "train", "train", "val"],
        }
    )
    with caplog.at_level("INFO", "xrec_lightning"):
        kept = keep_frequent_classes(rows, 2, "kind")
    assert kept.classes == ("a", "b")
    assert kept.rows["label"].to_list() == [1, 0, 0, 1]
    assert "kind: 1 of 3 classes have fewer than 2 training texts: left out, with 2 texts" in (
        caplog.text
    )
    with pytest.raises(
        InputError, match=r"min_count: 3: 0 of the 3 classes of `kind` have so many"
    ):
        keep_frequent_classes(rows, 3, "kind")


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("brant", r"data\.label: the data have no `brant`; did you mean `brand`"),
        ("title", r"data\.lines\.fields: title: the text would say its own label"),
        ("train_count", r"data\.label: the data have no `train_count`"),
    ],
)
def test_labels_that_make_no_task_are_refused(prepared: Prepared, label: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        item_texts(prepared, LineConfig(), label, 0.1, "data")
