"""One-line errors of command lines and files."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from jsonargparse import ArgumentError, ArgumentParser

from xrec_lightning.data.errors import InputError
from xrec_lightning.models.sequence.base import EncoderConfig
from xrec_lightning.parsing import explain, first_cause, option_names, parse_config

SASREC = "xrec_lightning.models.sequence.sasrec.SASRecConfig"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A shape."""

    width: int = 1
    """Width in meters."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of nothing.

    More of it.
    """

    source: Path
    """Where from."""
    top_k: int = 3
    """How many."""
    shape: Shape = field(default_factory=Shape)
    """What shape."""


def test_command_line_overrides_the_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("source: a\ntop_k: 4\nshape: {width: 2}\n")
    assert parse_config(Settings, [f"--config={path}", "--top_k=5"], "nothing") == Settings(
        source=Path("a"), top_k=5, shape=Shape(width=2)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source=a", "--top_kk=1"], "unknown key top_kk; did you mean `top_k`?"),
        (["--source=a", "--top_k=b"], "top_k: Expected a <class 'int'>. Got value: b"),
        (["--source=a", "--shape.widht=1"], "unknown key shape.widht; did you mean `shape.width`?"),
        ([], "the following arguments are required: source"),
        (["--config=nowhere.yaml"], "config: File does not exist"),
    ],
)
def test_errors_are_one_line_with_the_remedy(arguments: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_config(Settings, arguments, "nothing")
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_unknown_key_in_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("source: a\ntop_kk: 4\n")
    with pytest.raises(InputError, match="unknown key top_kk; did you mean `top_k`"):
        parse_config(Settings, [f"--config={path}"], "nothing")


@pytest.fixture
def reason() -> Callable[[object], str]:
    """Return a function that parses an encoder from a value and explains what is wrong with it."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(EncoderConfig, "model")

    def explained(value: object) -> str:
        with pytest.raises(ArgumentError) as error:
            parser.parse_object({"model": value})
        return explain(str(error.value), option_names(parser))

    return explained


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"class_path": SASREC, "init_args": {"embed_dmi": 3}},
            "unknown key model.init_args.embed_dmi; did you mean `embed_dim`?",
        ),
        (
            {"class_path": SASREC, "init_arg": {}},
            "unknown key model.init_arg; did you mean `init_args`?",
        ),
        (
            {"class_path": SASREC.replace("Config", "Confg")},
            "model.class_path: xrec_lightning.models.sequence.sasrec has no SASRecConfg; "
            "did you mean `SASRecConfig`?",
        ),
        (
            {"class_path": SASREC, "init_args": {"embed_dim": "wide"}},
            "model.init_args.embed_dim: Expected a <class 'int'>. Got value: wide",
        ),
    ],
)
def test_wrong_class_arguments_are_named_with_the_nearest(
    reason: Callable[[object], str], value: object, message: str
) -> None:
    assert reason(value) == message


def test_other_messages_become_one_line() -> None:
    assert explain("two\n  lines", []) == "two lines"


def test_cause_is_found_behind_the_parsers_remark() -> None:
    remark = ValueError("Does not validate against any of the types")
    assert first_cause(remark) is remark
    remark.__cause__ = ValueError("width 8 is too small")
    assert first_cause(remark) is remark.__cause__
