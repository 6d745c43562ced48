"""Pipelines: stages that know what they were made from."""

import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from glob import has_magic
from importlib.metadata import version
from pathlib import Path

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from xrec_lightning.atomic import write_text
from xrec_lightning.data.errors import InputError, suggest
from xrec_lightning.parsing import explain

DONE_FILE = "done.json"
OUTPUT_FILE = "output.txt"
"""What the commands of a stage wrote to the standard output."""
RUN_FOLDER_COMMANDS = ("fit", "validate", "test", "predict")
"""Commands whose output folder is ``trainer.default_root_dir``."""

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_REFERENCE_AND_PATH = re.compile(_REFERENCE.pattern + "([^,$]*)")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One or more commands on the same config files."""

    name: str
    """Name of the stage and of its folder."""
    command: str | list[str]
    """Commands, run one after the other."""
    config: str | list[str] = field(default_factory=list)
    """Files for ``--config``, the later ones over the earlier ones."""
    args: list[str] = field(default_factory=list)
    """More of the command line; ``${stage}`` is the output folder of that stage, and a pattern such
    as ``${fused_*}`` stands for those of all earlier stages that it fits, with commas between."""
    inputs: list[str] = field(default_factory=list)
    """Stages that must come before, besides those that `args` names."""
    each: dict[str, list[str | int]] = field(default_factory=dict)
    """Values of placeholders: the stage stands for one of each combination, with the value of
    ``name`` in place of each ``{name}``, which its own name must hold."""
    trials: int = 1
    """How many settings were tried on validation before these; benchmarks tell it."""

    def expand(self) -> list["Stage"]:
        """Return the stages that this one stands for, itself where it has no placeholders."""
        combinations = itertools.product(*self.each.values())
        return [self._filled(dict(zip(self.each, values, strict=True))) for values in combinations]

    def _filled(self, values: Mapping[str, str | int]) -> "Stage":
        def fill(text: str) -> str:
            for name, value in values.items():
                text = text.replace(f"{{{name}}}", str(value))
            return text

        return replace(
            self,
            name=fill(self.name),
            command=[fill(text) for text in self.commands],
            config=[fill(text) for text in self.configs],
            args=[fill(text) for text in self.args],
            inputs=[fill(text) for text in self.inputs],
            each={},
        )

    @property
    def commands(self) -> list[str]:
        """The commands, as a list."""
        return [self.command] if isinstance(self.command, str) else self.command

    @property
    def configs(self) -> list[str]:
        """The config files, as a list."""
        return [self.config] if isinstance(self.config, str) else self.config

    @property
    def needs(self) -> list[str]:
        """The stages whose outputs this one reads, sorted."""
        named = {name for argument in self.args for name in _REFERENCE.findall(argument)}
        return sorted((named | set(self.inputs)) - {self.name})

    def lines(self, outputs: Mapping[str, Path]) -> list[list[str]]:
        """Return the command lines, one for each command, with the folders in place of names."""
        arguments = [fill_in(argument, outputs) for argument in self.args]
        configs = [f"--config={path}" for path in self.configs]
        root = f"--trainer.default_root_dir={outputs[self.name]}"
        return [
            [
                command,
                *configs,
                *([root] if command in RUN_FOLDER_COMMANDS else []),
                *arguments,
            ]
            for command in self.commands
        ]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Stages in the order in which they run."""

    output: str
    """Folder of the stages' folders."""
    stages: list[Stage]
    """Each reads outputs of earlier ones only."""
    show: list[str] = field(default_factory=list)
    """Stages whose results are printed at the end, whether they were run or skipped."""

    def folder(self, name: str) -> Path:
        """Return the folder of a stage."""
        return Path(self.output) / name


@dataclass(frozen=True)
class Done:
    """What a finished stage leaves in its folder."""

    key: str
    """Hash of all that the stage was made from."""
    seconds: float
    """How long it took."""
    output: str
    """The folder that later stages read."""

    def write(self, folder: Path) -> None:
        """Write ``done.json``, whole or not at all."""
        write_text(json.dumps(asdict(self), indent=2) + "\n", folder / DONE_FILE)


def read_done(folder: Path) -> Done | None:
    """Return what the stage of ``folder`` left, or ``None`` when it is not finished."""
    path = folder / DONE_FILE
    if not path.is_file():
        return None
    done = Done(**json.loads(path.read_text(encoding="utf-8")))
    return done if Path(done.output).exists() else None


