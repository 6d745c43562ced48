"""How far `prepare` is."""

import pytest
from rich.progress import Progress

from xrec_lightning.data.engine import progress


def test_steps_end_one_after_the_other_with_their_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.5, 13.0])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    bar = Progress(disable=True, get_time=lambda: 0.0)
    seconds: dict[str, float] = {}
    steps = progress.Steps(["read", "write"], bar, seconds)
    assert bar.tasks[0].description == "read"
    steps.done("read")
    assert (bar.tasks[0].description, bar.tasks[0].completed) == ("write", 1)
    steps.done("write")
    assert (bar.tasks[0].description, bar.finished) == ("done", True)
    assert seconds == {"read": 2.5, "write": 0.5}


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_is_shown_on_terminals_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: is_terminal)
    with progress.show_steps("prepare", ["read"], {}) as steps:
        steps.done("read")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ("prepare: done" in captured.err) == is_terminal


def test_an_error_in_a_step_passes_through() -> None:
    with pytest.raises(ValueError, match="broken"), progress.show_steps("prepare", ["a"], {}):
        raise ValueError("broken")
