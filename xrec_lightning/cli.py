"""The Lightning command line: wires data, model and trainer from YAML."""

import logging
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger
from typing_extensions import override

from xrec_lightning.callbacks.initial_weights import InitialWeights
from xrec_lightning.callbacks.prediction_writer import PredictionWriter
from xrec_lightning.callbacks.rank_writer import RankWriter
from xrec_lightning.callbacks.run_checkpoint import BEST, LAST, RunCheckpoint, checkpoint_path
from xrec_lightning.callbacks.save_config import CONFIG_FILE, SaveRunConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.parsing import explain, first_cause, option_names

RUNS_FOLDER = Path("runs")
LOGS_FOLDER = "logs"
RUN_TIME = "XREC_RUN_TIME"
"""Environment variable with the time that names a run folder: all processes of a run share it."""


def main(arguments: Sequence[str]) -> Path:
    """Run ``fit``, ``validate``, ``test`` or ``predict`` and return the run folder.

    Raises:
        InputError: If the config does not fit or asks for what cannot be.
    """
    _quieten()
    try:
        cli = XrecCLI(list(arguments))
    except MisconfigurationException as error:
        raise InputError(str(error)) from error
    return Path(cli.trainer.default_root_dir)


def load_run(folder: Path, overrides: Sequence[str] = ()) -> "XrecCLI":
    """Return the module, with its best weights, and the datamodule of a run.

    Args:
        folder: Run folder.
        overrides: More of the command line of ``xrec predict``, such as ``--data.init_args.…``.

    Raises:
        FileNotFoundError: If the run has no config or no checkpoint.
        ValueError: If the checkpoint does not fit the data.
    """
    run = build_run(folder, overrides)
    load_best(run, folder)
    return run


def build_run(folder: Path, overrides: Sequence[str] = ()) -> "XrecCLI":
    """Return the module of a run as it was built, before its training, and the datamodule.

    Args:
        folder: Run folder.
        overrides: More of the command line of ``xrec predict``, such as ``--data.init_args.…``.

    Raises:
        FileNotFoundError: If the run has no config.
    """
    config = folder / CONFIG_FILE
    if not config.is_file():
        raise FileNotFoundError(f"{config} does not exist: train the run first (`xrec fit`)")
    _quieten()
    root = f"--trainer.default_root_dir={folder}"
    return _LoadedRun(["predict", f"--config={config}", root, *overrides])


def load_best(run: "XrecCLI", folder: Path) -> None:
    """Give the module of a run the best weights of its folder.

    Raises:
        FileNotFoundError: If the run has no checkpoint.
        ValueError: If the checkpoint does not fit the data.
    """
    weights = checkpoint_path(folder, BEST)
    if not weights.is_file():
        raise FileNotFoundError(f"{weights} does not exist: train the run first (`xrec fit`)")
    checkpoint = torch.load(weights, map_location="cpu", weights_only=True)
    run.model.on_load_checkpoint(checkpoint)
    run.model.load_state_dict(checkpoint["state_dict"])


