from pathlib import Path

import numpy as np
import pytest
import torch

from xrec_lightning.batches import Catalog, ItemTextBatch, WeightedTargets
from xrec_lightning.data.catalog import read_catalog
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.distinct import TokenizedItems, read_texts
from xrec_lightning.data.text.next_items import HistoryMean
from xrec_lightning.data.text.retrieval import RetrievalBatches, Sampling
from xrec_lightning.data.text.tokenize import load_tokenizer, tokenize


@pytest.fixture
def prepared(tiny_dataset: Path) -> Prepared:
    return Prepared.open(locate(tiny_dataset))


@pytest.fixture
def catalog(prepared: Prepared) -> Catalog:
    return read_catalog(prepared)


@pytest.fixture
def source(prepared: Prepared, tiny_language: str) -> TokenizedItems:
    texts = read_texts(prepared)
    return TokenizedItems(texts, tokenize(texts.texts, load_tokenizer(tiny_language), 16), 0)


def parts(
    prepared: Prepared,
    source: TokenizedItems,
    sampling: Sampling | None = None,
    num_replicas: int = 1,
) -> tuple[list[ItemTextBatch], list[WeightedTargets]]:
    batches = RetrievalBatches(
        prepared,
        read_catalog(prepared),
        source,
        prepared.targets("val"),
        HistoryMean(items=3, decay=0.5),
        sampling or Sampling(),
        batch_tokens=40,
        batch_size=7,
        num_replicas=num_replicas,
    )
    found = [batches.__getitems__([number]) for number in range(len(batches))]
    kinds = [isinstance(batch, ItemTextBatch) for batch in found]
    assert kinds == sorted(kinds, reverse=True)  # items come first
    items = [batch for batch in found if isinstance(batch, ItemTextBatch)]
    return items, [batch for batch in found if isinstance(batch, WeightedTargets)]


def test_each_text_comes_once_and_all_items_are_ranked(
    prepared: Prepared, source: TokenizedItems
) -> None:
    items, _ = parts(prepared, source)
    assert len(items) > 2
    text_ids = torch.cat([batch.text_ids for batch in items])
    assert sorted(text_ids.tolist()) == source.texts.item_ids.tolist()
    item_ids = torch.cat([batch.item_ids for batch in items])
    assert sorted(item_ids.tolist()) == list(range(1, 31))
    assert all(batch.is_candidate.all() for batch in items)
    leaders = torch.cat([batch.leader_ids for batch in items])
    assert leaders.tolist() == source.texts.leaders[item_ids].tolist()
    for batch in items:
        assert {0, *batch.text_ids.tolist()} >= set(batch.leader_ids.tolist())
        assert batch.sample_size == 0
        rows = source.texts.row_of[batch.text_ids]
        assert torch.equal(batch.texts.token_ids, source.tokens.batch(rows, 0).token_ids)


def test_targets_are_those_of_the_file_with_weights_of_their_histories(
    prepared: Prepared, source: TokenizedItems
) -> None:
    _, targets = parts(prepared, source)
    rows = prepared.targets("val")
    target_ids = torch.cat([batch.sequences.target_ids[:, 0] for batch in targets])
    assert target_ids.tolist() == rows["item_index"].to_list()
    item_ids = np.asarray(prepared.item_ids)
    row = 0
    for sequences, weights in targets:
        for history, weight in zip(sequences.item_ids.tolist(), weights.tolist(), strict=True):
            start, end = rows["history_start"][row], rows["history_end"][row]
            expected = item_ids[start:end][-3:].tolist()
            assert history[: len(expected)] == expected
            ages = range(len(expected) - 1, -1, -1)
            assert weight == [*(0.5**age for age in ages), *[0.0] * (len(weight) - len(expected))]
            row += 1


def test_drawn_targets_and_candidates_hold_what_the_targets_need(
    prepared: Prepared, source: TokenizedItems, catalog: Catalog
) -> None:
    sampling = Sampling(targets=5, candidates=4, seed=1)
    items, targets = parts(prepared, source, sampling)
    target_ids = torch.cat([batch.sequences.target_ids[:, 0] for batch in targets])
    users = torch.cat([batch.sequences.user_ids for batch in targets])
    assert len(target_ids) == 5
    item_ids = torch.cat([batch.item_ids for batch in items])
    is_candidate = torch.cat([batch.is_candidate for batch in items])
    candidates = set(item_ids[is_candidate].tolist())
    assert set(target_ids.tolist()) <= candidates
    drawn = candidates - set(target_ids.tolist())
    for pool in catalog.candidates:
        assert len(drawn & set(pool.tolist())) <= 4
    assert 4 <= len(candidates) <= 8 + 5
    histories = torch.cat([batch.sequences.item_ids.flatten() for batch in targets])
    assert set(histories.tolist()) - {0} <= set(item_ids.tolist())
    assert {batch.sample_size for batch in items} == {4}
    again = parts(prepared, source, sampling)
    assert torch.equal(torch.cat([batch.item_ids for batch in again[0]]), item_ids)
    other = parts(prepared, source, sampling._replace(seed=2))[1]
    assert users.tolist() != torch.cat([each.sequences.user_ids for each in other]).tolist()


def test_each_process_has_a_batch_of_items(prepared: Prepared, source: TokenizedItems) -> None:
    few, _ = parts(prepared, source)
    many, _ = parts(prepared, source, num_replicas=len(few) + 3)
    assert len(many) == len(few) + 3
    text_ids = torch.cat([batch.text_ids for batch in many])
    assert sorted(text_ids.tolist()) == source.texts.item_ids.tolist()
