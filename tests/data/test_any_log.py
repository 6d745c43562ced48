"""Whole runs of `prepare` on random logs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.steps import CleanConfig, SplitConfig
from xrec_lightning.data.config.tables import InteractionsConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import prepare
from xrec_lightning.data.prepared import Prepared

OpenWhole = Callable[[Path], list[Prepared]]

DAY = 86_400


class Row(NamedTuple):
    """One row of a log file; the day may be one that cannot be read."""

    user_id: str
    item_id: str
    domain: str
    timestamp: str


IDS = st.sampled_from(["", "0", "7", "07", "-1", "a b", "é☕", "x", "X"])
ROWS = st.builds(
    Row,
    user_id=st.sampled_from(["", "u", "ü", "-1"]),
    item_id=IDS,
    domain=st.sampled_from(["tea", "pots", ""]),
    timestamp=st.one_of(
        st.integers(0, 9).map(lambda day: str(day * DAY)), st.sampled_from(["soon", ""])
    ),
)
USERS = st.sampled_from(["u", "ü", "-1", "w"])
WHOLE = st.builds(
    lambda user, start, items: [
        Row(user, item, "tea", str((start + day) * DAY)) for day, item in enumerate(items)
    ],
    USERS,
    st.integers(0, 6),
    st.lists(IDS.filter(bool), min_size=3, max_size=4, unique=True),
)
"""Histories that have a training event, a validation and a test target."""
LOGS = st.builds(
    lambda rows, histories: rows + [row for history in histories for row in history],
    st.lists(ROWS, max_size=20),
    st.lists(WHOLE, min_size=2, max_size=4),
)
SPLITS = st.builds(
    SplitConfig,
    method=st.sampled_from(["leave_one_out", "last_n", "ratio", "global_time", "folds"]),
    val_share=st.just(0.3),
    test_share=st.just(0.3),
    fold_days=st.sampled_from([1, 2.5]),
    ties=st.sampled_from(["shuffle", "shuffle", "file"]),
    cold_users=st.sampled_from([0.0, 0.3]),
    cold_domain=st.sampled_from([None, None, "pots"]),
)
CLEANS = st.builds(
    CleanConfig,
    repeats=st.sampled_from(["drop", "last", "keep"]),
    max_history=st.sampled_from([0, 6]),
    k_core=st.sampled_from([0, 0, 1]),
)


def run(
    folder: Path, rows: Sequence[Row], clean: CleanConfig, split: SplitConfig, rows_per_shard: int
) -> Prepared:
    """Prepare a log in an empty folder, unless the log cannot be split."""
    path = folder / "log.csv"
    names = dict.fromkeys(Row._fields, pl.String)
    pl.DataFrame(rows, names, orient="row").write_csv(path)
    config = PrepareConfig(
        interactions=InteractionsConfig(path=str(path)),
        clean=clean,
        split=split,
        output=str(folder / "prepared"),
    )
    try:
        return Prepared.open(prepare(config, rows_per_shard=rows_per_shard))
    except InputError as error:
        # A short log may have nothing left to train, to hide or to predict.
        reasons = ("the split has no", "is none", "no such domain", "nothing trains", "leaves no")
        assume(not any(reason in str(error) for reason in reasons))
        raise


@pytest.fixture(scope="module")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: tmp_path_factory.mktemp("logs")


@settings(max_examples=30, deadline=None)
@given(rows=LOGS, clean=CLEANS, split=SPLITS, size=st.sampled_from([3, 10**6]))
def test_no_test_event_precedes_a_training_event_and_no_row_is_lost(
    new_folder: Callable[[], Path],
    open_whole: OpenWhole,
    rows: list[Row],
    clean: CleanConfig,
    split: SplitConfig,
    size: int,
) -> None:
    prepared = run(new_folder(), rows, clean, split, size)
    assert open_whole(prepared.folder.parent)
    events = prepared.interactions().collect()
    dropped = pl.read_parquet(prepared.folder / "rejected.parquet")
    assert len(events) + len(dropped) == len(rows)
    latest = events.filter(split="train").group_by("user_id").agg(latest=pl.col("timestamp").max())
    tested = events.filter(pl.col("split").is_in(["val", "test"])).join(latest, on="user_id")
    slack = split.ties == "file"
    assert (tested["timestamp"] + slack > tested["latest"]).all()


@settings(max_examples=15, deadline=None)
@given(rows=LOGS, clean=CLEANS, split=SPLITS)
def test_indices_lead_back_to_ids(
    new_folder: Callable[[], Path], rows: list[Row], clean: CleanConfig, split: SplitConfig
) -> None:
    prepared = run(new_folder(), rows, clean, split, 10**6)
    users, items = prepared.users()["user_id"], prepared.items()["item_id"]
    for ids in (users, items):
        assert ids.to_list() == sorted(set(ids))
    given_rows = {(*row[:2], int(row.timestamp)) for row in rows if row.timestamp.isdigit()}
    owners = np.repeat(np.arange(len(users)), np.diff(prepared.offsets))
    stored = zip(owners.tolist(), prepared.item_ids.tolist(), prepared.times.tolist(), strict=True)
    assert {(users[user], items[item - 1], time) for user, item, time in stored} <= given_rows
    events = prepared.interactions().collect()
    assert users.gather(events["user_index"] - 1).to_list() == events["user_id"].to_list()
    assert items.gather(events["item_index"] - 1).to_list() == events["item_id"].to_list()
    domains = pl.Series(prepared.domains).gather(events["domain_index"] - 1)
    assert domains.to_list() == events["domain"].to_list()
