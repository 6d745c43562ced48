"""The console script: it finds the command and imports only what that one needs."""

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from textwrap import indent

TRAINER_COMMANDS = {
    "fit": "train a model; checkpoints and logs go into its run folder",
    "validate": "evaluate on the validation targets",
    "test": "evaluate on the test targets; writes metrics.json and per_user.parquet",
    "predict": "run a model on a prediction set",
}
OTHER_COMMANDS = {
    "prepare": "validate, clean, index and split interactions; build the graph",
    "embed": "extract knowledge vectors of items, users and domains",
    "recommend": "write the best items of each user and domain, with reasons",
    "compare": "print paired intervals of the difference of two runs",
    "report": "compare many runs in a table, a JSON file and an HTML page",
    "run": "run the stages of a pipeline file and skip what has not changed",
}
DESCRIPTION = "Cross-domain recommendation through language models."
TRACEBACK = "XREC_TRACEBACK"


class UnknownCommandError(ValueError):
    """The first word is no command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 1 after an error, 2 without a command."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return 0 if words else 2
    try:
        run_command(words)
    except UnknownCommandError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except (ValueError, OSError) as error:
        if os.environ.get(TRACEBACK):
            raise
        sys.stderr.write(f"error: {error}\n({TRACEBACK}=1 shows where)\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


def run_command(words: Sequence[str]) -> Path | None:
    """Run the command ``words[0]`` on the other words and return the folder that it wrote, if any.

    Raises:
        UnknownCommandError: If there is no such command; the message names the nearest.
    """
    name, *rest = words
    if name in TRAINER_COMMANDS:
        return import_module("xrec_lightning.cli").main([name, *rest])
    if name in OTHER_COMMANDS:
        return import_module(f"xrec_lightning.commands.{name}").main(rest)
    nearest = get_close_matches(name, [*TRAINER_COMMANDS, *OTHER_COMMANDS], n=1)
    remedy = f"did you mean {nearest[0]!r}?" if nearest else "`xrec --help` lists them"
    raise UnknownCommandError(f"unknown command {name!r}; {remedy}")


def _help() -> str:
    commands = {**TRAINER_COMMANDS, **OTHER_COMMANDS}
    lines = "\n".join(f"{name:<10} {line}" for name, line in commands.items())
    return (
        f"usage: xrec COMMAND ...\n\n{DESCRIPTION}\n\ncommands:\n{indent(lines, '  ')}\n\n"
        "`xrec COMMAND --help` explains each one.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
