"""``xrec prepare``: a data YAML into a prepared folder."""

import logging
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.engine.engines import Engine, LocalEngine
from xrec_lightning.data.engine.ray_engine import RayEngine
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import ROWS_PER_SHARD, prepare

EngineName = Literal["local", "ray"]


def main(arguments: Sequence[str]) -> Path:
    """Print and return the prepared folder of a data YAML; it is made unless it exists.

    Raises:
        InputError: If the data or an option cannot be used.
        FileNotFoundError: If a path names no file.
    """
    options = _parser().parse_args(arguments)
    if options.rows_per_shard < 1:
        raise InputError(
            f"--rows-per-shard: {options.rows_per_shard} is not positive; leave it out for "
            f"{ROWS_PER_SHARD:,}"
        )
    config = load_config(options.config)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with _open_engine(options.engine) as engine:
        folder = prepare(config, engine, options.rows_per_shard)
    sys.stdout.write(f"{folder}\n")
    return folder


@contextmanager
def _open_engine(name: EngineName) -> Iterator[Engine]:
    if name == "local":
        yield LocalEngine()
        return
    with RayEngine() as engine:
        yield engine


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="xrec prepare",
        description="Validate, clean, index and split interactions; build the graph. Prints the "
        "prepared folder, which is reused as long as the config and the files are the same.",
    )
    parser.add_argument("config", type=Path, help="data YAML, such as configs/data/*.yaml")
    parser.add_argument(
        "--engine",
        choices=get_args(EngineName),
        default="local",
        help="what works on the shards: this process, or a Ray cluster, the one that RAY_ADDRESS "
        "names, else one on this machine; the folder is the same (default: %(default)s)",
    )
    parser.add_argument(
        "--rows-per-shard",
        type=int,
        default=ROWS_PER_SHARD,
        metavar="N",
        help="about how many interactions are worked on at a time: fewer need less memory; the "
        "folder is the same (default: %(default)s)",
    )
    return parser
