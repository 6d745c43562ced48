"""Input files, written out."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from xrec_lightning.data.raw.kinds import SourceFile

Write = Callable[[str, str | bytes], SourceFile]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep copies of input files out of the home folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XREC_CACHE", str(folder))
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a file, compressed when it is called `.gz`."""

    def write_file(name: str, content: str | bytes) -> SourceFile:
        path = tmp_path / name
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return SourceFile(path, str(path))

    return write_file
