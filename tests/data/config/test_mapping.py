from dataclasses import dataclass, field
from pathlib import Path

import pytest

from xrec_lightning.data.config.mapping import read_mapping, refuse_bad_keys
from xrec_lightning.data.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Inner:
    path: str
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class Outer:
    table: Inner
    other: Inner | None = None
    names: list[str] = field(default_factory=list)
    title: str | None = None
    labels: dict[str, str] = field(default_factory=dict)


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "data.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_dates_become_text_at_any_level(tmp_path: Path) -> None:
    path = write(tmp_path, "a: {b: 2020-01-01}\nc: [2020-01-02, 3]\n")
    assert read_mapping(path, "a") == {"a": {"b": "2020-01-01"}, "c": ["2020-01-02", 3]}


def test_merged_keys_may_be_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path, "a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n")
    assert read_mapping(path, "a")["b"] == {"x": 3, "y": 2}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "mapping with the key `table`"),
        ("- a", "mapping with the key `table`"),
        ("a: [", "not valid YAML"),
        ("a:\n\tb: 1", "not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
        ("a: 1\nb: 2\na: 3", "key `a` is there twice; keep one"),
        ("a: {b: 1, b: 2}", "key `b` is there twice; keep one"),
        ("a: é".encode("latin1"), "0xe9 is not UTF-8; save the file in UTF-8"),
    ],
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, content: str | bytes, words: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(InputError) as error:
        read_mapping(path, "table")
    assert str(path) in str(error.value)
    assert words in str(error.value)


def test_good_keys_pass() -> None:
    mapping = {"table": {"path": "a"}, "other": None, "title": None, "names": ["b"]}
    refuse_bad_keys(mapping, Outer, Path("data.yaml"))


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"tabble": {}}, "unknown key `tabble`; did you mean `table`?"),
        ({3: 4}, "unknown key `3`; valid: labels, names, other, table, title"),
        ({"table": {"path": "a", "sizze": 1}}, "unknown key `table.sizze`; did you mean `size`?"),
        ({"table": {"path": "a"}, "other": {"x": 1}}, "unknown key `other.x`; valid: path, size"),
        ({}, "the key `table` is missing"),
        ({"table": {"size": 1}}, "the key `table.path` is missing"),
        ({"table": None}, r"table: holds nothing \(null\); give it a value"),
        ({"table": {"path": None}}, r"table\.path: holds nothing"),
        ({"table": {"path": "a"}, "names": None}, "names: holds nothing"),
        ({"table": "a.csv"}, r"table: 'a\.csv' is no mapping; write its keys below it, as `path:"),
        ({"table": {"path": "a"}, "labels": {1: "b"}}, "labels: the key 1 is no text; .* as '1'"),
        ({"table": {"path": "a"}, "other": [1]}, r"other: \[1\] is no mapping"),
    ],
)
def test_bad_keys_are_named_with_the_remedy(mapping: dict[object, object], words: str) -> None:
    with pytest.raises(InputError, match=r"^data\.yaml: .*" + words):
        refuse_bad_keys(mapping, Outer, Path("data.yaml"))
