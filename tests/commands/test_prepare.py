"""``xrec prepare``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from xrec_lightning.__main__ import main
from xrec_lightning.commands import prepare as command
from xrec_lightning.data.engine.engines import LocalEngine


def test_folder_is_printed_and_reused(
    tiny_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = []
    for _ in range(2):
        assert main(["prepare", str(tiny_dataset)]) == 0
        folders.append(capsys.readouterr().out.strip())
    assert folders[0] == folders[1]
    assert (Path(folders[0]) / "manifest.json").is_file()


def test_unknown_key_names_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "data.yaml"
    path.write_text("interactons: {path: log.csv}")
    assert main(["prepare", str(path)]) == 1
    assert "unknown key `interactons`; did you mean `interactions`?" in capsys.readouterr().err


class FakeRay(LocalEngine):
    """Notes that it is opened and closed."""

    events: list[str]

    def __enter__(self) -> "FakeRay":
        self.events.append("opened")
        return self

    def __exit__(self, *_: object) -> None:
        self.events.append("closed")


@pytest.mark.parametrize("failing", [False, True])
def test_options_reach_the_pipeline_and_ray_is_closed(
    tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, failing: bool
) -> None:
    given: list[Any] = []
    FakeRay.events = []

    def note(config: object, engine: object, rows_per_shard: int) -> Path:
        given.extend([type(engine), rows_per_shard])
        if failing:
            raise ValueError("no")
        return Path()

    monkeypatch.setattr(command, "prepare", note)
    monkeypatch.setattr(command, "RayEngine", FakeRay)
    options = ["--engine", "ray", "--rows-per-shard", "7"]
    assert main(["prepare", str(tiny_dataset), *options]) == int(failing)
    assert given == [FakeRay, 7]
    assert FakeRay.events == ["opened", "closed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rows-per-shard", "0"], "--rows-per-shard: 0 is not positive"),
        (["--rows-per-shard", "-3"], "--rows-per-shard: -3 is not positive"),
    ],
)
def test_options_out_of_range_are_refused(
    tiny_dataset: Path, capsys: pytest.CaptureFixture[str], options: Sequence[str], message: str
) -> None:
    assert main(["prepare", str(tiny_dataset), *options]) == 1
    assert message in capsys.readouterr().err


def test_an_unknown_engine_is_refused_with_the_known_ones(
    tiny_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["prepare", str(tiny_dataset), "--engine", "spark"])
    error = capsys.readouterr().err
    assert "spark" in error
    assert "local" in error
    assert "ray" in error


def test_without_ray_the_remedy_is_said(
    tiny_dataset: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # an import of it fails
    assert main(["prepare", str(tiny_dataset), "--engine", "ray"]) == 1
    assert "pip install 'xrec-lightning[ray]'" in capsys.readouterr().err
