"""Command lines and YAML files of dataclasses; errors in one line that name the nearest key."""

import re
from ast import literal_eval
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TypeVar

from jsonargparse import ArgumentError, ArgumentParser

from xrec_lightning.data.errors import InputError, suggest

Config = TypeVar("Config")

_KEY = re.compile(r'Parser key "([^"]+)":')
_CLASS = re.compile(r"Problem with given class_path '([^']+)'|\(class_path='([^']+)'")
_UNKNOWN_ARGUMENT = re.compile(r"Option '([^']+)' is not accepted")
_UNKNOWN_CLASS = re.compile(r"module '([^']+)' has no attribute '([^']+)'")
_UNKNOWN_OPTION = re.compile(
    r"unrecognized arguments: --([^ =]+)|does not accept option '([^']+)'|Key '([^']+)' is not exp"
)
_REASON = re.compile(r"Expected an? .+|File does .+|Path is .+|No module .+|Subclasses are .+")
_GIVEN = re.compile(r"Given value: (.+)")
_NO_TYPE_FITS = ("Does not validate against", "Problem with given class_path")
_CLASS_KEYS = ("class_path", "init_args", "dict_kwargs")


def parse_config(config_class: type[Config], arguments: Sequence[str], command: str) -> Config:
    """Return the ``config_class`` that a command line gives: ``--config FILE`` and ``--FIELD``.

    Raises:
        InputError: If a key is unknown or a value does not fit.
    """
    parser = ArgumentParser(
        prog=f"xrec {command}",
        description=(config_class.__doc__ or "").partition("\n")[0],
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="config", help="YAML file of the options below")
    names = parser.add_class_arguments(config_class, as_group=False)
    try:
        values = parser.instantiate(parser.parse_args(list(arguments)))
    except ArgumentError as error:
        raise InputError(explain(str(error), option_names(parser))) from error
    return config_class(**{name: values[name] for name in names})


def option_names(parser: ArgumentParser) -> list[str]:
    """Return the dotted names of the options of ``parser``."""
    return [
        option.removeprefix("--")
        for action in parser._actions  # the parser offers no public list
        for option in action.option_strings
        if option.startswith("--")
    ]


def explain(message: str, options: Iterable[str]) -> str:
    """Return the one line that matters of a parser's ``message``.

    Args:
        message: What jsonargparse says, often one reason for each type that a value could have.
        options: Valid names on the command line.
    """
    if match := _UNKNOWN_OPTION.search(message):
        name = next(filter(None, match.groups()))
        return f"unknown key {name}; {suggest(name, options)}"
    keys: list[str] = []
    class_path = ""
    for line in message.splitlines():
        if match := _KEY.search(line):
            keys.append(match[1])
        if match := _CLASS.search(line):
            class_path = match[1] or match[2]
            keys.append("init_args")
        if reason := _reason(line, message, keys, class_path, options):
            return reason
    return " ".join(message.split())


def first_cause(error: BaseException) -> BaseException:
    """Return what a constructor raised, out of the parser's remark that no type fits the value."""
    while str(error).startswith(_NO_TYPE_FITS) and (cause := error.__cause__ or error.__context__):
        error = cause
    return error


def _reason(
    line: str, message: str, keys: list[str], class_path: str, options: Iterable[str]
) -> str | None:
    """Return what ``line`` of ``message`` says is wrong with the value at ``keys``, if it does."""
    if match := _UNKNOWN_ARGUMENT.search(line):
        return _unknown_argument(match[1], keys, class_path, options)
    if match := _UNKNOWN_CLASS.search(line):
        return _unknown_class(match[1], match[2], keys)
    is_reason = _REASON.search(line) or "Not a valid subclass" in line
    if is_reason and not class_path and (key := _unfit_key(message)):
        return f"unknown key {'.'.join([*keys, key])}; {suggest(key, _CLASS_KEYS)}"
    if match := _REASON.search(line):
        return f"{'.'.join(keys)}: {match[0]}{_given_value(message)}"
    return None


def _unknown_argument(name: str, keys: list[str], class_path: str, options: Iterable[str]) -> str:
    module, _, class_name = class_path.rpartition(".")
    if module:
        accepting = getattr(import_module(module), class_name)
        options = ArgumentParser().add_class_arguments(accepting, fail_untyped=False)
    return f"unknown key {'.'.join([*keys, name])}; {suggest(name, options)}"


def _unknown_class(module: str, name: str, keys: list[str]) -> str:
    nearest = get_close_matches(name, vars(import_module(module)), n=1)
    remedy = f"; did you mean `{nearest[0]}`?" if nearest else ""
    return f"{'.'.join(keys[:-1])}.class_path: {module} has no {name}{remedy}"


def _given_value(message: str) -> str:
    match = _GIVEN.search(message)
    is_plain = match is not None and not match[1].startswith(("{", "NestedArg", "Namespace"))
    return f"; the value is {match[1]}" if match is not None and is_plain else ""


def _unfit_key(message: str) -> str | None:
    """Return the key of the given mapping that no mapping with a class path has."""
    match = _GIVEN.search(message)
    if match is None or not match[1].startswith("{"):
        return None
    try:
        keys = literal_eval(match[1])
    except (ValueError, SyntaxError):
        return None  # it holds objects, so it is the parser's and not the user's
    is_of_class = "class_path" in keys
    return next((key for key in keys if is_of_class and key not in _CLASS_KEYS), None)
