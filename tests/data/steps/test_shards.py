"""The steps in a row, as `prepare` runs them: on any rows in any order, in any shards."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xrec_lightning.data.config.steps import CleanConfig, EventsConfig, SplitConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.steps import clean, cold, core, cuts, events, filters, leaks, repeats
from xrec_lightning.data.steps.order import add_order, sort_flat
from xrec_lightning.data.steps.splits import mark_roles, mark_targets, part_hidden
from xrec_lightning.data.steps.targets import count_training, make_targets

MakeEvents = Callable[..., pl.DataFrame]
NUM_USERS, NUM_ITEMS, NUM_DOMAINS = 5, 8, 2
EVENTS = EventsConfig(weights={"buy": 2}, dislikes=["no"], dislike_below=1)


class Result(NamedTuple):
    """What comes of a log, its shards joined."""

    store: pl.DataFrame
    hidden: pl.DataFrame
    rejected: pl.DataFrame
    dislikes: pl.DataFrame
    targets: dict[str, pl.DataFrame]
    cold: cold.Cold


def clean_shard(
    shard: pl.DataFrame, config: CleanConfig, ties: str, seed: int, last_time: int
) -> tuple[pl.DataFrame, pl.DataFrame, list[pl.DataFrame]]:
    """Return the events, the dislikes and the rejected rows of a shard."""
    rows = sort_flat(add_order(events.drop_nans(shard), ties), seed)
    dropped = []

    def drop(flagged: pl.DataFrame) -> pl.DataFrame:
        kept, rejected = clean.part(flagged)
        dropped.append(rejected)
        return kept

    rows = drop(repeats.flag_duplicates(rows))
    rows = drop(events.flag_bad_weights(rows))
    rows = drop(filters.flag_unmet(rows, config.filters))
    rows = drop(filters.flag_early(rows, config, last_time))
    if config.max_per_hour:
        rows = drop(clean.flag_busy(rows, config.max_per_hour))
    rows, dislikes = events.part_dislikes(events.weigh_events(rows, EVENTS), EVENTS)
    rows = drop(repeats.flag_repeats(rows, config.repeats))
    if config.max_history:
        rows = drop(clean.flag_old(rows, config.max_history))
    return rows, dislikes, dropped


def run(
    shards: Sequence[pl.DataFrame], config: CleanConfig, split: SplitConfig, seed: int
) -> Result:
    last_time = max(each["timestamp"].max() for each in shards if len(each))
    cleaned = [clean_shard(each, config, split.ties, seed, last_time) for each in shards]
    dropped = [rows for each in cleaned for rows in each[2]]
    domain = cold.find_domain(split, ["even", "odd"])
    found = cold.merge_candidates(
        cold.find_candidates(each[0], NUM_USERS, NUM_ITEMS, domain) for each in cleaned
    )
    chosen = cold.choose_cold(found, np.ones(NUM_ITEMS, bool), domain, split, seed)
    times = cuts.find_cuts([cuts.needed_times(each[0], split) for each in cleaned], split)
    roles = []
    for kept, _, _ in cleaned:
        kept, late = clean.part(cuts.flag_late(kept, times))
        dropped.append(late)
        roles.append(mark_roles(kept, split, times, chosen))
    pairs = [core.training_pairs(each, config.k_core_by == "domain") for each in roles]
    joined = [
        None if part[0] is None else np.concatenate(part) for part in zip(*pairs, strict=True)
    ]
    num_groups = NUM_DOMAINS if config.k_core_by == "domain" else 1
    sizes = {"num_users": NUM_USERS, "num_items": NUM_ITEMS, "num_groups": num_groups}
    masks = core.core_masks(*joined, config.k_core, **sizes)
    counts = np.zeros(NUM_ITEMS, dtype=np.int64)
    marked = []
    for each in roles:
        kept, outside = clean.part(core.flag_outside_core(each, masks, chosen))
        dropped.append(outside)
        store, hidden = part_hidden(kept)
        marked.append((mark_targets(store, split), mark_targets(hidden, split)))
        counts += count_training(marked[-1][0], NUM_ITEMS)
    parts: dict[str, list[pl.DataFrame]] = {"val": [], "test": [], "dislikes": []}
    base = 0
    for (store, hidden), (_, dislikes, _) in zip(marked, cleaned, strict=True):
        made = {name: make_targets(store, hidden, name, counts, base) for name in ("val", "test")}
        check(store, hidden, made, split, chosen, times, base)
        for name, rows in made.items():
            parts[name].append(rows)
        before = None if times is None else times.val_from
        parts["dislikes"].append(events.training_dislikes(dislikes, store, chosen, before))
        base += len(store)
    rejected = pl.concat(dropped).sort("source", "row")
    disliked = pl.concat(each[1] for each in cleaned)
    store, hidden = (pl.concat(frames) for frames in zip(*marked, strict=True))
    total = sum(len(each) for each in shards)
    assert len(store) + len(hidden) + len(rejected) + len(disliked) == total
    targets = {name: pl.concat(parts[name]) for name in ("val", "test")}
    return Result(store, hidden, rejected, pl.concat(parts["dislikes"]), targets, chosen)


def check(
    store: pl.DataFrame,
    hidden: pl.DataFrame,
    targets: dict[str, pl.DataFrame],
    split: SplitConfig,
    chosen: cold.Cold,
    times: cuts.Cuts | None,
    base: int,
) -> None:
    users = store["user_index"].to_numpy()
    is_train = (store["split"] == "train").to_numpy()
    ends = [(users < user).sum() + is_train[users == user].sum() for user in range(NUM_USERS)]
    leaks.refuse_leaks(
        store,
        hidden,
        base + np.array(ends),
        targets,
        split.ties == "file",
        cold=chosen,
        cuts=times,
        base=base,
        first_user=0,
    )


ROWS = st.lists(
    st.tuples(
        st.integers(0, NUM_USERS - 1),
        st.integers(0, NUM_ITEMS - 1),
        st.integers(0, 9),
        st.sampled_from([None, 0.5, 3.0]),
        st.sampled_from(["buy", "view", "no", None]),
    ),
    min_size=4,
    max_size=40,
)
CLEAN = st.builds(
    CleanConfig,
    filters=st.sampled_from([[], ["rating >= 1 OR rating IS NULL"]]),
    last_days=st.sampled_from([0, 7.5]),
    max_per_hour=st.sampled_from([0, 3]),
    max_history=st.sampled_from([0, 3]),
    k_core=st.sampled_from([0, 1, 2]),
    k_core_by=st.sampled_from(["all", "domain"]),
    repeats=st.sampled_from(["drop", "last", "keep"]),
)
SPLIT = st.builds(
    SplitConfig,
    method=st.sampled_from(["leave_one_out", "last_n", "ratio", "global_time", "folds"]),
    ties=st.sampled_from(["shuffle", "shuffle", "file"]),
    fold=st.integers(0, 1),
    fold_days=st.just(2.5),
    val_share=st.just(0.3),
    test_share=st.just(0.3),
    cold_items=st.sampled_from([0.0, 0.4]),
    cold_users=st.sampled_from([0.0, 0.4]),
    cold_domain=st.sampled_from([None, "odd"]),
    cold_domain_users=st.just(0.6),
)


def read(make_events: MakeEvents, rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    moments = [(user, item, day * 86_400) for user, item, day, _, _ in rows]
    ratings, kinds = [row[3] for row in rows], [row[4] for row in rows]
    return make_events(moments, rating=ratings, event=kinds)


def try_run(
    shards: Sequence[pl.DataFrame], config: CleanConfig, split: SplitConfig, seed: int
) -> Result:
    try:
        return run(shards, config, split, seed)
    except InputError as error:
        # A few rows may have nothing to hide, nothing left to cut, or nothing before a fold.
        reasons = ("is none", "no interaction", "nothing trains")
        assume(not any(each in str(error) for each in reasons))
        raise


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, config=CLEAN, split=SPLIT, seed=st.integers(0, 2), data=st.data())
def test_order_and_shards_change_nothing(
    make_events: MakeEvents,
    rows: list[tuple[Any, ...]],
    config: CleanConfig,
    split: SplitConfig,
    seed: int,
    data: st.DataObject,
) -> None:
    log = read(make_events, rows)
    whole = try_run([log], config, split, seed)
    shuffled = log[data.draw(st.permutations(range(len(rows))))]
    user = data.draw(st.integers(0, NUM_USERS))
    is_left = pl.col("user_index") < user
    parts = run([shuffled.filter(is_left), shuffled.filter(~is_left)], config, split, seed)
    for name in ("store", "hidden", "rejected", "dislikes"):
        # The rank that file order gives differs from shard to shard.
        left, right = (getattr(each, name).drop("order", strict=False) for each in (whole, parts))
        assert left.equals(right), name
    for name, targets in whole.targets.items():
        assert targets.equals(parts.targets[name]), name


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, config=CLEAN, split=SPLIT, seed=st.integers(0, 2))
def test_nothing_that_is_tested_was_seen(
    make_events: MakeEvents,
    rows: list[tuple[Any, ...]],
    config: CleanConfig,
    split: SplitConfig,
    seed: int,
) -> None:
    result = try_run([read(make_events, rows)], config, split, seed)
    store = result.store.to_dicts()
    for name, targets in result.targets.items():
        for target in targets.to_dicts():
            user, time = target["user_index"], target["timestamp"]
            own = [row for row in store if row["user_index"] == user]
            history = store[target["history_start"] : target["history_end"]]
            assert history
            assert all(row["user_index"] == user for row in history)
            slack = split.ties == "file"
            assert all(row["timestamp"] < time + slack for row in history)
            trained = [row["timestamp"] for row in own if row["split"] == "train"]
            if not target["is_hidden"]:
                assert all(each < time + slack for each in trained)
            if result.cold.users[user]:
                assert (trained, name) == ([], "test")
            if target["is_hidden"] and not result.cold.items[target["item_index"]]:
                assert all(row["domain_index"] != target["domain_index"] for row in own)
    for user, item in result.dislikes.rows():
        assert not result.cold.users[user]
        assert not result.cold.items[item]


def test_every_dropped_row_has_its_reason(make_events: MakeEvents) -> None:
    day = 86_400
    rows = [(0, 0, 9 * day), (0, 0, 9 * day), (0, 2, 9 * day), (0, 4, day), (1, 0, 9 * day)]
    log = make_events(rows, rating=[3, 3, 1, 3, 3], weight=[1, 1, 1, 1, -1], event=[None] * 5)
    config = CleanConfig(filters=["rating > 2"], last_days=2)
    kept, dislikes, dropped = clean_shard(log, config, "shuffle", 0, 9 * day)
    assert kept["row"].to_list() == [0]
    assert len(dislikes) == 0
    assert dict(pl.concat(dropped).select("row", "reason").iter_rows()) == {
        1: repeats.DUPLICATE,
        4: events.BAD_WEIGHT,
        2: "does not meet: rating > 2",
        3: "before the last 2 days",
    }
