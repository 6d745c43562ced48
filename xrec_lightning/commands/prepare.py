"""``xrec prepare``: a data YAML into a prepared folder."""

import logging
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.prepare import prepare


def main(arguments: Sequence[str]) -> Path:
    """Print and return the prepared folder of a data YAML; it is made unless it exists."""
    parser = ArgumentParser(
        prog="xrec prepare",
        description="Validate, clean, index and split interactions; build the graph. Prints the "
        "prepared folder, which is reused as long as the config and the files are the same.",
    )
    parser.add_argument("config", type=Path, help="data YAML, such as configs/data/*.yaml")
    config = parser.parse_args(arguments).config
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder = prepare(load_config(config))
    sys.stdout.write(f"{folder}\n")
    return folder
