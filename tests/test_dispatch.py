"""Finding commands."""

from importlib import import_module

import pytest

from xrec_lightning.dispatch import OTHER_COMMANDS, UnknownCommandError, module_name, run_command


@pytest.mark.parametrize("command", OTHER_COMMANDS)
def test_each_listed_command_has_its_module(command: str) -> None:
    assert callable(import_module(f"xrec_lightning.commands.{module_name(command)}").main)


def test_modules_are_no_commands() -> None:
    with pytest.raises(UnknownCommandError, match="unknown command '__init__'"):
        run_command(["__init__"])