def load_pipeline(path: Path) -> Pipeline:
    """Return the pipeline of a YAML file.

    Raises:
        InputError: If a key is unknown, or a stage names one that does not come before it.
        FileNotFoundError: If there is no such file.
    """
    parser = ArgumentParser(exit_on_error=False)
    names = parser.add_class_arguments(Pipeline, as_group=False)
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(mapping, dict):
            raise InputError(f"{path}: a pipeline is a mapping with the key `stages`")
        values = parser.instantiate(parser.parse_object(mapping))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error
    except ArgumentError as error:
        raise InputError(f"{path}: {explain(str(error), names)}") from error
    pipeline = Pipeline(**{name: values[name] for name in names})
    for stage in pipeline.stages:
        _refuse_bad_placeholders(stage, path)
    expanded = [one for stage in pipeline.stages for one in stage.expand()]
    pipeline = replace(pipeline, stages=_name_groups(expanded, path))
    _refuse_bad_order(pipeline, path)
    return pipeline


def stage_key(stage: Stage, needed: Mapping[str, Done]) -> str:
    """Return the hash of all that a stage is made from.

    That is its commands and arguments, the contents of its config files, the version of this
    package, and the keys and outputs of the stages that it reads.

    Args:
        stage: The stage.
        needed: What each stage in ``stage.needs`` left.

    Raises:
        FileNotFoundError: If a config file does not exist.
    """
    made_from = {
        "version": version("xrec-lightning"),
        "commands": stage.commands,
        "args": stage.args,
        "configs": [Path(path).read_text(encoding="utf-8") for path in stage.configs],
        "needed": {name: [done.key, done.output] for name, done in needed.items()},
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def fill_in(text: str, outputs: Mapping[str, Path]) -> str:
    """Return ``text`` with the output folder of a stage in place of each ``${stage}``.

    Example:
        >>> fill_in("--dataset=${prepare}", {"prepare": Path("data/prepared/1f")})
        '--dataset=data/prepared/1f'
    """
    return _REFERENCE.sub(lambda match: str(outputs[match[1]]), text)


def match_stages(pattern: str, names: Sequence[str]) -> list[str]:
    """Return the stages that a pattern such as ``fused_*`` fits, in their order.

    Example:
        >>> match_stages("fused_[0-9]", ["prepare", "fused_0", "fused_1", "fused_cold"])
        ['fused_0', 'fused_1']
    """
    return [name for name in names if fnmatchcase(name, pattern)]


def _name_groups(stages: Sequence[Stage], path: Path) -> list[Stage]:
    """Return the stages with the names of single stages in place of patterns."""
    named: list[Stage] = []
    for stage in stages:
        known = [each.name for each in named]

        def names(match: re.Match[str], stage: Stage = stage, known: list[str] = known) -> str:
            pattern, inside = match.groups()
            found = match_stages(pattern, known) if has_magic(pattern) else [pattern]
            if not found:
                raise InputError(
                    f"{path}: stage {stage.name} reads {pattern}, which fits no stage before it; "
                    f"{suggest(pattern, known) if known else 'it is the first stage'}"
                )
            return ",".join(f"${{{name}}}{inside}" for name in found)

        args = [_REFERENCE_AND_PATH.sub(names, argument) for argument in stage.args]
        named.append(replace(stage, args=args))
    return named


def _refuse_bad_placeholders(stage: Stage, path: Path) -> None:
    for name, values in stage.each.items():
        if not values:
            raise InputError(f"{path}: stage {stage.name}: each.{name} has no value")
        if f"{{{name}}}" not in stage.name:
            raise InputError(
                f"{path}: stage {stage.name}: each.{name} makes several stages of one name; put "
                f"{{{name}}} into the name"
            )


def _refuse_bad_order(pipeline: Pipeline, path: Path) -> None:
    known: list[str] = []
    for stage in pipeline.stages:
        if stage.name in known:
            raise InputError(f"{path}: two stages are named {stage.name}")
        for name in stage.needs:
            if name not in known:
                remark = suggest(name, known) if known else "it is the first stage"
                raise InputError(
                    f"{path}: stage {stage.name} reads {name}, which does not come before; {remark}"
                )
        known.append(stage.name)
    for name in pipeline.show:
        if name not in known:
            raise InputError(f"{path}: show names no stage: {name}; {suggest(name, known)}")
