"""The console script."""

import subprocess
import sys
import time

import pytest

from xrec_lightning.__main__ import main
from xrec_lightning.dispatch import OTHER_COMMANDS, TRAINER_COMMANDS

STARTUP_SECONDS = 0.5
PRINT_TORCH = (
    "import sys; from xrec_lightning.__main__ import main; main({}); print('torch' in sys.modules)"
)


@pytest.mark.parametrize("words", [["--help"], ["fti"], ["prepare", "nowhere.yaml"]])
def test_torch_is_not_imported(words: list[str]) -> None:
    code = PRINT_TORCH.format(words)
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.splitlines()[-1] == "False"


def test_help_answers_at_once() -> None:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "xrec_lightning", "--help"], capture_output=True, check=True
        )
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < STARTUP_SECONDS


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:2] == "  "]
    assert listed == [*TRAINER_COMMANDS, *OTHER_COMMANDS]


def test_no_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: xrec" in capsys.readouterr().out


def test_mistyped_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fti"]) == 2
    assert capsys.readouterr().err == "error: unknown command 'fti'; did you mean 'fit'?\n"
    assert main(["qqq"]) == 2
    assert "`xrec --help` lists them" in capsys.readouterr().err


def test_users_error_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["prepare", "nowhere.yaml"]) == 1
    error, remark = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert "nowhere.yaml" in error
    assert remark == "(XREC_TRACEBACK=1 shows where)"
    monkeypatch.setenv("XREC_TRACEBACK", "1")
    with pytest.raises(FileNotFoundError):
        main(["prepare", "nowhere.yaml"])


@pytest.mark.parametrize("command", [*TRAINER_COMMANDS, *OTHER_COMMANDS])
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "usage:" in capsys.readouterr().out
