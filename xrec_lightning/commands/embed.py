"""``xrec embed``: knowledge vectors of a prepared data set into a knowledge store."""

import logging
from collections.abc import Sequence
from pathlib import Path

from xrec_lightning.inference.embed import EmbedConfig, embed
from xrec_lightning.parsing import parse_config


def main(arguments: Sequence[str]) -> Path:
    """Write a knowledge store and return its folder."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return embed(parse_config(EmbedConfig, arguments, "embed"))
