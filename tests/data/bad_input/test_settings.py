"""Data YAMLs that say what cannot be."""

from collections.abc import Callable

import pytest

from xrec_lightning.data.prepared import Prepared

Refuse = Callable[..., None]
Accept = Callable[..., Prepared]

LOG = "interactions: {path: log.csv}\n"
EVENTS = "user_id,item_id,timestamp,event\nu,a,1,buy\nu,b,2,buy\nu,c,3,view\n"
GLOBAL = "split: {method: global_time, "
MAPPING = "is no mapping; write its keys below it"
NO_FILE = "names no file"

WHOLE = {
    "list": ("- a\n", "data.yaml", "mapping", "with the key `interactions`"),
    "nothing": ("", "data.yaml", "mapping", "with the key `interactions`"),
    "no YAML": ("interactions: [", "data.yaml", "not valid YAML", "line 1"),
    "latin1": ((LOG + "# é").encode("latin1"), "data.yaml", "0xe9", "save the file in UTF-8"),
    "no log": ("seed: 1", "data.yaml", "`interactions`", "is missing; add it"),
    "key twice": (LOG + LOG, "data.yaml", "`interactions` is there twice", "keep one"),
    "log of text": ("interactions: log.csv", "data.yaml", "'log.csv'", MAPPING + ", as `path:"),
    "log without path": ("interactions: {}", "data.yaml", "interactions.path", "missing; add it"),
    "path of a number": ("interactions: {path: 3}", "interactions.path", "value: 3", "Expected a"),
    "unknown encoding": (
        "interactions: {path: log.csv, encoding: utf7}",
        "interactions.encoding",
        "utf7",
        "Expected a typing.Literal['utf8', 'latin1'",
    ),
    "unknown unit": (
        "interactions: {path: log.csv, time_unit: min}",
        "interactions.time_unit",
        "min",
        "Literal['auto', 's', 'ms'",
    ),
    "unknown column of ours": (
        "interactions: {path: log.csv, columns: {usr_id: user}}",
        "data.yaml",
        "`interactions.columns.usr_id`",
        "did you mean `user_id`?",
    ),
    "unknown column of theirs": (
        "interactions: {path: log.csv, columns: {rating: stars}}",
        "log.csv",
        "`stars` (mapped to `rating`)",
        "under `columns.rating`",
    ),
}

PARTS = {
    "unknown key": ("spilt: {}", "data.yaml", "`spilt`", "did you mean `split`?"),
    "unknown key below": ("split: {methood: ratio}", "data.yaml", "`split.methood`", "`method`?"),
    "unknown key of items": ("items: {path: a, txt: [b]}", "data.yaml", "`items.txt`", "`text`?"),
    "number as key": ("3: 4", "data.yaml", "`3`", "valid: anonymize, clean"),
    "number as domain": ("domains: {1: a}", "data.yaml: domains", "key 1", "in quotes, as '1'"),
    "empty part": ("clean:", "data.yaml: clean", "nothing (null)", "or remove the key"),
    "part of a list": ("clean: [1]", "data.yaml: clean", "[1]", MAPPING),
    "empty value": ("seed:", "data.yaml: seed", "nothing (null)", "give it a value"),
    "text for a number": ("seed: many", "seed", "many", "Expected a <class 'int'>"),
    "text for a list": ("clean: {filters: a}", "clean.filters", ": a", "Expected a <class 'list'>"),
    "unknown method": ("split: {method: odd}", "split.method", "odd", "Literal['leave_one_out'"),
    "unknown domain with text": ("domains: {z: a}", "domains", "`z`", "valid: x, y"),
    "negative days": ("clean: {last_days: -1}", "clean.last_days", "-1.0", "give days from 0"),
    "endless days": ("clean: {last_days: .inf}", "clean.last_days", "inf", "give days from 0"),
    "huge number": (f"split: {{n: {10**20}}}", "split.n", str(10**20), "give a number from 1 to"),
    "name of a file": (
        "items: {path: items.csv, vectors: {../a: a.npy}}",
        "items.vectors",
        "'../a'",
        "give one of letters",
    ),
    "filter that is no SQL": (
        "clean: {filters: ['timestamp >>> 3']}",
        "clean.filters",
        "timestamp >>> 3",
        "write a condition in SQL, as `rating >= 3`",
    ),
    "filter of an unknown column": (
        "clean: {filters: ['ratng > 3']}",
        "clean.filters: ratng > 3",
        "no column `ratng`",
        "did you mean `rating`?",
    ),
    "filter of an absent column": (
        "clean: {filters: ['rating > 3']}",
        "clean.filters: rating > 3",
        "no file of the interactions has",
        "name theirs in `interactions.columns`",
    ),
    "filter of another type": (
        "clean: {filters: ['domain > 3']}",
        "clean.filters: domain > 3",
        "cannot compare",
        "compare numbers with numbers",
    ),
    "filter of all rows": (
        "clean: {filters: ['timestamp < max(timestamp)']}",
        "clean.filters: timestamp < max(timestamp)",
        "max looks at more than one row",
        "a condition on the row itself",
    ),
    "filter of no condition": (
        "clean: {filters: [timestamp]}",
        "clean.filters: timestamp",
        "no yes or no",
        "compare it",
    ),
    "filter that keeps nothing": (
        "clean: {filters: ['timestamp > 99']}",
        "row 0 of log.csv",
        "does not meet: timestamp > 99",
        "correct the file, `interactions.columns` or `clean`",
    ),
    "since that is no time": ("clean: {since: soon}", "clean.since", "soon", "ISO date"),
    "since after the log": ("clean: {since: 2020-01-01}", "row 0", "before 2020-01-01", "`clean`"),
    "few last days": ("clean: {last_days: 1.0e-05}", "no val targets", "val: 0", "loosen `clean`"),
    "short histories": ("clean: {max_history: 1}", "no val targets", "train: 2", "loosen `clean`"),
    "few events an hour": ("clean: {max_per_hour: 1}", "row 0", "more than 1 events", "`clean`"),
    "large core": ("clean: {k_core: 99}", "clean.k_core", "99", "lower it"),
    "weights without events": (
        "events: {weights: {buy: 2}}",
        "events.weights",
        "buy",
        "name theirs in `interactions.columns`",
    ),
    "dislikes without ratings": (
        "events: {dislike_below: 3}",
        "events.dislike_below",
        "3.0",
        "name theirs in `interactions.columns`",
    ),
    "unknown cold domain": ("split: {cold_domain: z}", "split.cold_domain", "z", "valid: x, y"),
    "cold users that are none": (
        "split: {cold_users: 0.01}",
        "split.cold_users",
        "0.01 of 2",
        "raise the share",
    ),
    "cold items without text": (
        "split: {cold_items: 0.5}",
        "split.cold_items",
        "0.5 of 0 items with text",
        "leave the protocol out",
    ),
    "fold before the log": (
        "split: {method: folds, fold: 999}",
        "split.fold: 999",
        "before the log",
        "lower either",
    ),
    "validation after test": (
        GLOBAL + "val_from: 3, test_from: 2}",
        "split.val_from: 3",
        "split.test_from: 2",
        "give seconds since 1970 or ISO dates",
    ),
    "cut that is no time": (GLOBAL + "val_from: a, test_from: 2}", "split.val_from", "a", "ISO"),
    "one cut alone": (GLOBAL + "val_from: 3}", "split.val_from", "3", "give both, or none"),
    "cuts after the log": (
        GLOBAL + "val_from: 8, test_from: 9}",
        "no val targets",
        "train: 6, val: 0",
        "its shares or cuts",
    ),
    "cuts before the log": (
        GLOBAL + "val_from: 0, test_from: 2}",
        "no train events",
        "train: 0",
        "its shares or cuts",
    ),
    "no share of validation": (
        "split: {method: ratio, val_share: 0}",
        "no val targets",
        "val: 0",
        "its shares or cuts",
    ),
    "shares above one": (
        "split: {method: ratio, val_share: 0.6, test_share: 0.6}",
        "split.val_share + split.test_share",
        "1.2",
        "below 1",
    ),
    "no key": ("anonymize: {users: true, key_env: NO_KEY}", "NO_KEY", "is not set", "`export"),
    "short key": ("anonymize: {users: true, key_env: SHORT}", "SHORT", "3 bytes", "at least 16"),
    "drop without profiles": (
        "anonymize: {drop: [age]}",
        "anonymize.drop",
        "age",
        "name their files in `users.path`",
    ),
}

