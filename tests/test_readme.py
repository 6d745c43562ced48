"""The commands that the README and the model page show exist and parse."""

import re
import shlex
from pathlib import Path

import pytest

from xrec_lightning.cli import XrecCLI
from xrec_lightning.data.config.load import load_config
from xrec_lightning.dispatch import OTHER_COMMANDS, TRAINER_COMMANDS
from xrec_lightning.pipeline import load_pipeline

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "xrec_lightning" / "models" / "README.md"]
MAX_LINES = 200
BLOCK = re.compile(r"^```(?:bash|sh|console|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def shown_commands(program: str) -> list[list[str]]:
    """Return the words after ``program`` of each line of the pages' blocks that calls it."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES).replace("\\\n", " ")
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines()]
    words = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]
    starts = [next((i for i, w in enumerate(ws) if "=" not in w), 0) for ws in words]
    called = [ws[start:] for ws, start in zip(words, starts, strict=True) if ws[start:]]
    return [ws[1:] for ws in called if ws[0].removeprefix(".venv/bin/") == program]


def test_readme_is_short_and_shows_both_programs() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    assert shown_commands("xrec")
    assert ["demo"] in shown_commands("make")


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    shown = {word for words in shown_commands("make") for word in words if "=" not in word}
    assert shown <= targets


def test_xrec_commands_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(XrecCLI, "instantiate_classes", lambda _: None)
    monkeypatch.setattr(XrecCLI, "_run_subcommand", lambda *_: None)
    for command, *arguments in shown_commands("xrec"):
        if command in TRAINER_COMMANDS:
            XrecCLI([command, *arguments])
        elif command == "run":
            load_pipeline(Path(arguments[0]))
        elif command == "prepare":
            load_config(Path(arguments[0]))
        else:
            assert command in ("--help", *OTHER_COMMANDS)
