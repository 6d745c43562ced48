"""Logs whose values are odd, or too few."""

from collections.abc import Callable

import pytest

from xrec_lightning.data.prepared import Prepared

Refuse = Callable[..., None]
Accept = Callable[..., Prepared]

YAML = "interactions: {path: log.csv}\n"
HEADER = "user_id,item_id,domain,timestamp\n"
LOG = HEADER + "u,a,x,1\nu,b,y,2\nu,c,x,3\n"
NO_TIME = "timestamp cannot be read"
BAD_WEIGHT = "weight is negative or infinite"
RESERVED = "rename it in the data (reserved: all, cold,"

REFUSED = {
    "one event": (HEADER + "u,a,x,1\n", "no val targets", "train: 1, val: 0", "give more data"),
    "one item": (
        HEADER + "u,a,x,1\nu,a,x,2\nu,a,x,3\n",
        "no val targets",
        "train: 1, val: 0",
        "three distinct times",
    ),
    "all times equal": (
        HEADER + "".join(f"u{row % 3},i{row},x,5\n" for row in range(9)),
        "no val targets",
        "train: 9, val: 0",
        "three distinct times",
    ),
    "no time at all": (HEADER + "u,a,x,soon\nv,a,x,\n", "row 0 of log.csv", "'soon'", "correct"),
    "no id at all": (HEADER + ",a,x,1\n,b,x,2\n", "row 0 of log.csv", "user_id is null", "correct"),
    "domain named like a slice": (LOG.replace(",y,", ",tail,"), "domain", "'tail'", RESERVED),
    "domain with a slash": (LOG.replace(",y,", ",a/b,"), "domain", "'a/b' has a slash", RESERVED),
}

REJECTED = {
    "times in the far future": ("w,a,x,2999-01-01\nw,b,x,99999999999\nw,c,x,1e300\n", {NO_TIME: 1}),
    "unreadable times": (
        "w,a,x,soon\nw,b,x,\nw,c,x,NaN\nw,d,x,inf\nw,e,x,2020-13-45\n",
        {NO_TIME: 5},
    ),
    "no ids": (",a,x,1\nw,,x,1\n,,x,1\n", {"user_id is null": 2, "item_id is null": 1}),
    "rows twice": (
        "u,a,x,1\nu,a,x,9\n",
        {
            "exact duplicate of another row": 1,
            "the user has an earlier event with this item": 1,
        },
    ),
    "no domain": ("w,q,,1\n", {"neither the interaction nor its item has a domain": 1}),
    "a domain of one item": ("w,q,z,1\n", {}),
}


@pytest.mark.parametrize(("log", "where", "value", "remedy"), REFUSED.values(), ids=REFUSED)
def test_logs_without_a_use_are_refused(
    refuse: Refuse, log: str, where: str, value: str, remedy: str
) -> None:
    refuse({"log.csv": log}, YAML, where, value, remedy)


@pytest.mark.parametrize(("rows", "reasons"), REJECTED.values(), ids=REJECTED)
def test_odd_rows_are_counted(accept: Accept, rows: str, reasons: dict[str, int]) -> None:
    prepared = accept({"log.csv": LOG + rows}, YAML, reasons)
    assert prepared.times[:3].tolist() == [1, 2, 3]


def test_one_user_is_enough(accept: Accept) -> None:
    assert accept({"log.csv": LOG}, YAML).manifest["counts"]["users"] == 1


def test_one_item_is_enough_where_repeats_are_kept(accept: Accept) -> None:
    log = HEADER + "u,a,x,1\nu,a,x,2\nu,a,x,3\n"
    prepared = accept({"log.csv": log}, YAML + "clean: {repeats: keep}")
    assert prepared.item_ids.tolist() == [1, 1, 1]


def test_times_before_1970_are_negative(accept: Accept) -> None:
    log = HEADER + "u,a,x,1900-01-01T00:00:00\nu,b,x,1969-12-31\nu,c,x,-5\n"
    assert accept({"log.csv": log}, YAML).times.tolist() == [-2_208_988_800, -86_400, -5]


def test_units_may_be_mixed(accept: Accept) -> None:
    seconds = 1_600_000_000
    times = [seconds, (seconds + 1) * 10**3, (seconds + 2) * 10**6, (seconds + 3) * 10**9]
    log = HEADER + "".join(f"u,{'abcd'[row]},x,{time}\n" for row, time in enumerate(times))
    assert accept({"log.csv": log}, YAML).times.tolist() == list(range(seconds, seconds + 4))


def test_the_largest_times_can_be_compared(accept: Accept) -> None:
    log = HEADER + f"u,a,x,{-(2**63)}\nu,b,x,0\nu,c,x,{2**63 - 1}\n"
    prepared = accept({"log.csv": log}, "interactions: {path: log.csv, time_unit: s}")
    assert prepared.times.tolist() == [-(2**63), 0, 2**63 - 1]


def test_ids_stay_as_they_are(accept: Accept) -> None:
    ids = ["-1", " a ", "007", "7", "7.0", "é☕", "😀" * 40, "z" * 10_000, "nan", "null"]
    rows = [f"{user},{item},x,{time}\n" for user in ids for time, item in enumerate(ids)]
    prepared = accept({"log.csv": HEADER + "".join(rows)}, YAML)
    assert prepared.users()["user_id"].to_list() == sorted(ids)
    assert prepared.items()["item_id"].to_list() == sorted(ids)


def test_ratings_that_are_no_numbers_are_null(accept: Accept) -> None:
    log = "user_id,item_id,timestamp,rating\nu,a,1,NaN\nu,b,2,good\nu,c,3,\nu,d,4,2\n"
    prepared = accept({"log.csv": log}, YAML)
    assert prepared.interactions().collect()["rating"].to_list() == [None, None, None, 2]


def test_weights_that_cannot_train_are_rejected(accept: Accept) -> None:
    rows = ["a,1,1", "b,2,0", "c,3,NaN", "d,4,", "e,5,heavy", "f,6,inf", "g,7,-inf", "h,8,-1"]
    log = "user_id,item_id,timestamp,weight\n" + "".join(f"u,{row}\n" for row in rows)
    prepared = accept({"log.csv": log}, YAML, {BAD_WEIGHT: 3})
    assert prepared.weights is not None
    assert prepared.weights.tolist() == [1, 0, 1, 1, 1]


def test_a_log_of_dislikes_is_refused(refuse: Refuse) -> None:
    log = "user_id,item_id,timestamp,event\nu,a,1,no\nu,b,2,no\n"
    yaml = YAML + "events: {dislikes: ['no']}"
    refuse({"log.csv": log}, yaml, "log.csv", "all 2 interactions are dislikes", "name fewer kinds")
