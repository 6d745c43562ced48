"""Which commands there are; it imports only what the one that is run needs."""

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

TRAINER_COMMANDS = {
    "fit": "train a model; checkpoints and logs go into its run folder",
    "validate": "evaluate on the validation targets",
    "test": "evaluate on the test targets; writes metrics.json and per_user.parquet",
    "predict": "run a model on a prediction set",
}
OTHER_COMMANDS = {
    "prepare": "validate, clean, index and split interactions; build the graph",
    "validate-data": "report what the raw files hold and what is wrong with them",
    "protocol": "freeze what defines the evaluation of a data set, as a file to share",
    "graph": "sum up the fusion graph, or show what surrounds a user or an item",
    "embed": "extract knowledge vectors of items, users, domains, entities and histories",
    "recommend": "write the best items of each user and domain, with reasons",
    "compare": "print paired intervals of the difference of two runs",
    "report": "compare many runs in a table, a JSON file and an HTML page",
    "benchmark": "run a named protocol for all its models; writes figures, table and page",
    "run": "run the stages of a pipeline file and skip what has not changed",
}


class UnknownCommandError(ValueError):
    """The first word is no command."""


def module_name(command: str) -> str:
    """Return the module of `xrec_lightning.commands` that holds a command.

    Example:
        >>> module_name("validate-data")
        'validate_data'
    """
    return command.replace("-", "_")


def run_command(words: Sequence[str]) -> Path | None:
    """Run the command ``words[0]`` on the other words and return the folder that it wrote, if any.

    Raises:
        UnknownCommandError: If there is no such command; the message names the nearest.
    """
    name, *rest = words
    if name in TRAINER_COMMANDS:
        return import_module("xrec_lightning.cli").main([name, *rest])
    if name in OTHER_COMMANDS:
        return import_module(f"xrec_lightning.commands.{module_name(name)}").main(rest)
    nearest = get_close_matches(name, [*TRAINER_COMMANDS, *OTHER_COMMANDS], n=1)
    remedy = f"did you mean {nearest[0]!r}?" if nearest else "`xrec --help` lists them"
    raise UnknownCommandError(f"unknown command {name!r}; {remedy}")
