"""How the files of the project lie."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "xrec_lightning"
SOURCES = sorted(PACKAGE.rglob("*.py"))
FILES = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]
TEXTS = [
    *FILES,
    *(path for path in sorted((ROOT / "configs").rglob("*")) if path.is_file()),
    *sorted(ROOT.glob("*.md")),
    *(ROOT / name for name in ("Makefile", "pyproject.toml", "constraints.txt", ".ci/run")),
]
MAX_LINES = 300
BANNED_NAMES = {"utils", "helpers", "common", "misc"}
MACHINE_PATH = re.compile(r"(?<![\w.}/])/(work|root|home|Users|opt|mnt)/\w")
NO_TESTS = {"__init__.py"}
OTHER_TESTS = {
    "__main__.py": "test_main.py",
    "batches.py": "data/behavior/test_sequences.py",
    "predictions.py": "callbacks/test_prediction_writer.py",
}
"""``__main__`` cannot be mirrored, and tuples are tested where they are made."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_file_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name not in NO_TESTS], ids=name)
def test_file_has_its_tests(path: Path) -> None:
    inside = path.relative_to(PACKAGE)
    mirror = OTHER_TESTS.get(str(inside), str(inside.with_name(f"test_{inside.name}")))
    assert (ROOT / "tests" / mirror).is_file()


@pytest.mark.parametrize("path", FILES, ids=name)
def test_file_says_what_it_holds(path: Path) -> None:
    assert not BANNED_NAMES & {path.stem, *path.relative_to(ROOT).parts}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=name)
def test_package_file_holds_one_line(path: Path) -> None:
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r'""".+"""', line)


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_file_names_no_path_of_one_machine(path: Path) -> None:
    if path != Path(__file__):
        assert not MACHINE_PATH.search(path.read_text(encoding="utf-8"))


def test_demo_data_is_tracked_and_the_package_is_not_ignored() -> None:
    patterns = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/data/*", "!/data/README.md", "!/data/complete_journey/"} <= set(patterns)
    assert "data/" not in patterns
