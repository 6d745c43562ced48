"""Cross-domain modes, against the rows of the log itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xrec_lightning.batches import SequenceBatch
from xrec_lightning.data.behavior.domains import choose_domains, keep_domains, skip_users_without
from xrec_lightning.data.behavior.sequences import Histories
from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.data.errors import InputError

TEA, POTS = 2, 1
"""Domain indices of the tiny data."""
HISTORIES = Histories(
    offsets=np.array([0, 4, 6]),
    item_ids=np.array([11, 12, 13, 14, 21, 22], dtype=np.int32),
    domain_ids=np.array([1, 2, 1, 2, 2, 2], dtype=np.int32),
    times=np.array([1, 2, 3, 4, 5, 6]),
    train_ends=np.array([3, 6]),
    weights=np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
)


def targets_of(batch: SequenceBatch) -> set[tuple[int, int]]:
    """Return user and item of each training target."""
    users = batch.user_ids[:, None].expand_as(batch.target_ids)[batch.target_ids > 0]
    pairs = zip(users.tolist(), batch.target_ids[batch.target_ids > 0].tolist(), strict=True)
    return set(pairs)


def trained(dataset: Path, **modes: Any) -> list[SequenceBatch]:
    return list(BehaviorDataModule(dataset, batch_size=8, **modes).train_dataloader())


def test_kept_domains_stay_in_order_with_their_users() -> None:
    kept = keep_domains(HISTORIES, np.array([False, True, False]))
    assert kept.item_ids.tolist() == [11, 13]
    assert kept.offsets.tolist() == [0, 2, 2]
    assert kept.train_ends.tolist() == [2, 2]
    assert kept.weights is not None
    assert kept.weights.tolist() == [1.0, 3.0]
    other = keep_domains(HISTORIES, np.array([False, False, True]))
    assert (other.offsets.tolist(), other.train_ends.tolist()) == ([0, 2, 4], [1, 4])


def test_users_without_a_target_have_nothing_to_train_on() -> None:
    left = skip_users_without(HISTORIES, np.array([False, True, False]))
    assert left.train_ends.tolist() == [3, 4]  # the second user starts at 4 and has no target
    both = skip_users_without(HISTORIES, np.array([False, False, True]))
    assert both.train_ends.tolist() == HISTORIES.train_ends.tolist()


def test_a_twin_equals_a_data_set_of_its_domain_alone(tiny_dataset: Path) -> None:
    datamodule = BehaviorDataModule(tiny_dataset, train_domains=["tea"], history_domains=["tea"])
    log = datamodule.prepared.interactions().collect()
    tea = log.filter((log["domain_index"] == TEA) & (log["split"] == "train"))
    items, counts = np.unique(tea["item_index"], return_counts=True)
    expected = np.zeros(datamodule.catalog.num_items + 1, dtype=np.int64)
    expected[items] = counts
    assert datamodule.catalog.train_counts.tolist() == expected.tolist()
    firsts: dict[int, int] = {}
    for user, time in tea.select("user_index", "timestamp").iter_rows():
        firsts[user] = min(time, firsts.get(user, time))
    later = {
        (user, item)
        for user, item, time in tea.select("user_index", "item_index", "timestamp").iter_rows()
        if time > firsts[user]
    }
    batches = list(datamodule.train_dataloader())
    assert set().union(*map(targets_of, batches)) == later
    for batch in [*batches, *datamodule.val_dataloader(), *datamodule.test_dataloader()]:
        assert set(batch.domain_ids.unique().tolist()) <= {0, TEA}
        assert set(batch.target_domain_ids.unique().tolist()) <= {0, TEA}
    tested = sum(len(batch.row_ids) for batch in datamodule.test_dataloader())
    all_targets = datamodule.prepared.targets("test")
    assert tested == (all_targets["domain_index"] == TEA).sum() < len(all_targets)


def test_targets_of_one_domain_see_the_histories_of_all(tiny_dataset: Path) -> None:
    joint = set().union(*map(targets_of, trained(tiny_dataset)))
    batches = trained(tiny_dataset, train_domains=["pots"])
    mine = set().union(*map(targets_of, batches))
    pots = _items(tiny_dataset, POTS)
    assert mine == {pair for pair in joint if pair[1] in pots}
    assert any((batch.domain_ids == TEA).any() for batch in batches)


def test_targets_may_see_the_other_domain_alone(tiny_dataset: Path) -> None:
    batches = trained(tiny_dataset, train_domains=["pots"], history_domains=["tea"])
    assert set().union(*map(targets_of, batches))
    for batch in batches:
        assert set(batch.domain_ids.unique().tolist()) <= {0, TEA}
        rows, columns = (batch.target_ids > 0).nonzero(as_tuple=True)
        states = batch.state_positions[rows, columns]
        assert (batch.domain_ids[rows, states] == TEA).all()
        assert set(batch.target_domain_ids[rows, columns].tolist()) == {POTS}


@pytest.mark.parametrize(
    ("modes", "shown", "stage"),
    [
        ({}, lambda target: {TEA, POTS}, "test"),
        ({"test_history": "all"}, lambda target: {TEA, POTS}, "test"),
        (
            {"test_history": "target_domain"},
            lambda target: {target},
            "test[history=target_domain]",
        ),
        ({"test_history": "others"}, lambda target: {TEA + POTS - target}, "test[history=others]"),
        ({"history_domains": ["tea"]}, lambda target: {TEA}, "test"),
        (
            {"history_domains": ["tea"], "train_domains": ["tea"], "test_history": "all"},
            lambda target: {TEA, POTS},
            "test[history=all]",
        ),
    ],
)
def test_a_test_shows_what_it_should_and_removes_what_was_seen(
    tiny_dataset: Path, modes: dict[str, Any], shown: Any, stage: str
) -> None:
    modes = {"eval_domains": ["tea", "pots"], **modes}
    plain = list(BehaviorDataModule(tiny_dataset).test_dataloader())
    datamodule = BehaviorDataModule(tiny_dataset, max_seq_len=4, **modes)
    assert datamodule.catalog.test_stage == stage
    for full, batch in zip(plain, datamodule.test_dataloader(), strict=True):
        assert batch.seen_ids.tolist() == full.seen_ids.tolist()
        assert batch.target_ids.tolist() == full.target_ids.tolist()
        for row in range(len(batch.row_ids)):
            domains = shown(int(full.target_domain_ids[row, 0]))
            events = zip(full.item_ids[row].tolist(), full.domain_ids[row].tolist(), strict=True)
            expected = [item for item, domain in events if domain in domains][-4:]
            assert [item for item in batch.item_ids[row].tolist() if item] == expected
            assert batch.state_positions[row, 0] == len(expected) - 1


def test_a_left_out_domain_is_tested_unseen(tiny_dataset: Path) -> None:
    datamodule = BehaviorDataModule(
        tiny_dataset, train_domains=["tea"], history_domains=["tea"], eval_domains=["pots"]
    )
    pots = sorted(_items(tiny_dataset, POTS) - _items(tiny_dataset, TEA))
    assert datamodule.catalog.train_counts[pots].sum() == 0
    rows = [batch.row_ids for batch in datamodule.test_dataloader()]
    for row_ids in rows:
        assert set(datamodule.describe_targets("test", row_ids)["domain"]) == {"pots"}
    validated = [batch.target_domain_ids for batch in datamodule.val_dataloader()]
    assert all((domains == TEA).all() for domains in validated), "no peeking at what is left out"


@pytest.mark.parametrize(
    ("modes", "message"),
    [
        ({"train": ["potts"]}, r"train_domains: no domain is potts; did you mean `pots`\?"),
        ({"history": ["xyz"]}, "history_domains: no domain is xyz; valid: pots, tea"),
        ({"tested": []}, "eval_domains is empty: name a domain"),
    ],
)
def test_bad_domains_are_refused(modes: dict[str, list[str]], message: str) -> None:
    settings = {"train": None, "history": None, "tested": None, **modes}
    with pytest.raises(InputError, match=message):
        choose_domains(("pots", "tea"), **settings)  # type: ignore[arg-type]


def _items(dataset: Path, domain: int) -> set[int]:
    candidates = BehaviorDataModule(dataset).catalog.candidates[domain - 1]
    return set(candidates.tolist())