PROFILES = {
    "unknown": ("profile: [age]", "aeg", "did you mean `age`?"),
    "of the profile": ("profile: [age]", "age", "remove it there too"),
    "of the text": ("text: [age]", "age", "remove it there too"),
    "of the template": ("template: '{age} years'", "age", "remove it there too"),
}

KINDS = {
    "dislike": ("dislikes: [bye]", "events.dislikes", "bye", "did you mean `buy`?"),
    "weight": ("weights: {bye: 2}", "events.weights", "bye", "did you mean `buy`?"),
    "negative weight": ("weights: {buy: -1}", "events.weights", "-1.0", "a positive number"),
    "weight of no number": ("weights: {buy: .nan}", "events.weights", "nan", "a positive number"),
}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_KEY", raising=False)
    monkeypatch.setenv("SHORT", "abc")


@pytest.mark.parametrize(("yaml", "where", "value", "remedy"), WHOLE.values(), ids=WHOLE)
def test_bad_yaml_is_refused(
    refuse: Refuse, yaml: str | bytes, where: str, value: str, remedy: str
) -> None:
    refuse({}, yaml, where, value, remedy)


@pytest.mark.parametrize(("yaml", "where", "value", "remedy"), PARTS.values(), ids=PARTS)
def test_bad_settings_are_refused(
    refuse: Refuse, yaml: str, where: str, value: str, remedy: str
) -> None:
    refuse({}, LOG + yaml, where, value, remedy)


@pytest.mark.parametrize(("users", "name", "remedy"), PROFILES.values(), ids=PROFILES)
def test_dropped_columns_are_neither_unknown_nor_used(
    refuse: Refuse, users: str, name: str, remedy: str
) -> None:
    yaml = f"{LOG}users: {{path: users.csv, {users}}}\nanonymize: {{drop: [{name}]}}"
    refuse({}, yaml, "anonymize.drop", f"`{name}`", remedy)


@pytest.mark.parametrize(("events", "where", "value", "remedy"), KINDS.values(), ids=KINDS)
def test_kinds_of_events_are_of_the_log(
    refuse: Refuse, events: str, where: str, value: str, remedy: str
) -> None:
    refuse({"log.csv": EVENTS}, f"{LOG}events: {{{events}}}", where, value, remedy)


def test_a_yaml_with_a_mark_is_read(accept: Accept) -> None:
    assert accept({}, "\ufeff" + LOG).domains == ("x", "y")
