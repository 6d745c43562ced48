from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.behavior.sequences import Histories
from xrec_lightning.data.catalog import (
    read_catalog,
    read_tags,
    training_histories,
    user_vector_reader,
)
from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.prepare import locate, prepare
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.knowledge.store import KnowledgeStore


def test_the_catalog_says_what_the_prepared_folder_holds(tiny_dataset: Path) -> None:
    prepared = Prepared.open(locate(tiny_dataset))
    catalog = read_catalog(prepared)
    items = prepared.items()
    assert catalog.num_items == len(items)
    assert catalog.num_users == len(prepared.users())
    assert catalog.train_counts.tolist() == [0, *items["train_count"]]
    for name, candidates in zip(catalog.domains, catalog.candidates, strict=True):
        members = items.filter(pl.col("domains").list.contains(name))
        assert candidates.tolist() == members["item_index"].to_list()
    assert catalog.vectors is None
    assert catalog.user_vectors is None
    assert catalog.modalities == {}
    assert catalog.protocol == prepared.manifest["protocol"]
    assert catalog.test_stage == "test"


def test_the_catalog_tells_that_ties_are_believed(tiny_dataset: Path) -> None:
    config = load_config(tiny_dataset)
    config = replace(config, split=replace(config.split, ties="file"))
    catalog = read_catalog(Prepared.open(prepare(config)))
    assert catalog.test_stage == "test[ties=file]"


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=6))
def test_histories_end_where_training_ends(lengths: list[tuple[int, int]]) -> None:
    offsets = np.cumsum([0, *(trained + held_out for trained, held_out in lengths)])
    train_ends = offsets[:-1] + [trained for trained, _ in lengths]
    is_trained = np.zeros(offsets[-1], dtype=bool)
    for start, end in zip(offsets, train_ends, strict=False):
        is_trained[start:end] = True
    # What may not be read is negative.
    item_ids = np.where(is_trained, np.arange(1, offsets[-1] + 1), -1).astype(np.int32)
    log = Histories(offsets, item_ids, item_ids, item_ids.astype(np.int64), train_ends)
    histories = training_histories(log)
    assert histories.item_ids.tolist() == item_ids[is_trained].tolist()
    assert histories.times.tolist() == item_ids[is_trained].tolist()
    assert histories.offsets.diff().tolist() == [trained for trained, _ in lengths]


def test_histories_are_the_training_events_and_never_later_ones(
    tiny_dataset: Path, full_dataset: Path, tmp_path: Path
) -> None:
    tiny = load_config(tiny_dataset)
    by_time = replace(tiny.split, method="global_time", cold_users=0.2)
    folders = [
        locate(tiny_dataset),
        locate(full_dataset),
        prepare(replace(tiny, split=by_time, output=str(tmp_path))),
    ]
    for prepared in map(Prepared.open, folders):
        catalog = read_catalog(prepared)
        assert catalog.histories is not None
        histories = catalog.histories()
        users, items, times = histories.user_ids(), histories.item_ids, histories.times
        found = sorted(zip(users.tolist(), items.tolist(), times.tolist(), strict=True))
        columns = ["user_index", "item_index", "timestamp"]
        train = prepared.interactions().filter(pl.col("split") == "train").select(columns)
        assert found == sorted(train.collect().iter_rows())
        assert torch.equal(
            torch.bincount(items, minlength=len(catalog.train_counts)), catalog.train_counts
        )
        own = train.group_by("user_index").agg(last=pl.col("timestamp").max()).collect()
        for name in ("val", "test"):
            targets = prepared.targets(name).filter(~pl.col("is_hidden")).join(own, on="user_index")
            assert len(targets) > 0
            assert (targets["last"] < targets["timestamp"]).all()
        hidden = prepared.interactions().filter(pl.col("split") == "hidden").collect()
        assert not set(hidden["item_index"]) & set(items.tolist())


def test_tags_join_items_with_what_they_are(full_dataset: Path) -> None:
    prepared = Prepared.open(locate(full_dataset))
    catalog, tags = read_catalog(prepared), read_tags(prepared)
    assert set(tags) == {"item_tag", "item_brand", "entity_entity"}
    assert catalog.tags is not None
    assert catalog.tags().keys() == tags.keys()
    items = prepared.items().select("item_index", "item_id").rows()
    index = {item_id: item for item, item_id in items}
    by_tag: dict[int, set[str]] = {}
    names = dict(items)
    for item, tag in tags["item_tag"].tolist():
        assert tag > catalog.num_items
        by_tag.setdefault(tag, set()).add(names[item])
    expected = [{each for each in index if int(each[1:]) % 4 == size} for size in range(4)]
    expected += [{each for each in index if int(each[1:]) % 2 == rest} for rest in range(2)]
    assert sorted(map(sorted, by_tag.values())) == sorted(map(sorted, expected))
    brands = {tag for _, tag in tags["item_brand"].tolist()}
    assert len(brands) == 3
    assert not brands & set(by_tag)
    edges = dict(tags["entity_entity"].tolist())
    kyoto = edges[index["i01"]]
    assert edges.keys() == {index["i01"], index["i20"], index["i02"], kyoto}
    assert edges[index["i20"]] == kyoto
    assert edges[index["i02"]] == index["i21"]
    assert len({kyoto, edges[kyoto]} - {*index.values(), *by_tag, *brands}) == 2


def test_a_data_set_without_tags_has_none(tiny_dataset: Path) -> None:
    assert set(read_tags(Prepared.open(locate(tiny_dataset)))) == {"item_brand"}


def test_modalities_are_read_by_their_names(full_dataset: Path) -> None:
    prepared = Prepared.open(locate(full_dataset))
    modalities = read_catalog(prepared).modalities
    assert modalities is not None
    assert set(modalities) == {"image"}
    images = modalities["image"]()
    given = np.load(full_dataset.parent / "images.npy")
    for item, item_id in prepared.items().select("item_index", "item_id").iter_rows():
        assert images[item].tolist() == given[int(item_id[1:])].tolist()
    assert images[0].abs().sum() == 0


def test_vectors_of_users_come_from_the_store(
    full_dataset: Path, full_store: Path, tiny_store: Path
) -> None:
    prepared = Prepared.open(locate(full_dataset))
    store = KnowledgeStore.open(full_store)
    read = user_vector_reader(prepared, store)
    assert read is not None
    vectors = read()
    assert vectors.shape == (1 + len(prepared.users()), 8)
    for user, user_id in prepared.users().select("user_index", "user_id").iter_rows():
        assert torch.equal(vectors[user], store.vectors("user", [user_id])[0])
        assert (vectors[user].abs().sum() > 0) == (user_id != "u23")
    assert vectors[0].abs().sum() == 0
    assert user_vector_reader(prepared, KnowledgeStore.open(tiny_store)) is None
