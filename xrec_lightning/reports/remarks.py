"""What the files of tested runs say of how they were tested, as remarks beside their figures."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from xrec_lightning.callbacks.rank_writer import METRICS_FILE, PROTOCOL
from xrec_lightning.schema import TEST

_DIGEST_SHOWN = 12


class RunFigures(NamedTuple):
    """The figures of one test."""

    protocol: str
    """Hash of what defines the evaluation; empty where the file does not tell."""
    ties: str
    """`file` where the order of the file within equal times was believed, else `shuffle`."""
    values: dict[str, float | None]
    """Figures by key, less its stage: `ndcg@10/cold`."""


def read_figures(folder: Path) -> RunFigures:
    """Return the figures that a test wrote into a run folder.

    Raises:
        FileNotFoundError: If there are none.
    """
    file = folder / METRICS_FILE
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist: test the run first (`xrec test`)")
    content = json.loads(file.read_text(encoding="utf-8"))
    protocol = content.pop(PROTOCOL, "")
    stages = {key.partition("/")[0] for key in content} - {TEST}
    ties = {stage.removeprefix(f"{TEST}[ties=").removesuffix("]") for stage in stages}
    values = {key.partition("/")[2]: value for key, value in content.items()}
    return RunFigures(protocol, next(iter(ties), "shuffle"), values)


def name_with_protocol(folder: Path) -> str:
    """Return the name of a run folder, with the protocol that it was tested under, if it tells."""
    protocol = _protocols({str(folder): folder}).get(str(folder))
    return f"{folder} (protocol {protocol})" if protocol else str(folder)


def list_remarks(runs: Mapping[str, Path]) -> tuple[str, ...]:
    """Return what must be known of a comparison of runs: believed ties, unlike protocols.

    Args:
        runs: Folder of each run, by the name under which it is shown; a run without a file of
            figures is passed over.
    """
    remarks = []
    believing = [name for name, each in _known(runs).items() if each.ties != "shuffle"]
    if believing:
        remarks.append(
            f"ties: file ({', '.join(believing)}): the order of the file within equal times was "
            "taken for the true one; do not compare with figures of shuffled ties"
        )
    protocols = _protocols(runs)
    if len(set(protocols.values())) > 1:
        each = ", ".join(f"{name} {protocol}" for name, protocol in protocols.items())
        remarks.append(f"equal targets, but different protocols: {each}")
    return tuple(remarks)


def _protocols(runs: Mapping[str, Path]) -> dict[str, str]:
    known = {name: figures.protocol[:_DIGEST_SHOWN] for name, figures in _known(runs).items()}
    return {name: protocol for name, protocol in known.items() if protocol}


def _known(runs: Mapping[str, Path]) -> dict[str, RunFigures]:
    return {
        name: read_figures(folder)
        for name, folder in runs.items()
        if (folder / METRICS_FILE).is_file()
    }