class XrecCLI(LightningCLI):
    """Any of our modules on any of our datamodules, by `class_path`.

    The model is built with the ``catalog`` of the data. A run folder, ``trainer.default_root_dir``,
    holds the config, the checkpoints, the figures and the logs; without one in the config it is
    ``runs/<name of the config>/<time>``. ``validate``, ``test`` and ``predict`` load the best
    checkpoint of that folder, without one in the config of the newest such folder;
    ``--ckpt_path null`` takes the model as it is built.
    """

    def __init__(self, args: list[str]) -> None:
        strict = {"exit_on_error": False, "allow_abbrev": False}
        super().__init__(
            LightningModule,
            LightningDataModule,
            save_config_callback=SaveRunConfig,
            trainer_defaults={
                "callbacks": [RankWriter(), PredictionWriter()],
                # Threads that add gradients to one row in any order give other sums.
                "deterministic": "warn",
            },
            seed_everything_default=0,
            parser_kwargs={**strict, **{name: dict(strict) for name in self.subcommands()}},
            subclass_mode_model=True,
            subclass_mode_data=True,
            args=args,
            auto_configure_optimizers=False,
        )

    @property
    def run_folder(self) -> Path:
        """The folder of the run."""
        return Path(self._get(self.config, "trainer").default_root_dir)

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
        parser.add_lightning_class_args(InitialWeights, "initial_weights")
        parser.link_arguments("data.catalog", "model.init_args.catalog", apply_on="instantiate")

    @override
    def _prepare_subcommand_parser(
        self, klass: type, subcommand: str, **kwargs: Any
    ) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand != "fit":
            parser.set_defaults({"ckpt_path": BEST})
        if subcommand in ("validate", "test"):
            parser.set_defaults({"verbose": False})  # the table has a row for each slice
        if subcommand == "predict":
            parser.set_defaults({"return_predictions": False})  # they are written to a file
        return parser

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        try:
            self.config = parser.parse_args(args)  # type: ignore[arg-type]  # we pass a list
        except ArgumentError as error:
            subparsers = self._subcommand_parsers.values()
            names = {name for each in [parser, *subparsers] for name in option_names(each)}
            raise InputError(explain(str(error), names)) from error

    @override
    def _parse_ckpt_path(self) -> None:
        """Leave the config as it is: it says what the model is, and no checkpoint overrides it."""

    @override
    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        trainer = config.trainer
        if trainer.default_root_dir is None:
            files = config.get("config") or [self.subcommand]
            runs = RUNS_FOLDER / Path(str(files[0])).stem
            trained = sorted(path.parent.parent for path in runs.glob(f"*/checkpoints/{BEST}.ckpt"))
            if trained and self.subcommand != "fit" and config.ckpt_path in (BEST, LAST):
                trainer.default_root_dir = str(trained[-1])
            else:
                started = os.environ.setdefault(RUN_TIME, time.strftime("%Y%m%d-%H%M%S"))
                trainer.default_root_dir = str(runs / started)
        loggers = trainer.logger if isinstance(trainer.logger, list) else [trainer.logger]
        for arguments in (each.get("init_args") for each in loggers if hasattr(each, "get")):
            if arguments is not None and arguments.get("save_dir") == ".":
                arguments.save_dir = trainer.default_root_dir

    @override
    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except ValueError as error:
            raise InputError(str(first_cause(error))) from error

    @override
    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        if self._get(self.config_init, "trainer").logger is None:
            folder = self.run_folder / LOGS_FOLDER
            kwargs["logger"] = CSVLogger(folder, name=self.subcommand)
        return super().instantiate_trainer(**kwargs)

    @override
    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> Trainer:
        chosen = config["callbacks"] if isinstance(config["callbacks"], list) else []
        if config["enable_progress_bar"] is not False and not any(
            isinstance(each, ProgressBar) for each in chosen
        ):
            # Results go to the standard output, progress does not.
            callbacks = [*callbacks, RichProgressBar(console_kwargs={"stderr": True})]
        return super()._instantiate_trainer(config, callbacks)

    @override
    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        kwargs["weights_only"] = True
        if kwargs["ckpt_path"] in (BEST, LAST):
            path = checkpoint_path(self.run_folder, kwargs["ckpt_path"])
            if not path.is_file():
                raise InputError(
                    f"{path}: no such checkpoint; run `xrec fit` with this config first, or pass "
                    "`--ckpt_path null` to take the model as it is built"
                )
            kwargs["ckpt_path"] = str(path)
        return kwargs

    def before_fit(self) -> None:
        """Remove the checkpoints of an earlier fit, lest a failed one leaves them as its own."""
        if self._get(self.config, "ckpt_path") is None and self.trainer.is_global_zero:
            for name in (BEST, LAST):
                checkpoint_path(self.run_folder, name).unlink(missing_ok=True)

    def after_validate(self) -> None:
        """Print the figures of the whole validation."""
        self._print_figures()

    def after_test(self) -> None:
        """Print the figures of the whole test."""
        self._print_figures()

    def _print_figures(self) -> None:
        if not self.trainer.is_global_zero:
            return
        for key, value in sorted(self.trainer.callback_metrics.items()):
            if key.count("/") == 1:
                sys.stdout.write(f"{key:<24} {value.item():.4f}\n")


class _LoadedRun(XrecCLI):
    """Data and model of a run; nothing is run."""

    @override
    def _run_subcommand(self, subcommand: str) -> None:
        """Leave it to the caller what to do with them."""


def _quieten() -> None:
    """Keep what tells of this run, drop what advertises and what a small run cannot change."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*The number of training batches.*is smaller than the logging interval.*",
        ".*exists and is not empty.*",
        ".*this fit will run with no optimizer.*",
        ".*LeafSpec.*is deprecated.*",  # Lightning's call of torch
    ):
        warnings.filterwarnings("ignore", message)
