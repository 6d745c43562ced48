"""What the files of tested runs say of how they were tested, as remarks beside their figures."""

from collections.abc import Mapping
from typing import NamedTuple

from xrec_lightning.callbacks.rank_writer import METRICS_FILE, PROTOCOL
from xrec_lightning.reports.seeds import Runs, folders_of, merge_figures, name_runs
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
    history: str = ""
    """What the histories showed, where it is not what the model was trained on."""
    corruption: str = ""
    """What the test replaced in its input on purpose."""
    num_negatives: int = 0
    """Sampled items that each target was ranked among; 0: all candidates."""


def read_figures(runs: Runs) -> RunFigures:
    """Return the figures that tests wrote, of several seeds as `merge_figures` does.

    Raises:
        FileNotFoundError: If there are none.
    """
    content = merge_figures(runs)
    protocol = content.pop(PROTOCOL, "")
    stages = {key.partition("/")[0] for key in content} - {TEST}
    unusual = [stage.removeprefix(f"{TEST}[").removesuffix("]") for stage in stages]
    settings = dict(each.split("=") for stage in unusual for each in stage.split(",") if each)
    values = {key.partition("/")[2]: value for key, value in content.items()}
    ties, history = settings.pop("ties", "shuffle"), settings.pop("history", "")
    negatives = int(settings.pop("negatives", 0))
    corruption = ",".join(f"{name}={value}" for name, value in settings.items())
    return RunFigures(protocol, ties, values, history, corruption, negatives)


def name_with_protocol(runs: Runs) -> str:
    """Return the name of a run folder, with the protocol that it was tested under, if it tells."""
    name = name_runs(runs)
    protocol = _protocols({name: runs}).get(name)
    return f"{name} (protocol {protocol})" if protocol else name


def list_remarks(runs: Mapping[str, Runs]) -> tuple[str, ...]:
    """Return what must be known of a comparison: believed ties, hidden histories, protocols.

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
    for name, figures in _known(runs).items():
        if figures.history:
            remarks.append(
                f"history: {figures.history} ({name}): histories of this test did not show what "
                "the model was trained on"
            )
        if figures.num_negatives:
            remarks.append(
                f"negatives: {figures.num_negatives} ({name}): ranked among sampled items, as in "
                "papers; do not compare with figures of full ranking"
            )
        if figures.corruption:
            remarks.append(
                f"{figures.corruption} ({name}): this test replaced a share of its input on purpose"
            )
    protocols = _protocols(runs)
    if len(set(protocols.values())) > 1:
        each = ", ".join(f"{name} {protocol}" for name, protocol in protocols.items())
        remarks.append(f"equal targets, but different protocols: {each}")
    return tuple(remarks)


def _protocols(runs: Mapping[str, Runs]) -> dict[str, str]:
    known = {name: figures.protocol[:_DIGEST_SHOWN] for name, figures in _known(runs).items()}
    return {name: protocol for name, protocol in known.items() if protocol}


def _known(runs: Mapping[str, Runs]) -> dict[str, RunFigures]:
    return {
        name: read_figures(run)
        for name, run in runs.items()
        if all((folder / METRICS_FILE).is_file() for folder in folders_of(run))
    }
