"""``xrec protocol``: what defines the evaluation of a prepared data set, frozen in a file."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from xrec_lightning.atomic import write_text
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.protocol import HASH, dump_protocol, make_protocol, read_protocol


def main(arguments: Sequence[str]) -> None:
    """Write the protocol of a prepared data set and print its hash.

    Raises:
        InputError: If the file exists and holds another protocol.
    """
    parser = ArgumentParser(
        prog="xrec protocol",
        description="Freeze what defines the evaluation of a prepared data set: the files of the "
        "log, the settings that shape histories, targets and candidates, and the hashes of these. "
        "A data YAML with `protocol: FILE` is prepared only if the result is the same.",
    )
    parser.add_argument("dataset", type=Path, help="a prepared folder or its data YAML")
    parser.add_argument("--output", type=Path, metavar="FILE", required=True, help="YAML to write")
    options = parser.parse_args(arguments)
    protocol = make_protocol(Prepared.open(locate(options.dataset)))
    output = options.output
    if output.exists() and read_protocol(output)[HASH] != protocol[HASH]:
        raise InputError(f"{output}: another protocol is frozen there; give another name")
    write_text(dump_protocol(protocol), output)
    sys.stdout.write(f"{protocol[HASH]}\n")
