"""The result of a benchmark: figures to be committed, a table for a text, a page."""

import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from xrec_lightning.atomic import write_text
from xrec_lightning.reports.compare import comparison_table
from xrec_lightning.reports.page import page, section
from xrec_lightning.reports.ranks import ALL
from xrec_lightning.reports.remarks import list_remarks, read_figures
from xrec_lightning.reports.run_report import describe_targets, report_blocks
from xrec_lightning.reports.seeds import STD, Runs, folders_of
from xrec_lightning.reports.transfer import transfer_block, transfer_table
from xrec_lightning.schema import BUCKETS, COLD, SLICES, TAIL, WARM

PACKAGES = ("xrec-lightning", "torch", "lightning", "polars", "numpy")
MAX_ROWS = 500
"""Rows of any list of a result: models and slices are few, users are many."""

_MACHINE_PATH = re.compile(r"(^|[\s=,:'\"])(~?/\w|\.\./|[A-Za-z]:\\)")
_FIELDS = {
    *("benchmark", "pipeline", "versions", "tables"),
    *("name", "protocol", "baseline", "num_targets", "remarks", "rows", "transfer"),
    *("seeds", "seconds", "trials", "metrics", "slices", "mean", "std"),
    *("slice", "value", "difference", "low", "high", "domain", "twin", "joint", "gain", "negative"),
}
"""All that a result may hold, besides the names of packages and metrics."""


class Cost(NamedTuple):
    """What a run took."""

    seconds: float
    """Wall time of training and test."""
    trials: int
    """Settings that were tried on validation before these."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkTable:
    """One comparison of a benchmark: models on the same targets."""

    name: str
    """Name of the stage that prints it."""
    runs: Mapping[str, Runs]
    """Run folder of each model, or those of its seeds."""
    baseline: str
    """Model that the others are compared with."""
    costs: Mapping[Path, Cost] = field(default_factory=dict)
    """What each run folder took."""
    joint: str = ""
    """Model that is compared with the twins."""
    twins: Mapping[str, Runs] = field(default_factory=dict)
    """Single-domain twin of each domain."""


def build_result(benchmark: str, pipeline: str, tables: Sequence[BenchmarkTable]) -> dict[str, Any]:
    """Return the figures of a benchmark as JSON holds them.

    Args:
        benchmark: Its name.
        pipeline: Hash of the file that says what is run.
        tables: Its comparisons.

    Raises:
        FileNotFoundError: If a run was not tested.
        ValueError: If models of one table were tested on different targets or candidates.
    """
    versions = {name: version(name) for name in PACKAGES}
    return {
        "benchmark": benchmark,
        "pipeline": pipeline,
        "versions": {"python": platform.python_version(), **versions},
        "tables": [_table_result(table) for table in tables],
    }


def refuse_private(value: Any, path: str = "result") -> None:
    """Refuse a result that holds anything but figures of models and slices.

    Raises:
        ValueError: If there is an unknown field or metric, a list of many rows, as of users, or a
            path of one machine; the message says where.
    """
    if isinstance(value, dict):
        is_open = path.endswith((".versions", ".metrics"))
        for key, inside in value.items():
            known = _is_metric(key) if path.endswith(".metrics") else is_open or key in _FIELDS
            if not known:
                raise ValueError(f"{path}.{key}: a result holds no such field")
            refuse_private(inside, f"{path}.{key}")
    elif isinstance(value, list):
        if len(value) > MAX_ROWS:
            raise ValueError(f"{path}: {len(value):,} rows; a result holds no rows of users")
        for index, inside in enumerate(value):
            refuse_private(inside, f"{path}[{index}]")
    elif isinstance(value, str) and _MACHINE_PATH.search(value):
        raise ValueError(f"{path}: {value} is a path of one machine; leave it out")


def write_result(result: Mapping[str, Any], path: Path) -> None:
    """Write a result that may be committed.

    Raises:
        ValueError: If it holds what should not be made public.
    """
    refuse_private(dict(result))
    write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", path)


def to_markdown(result: Mapping[str, Any]) -> str:
    """Return the tables of a result for a text file, one row a model."""
    parts = []
    for each in result["tables"]:
        shown = {row["slice"]: row["num_targets"] for row in _longest_row(each)["slices"]}
        shown = {name: n for name, n in shown.items() if name in (TAIL, COLD) or name not in SLICES}
        header = ["model", *(f"{name} ({n:,})" for name, n in shown.items()), "95 % interval"]
        lines = [
            f"**{each['name']}**: NDCG@10, interval of the difference to {each['baseline']}",
            "",
        ]
        lines += ["| " + " | ".join([*header, "HR@10", "seeds", "trials", "minutes"]) + " |"]
        lines += ["|---" * (len(header) + 4) + "|"]
        lines += [_markdown_row(row, list(shown), each["baseline"]) for row in each["rows"]]
        for gain in each["transfer"]:
            if gain["slice"] == ALL:
                lines += ["", _markdown_gain(gain)]
        lines += [line for remark in each["remarks"] for line in ("", f"Mind: {remark}.")]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def write_benchmark_page(benchmark: str, tables: Sequence[BenchmarkTable], path: Path) -> None:
    """Write one self-contained HTML file about all comparisons of a benchmark.

    Raises:
        ImportError: If matplotlib is missing.
    """
    blocks = []
    for table in tables:
        figures = comparison_table(table.runs, table.baseline, slices=(WARM, *BUCKETS))
        lead = section(table.name, describe_targets(table.runs, figures))
        blocks += [lead, *report_blocks(table.runs, figures, table.baseline)]
        if table.twins:
            gains = transfer_table(table.runs[table.joint], table.twins)
            blocks.append(transfer_block(gains, table.joint))
    write_text(page(f"Benchmark {benchmark}", "Every table of the protocol.", blocks), path)


def _table_result(table: BenchmarkTable) -> dict[str, Any]:
    slices = comparison_table(table.runs, table.baseline, slices=(WARM, *BUCKETS))
    gains = transfer_table(table.runs[table.joint], table.twins).to_dicts() if table.twins else []
    return {
        "name": table.name,
        "protocol": read_figures(table.runs[table.baseline]).protocol,
        "baseline": table.baseline,
        "num_targets": int(slices.filter(slice=ALL)["num_targets"][0]),
        "remarks": list(list_remarks(table.runs)),
        "rows": [
            {
                "name": model,
                **_cost(table, run),
                "metrics": _metrics(read_figures(run).values),
                "slices": slices.filter(model=model).drop("model", "seeds").to_dicts(),
            }
            for model, run in table.runs.items()
        ],
        "transfer": gains,
    }


def _cost(table: BenchmarkTable, run: Runs) -> dict[str, Any]:
    costs = [table.costs.get(folder) for folder in folders_of(run)]
    known = [cost for cost in costs if cost is not None]
    return {
        "seeds": len(costs),
        "seconds": round(sum(cost.seconds for cost in known), 1),
        "trials": max((cost.trials for cost in known), default=0),
    }


def _metrics(values: Mapping[str, float | None]) -> dict[str, dict[str, float | None]]:
    names = [name for name in values if not name.endswith(f"/{STD}") and _is_metric(name)]
    return {name: {"mean": values[name], "std": values.get(f"{name}/{STD}")} for name in names}


def _is_metric(key: str) -> bool:
    """Return whether a key is that of a mean over targets, not of a single user's."""
    name, *rest = key.split("/")
    is_known = "@" in name or name in ("num_targets", "loss", "auc")
    return is_known and len(rest) <= 2


def _longest_row(table: Mapping[str, Any]) -> Mapping[str, Any]:
    row: Mapping[str, Any] = max(table["rows"], key=lambda row: len(row["slices"]))
    return row


def _markdown_row(row: Mapping[str, Any], names: Sequence[str], baseline: str) -> str:
    slices = {each["slice"]: each for each in row["slices"]}
    cells = [row["name"], *(_markdown_figure(slices.get(name)) for name in names)]
    overall = slices.get(ALL)
    interval = "" if overall is None else f"{overall['low']:+.4f} … {overall['high']:+.4f}"
    cells.append("" if row["name"] == baseline else interval)
    hits = row["metrics"].get("hr@10", {})
    cells.append(_markdown_figure({"value": hits.get("mean"), "std": hits.get("std")}))
    cells += [str(row["seeds"]), str(row["trials"]), f"{row['seconds'] / 60:.1f}"]
    return "| " + " | ".join(cells) + " |"


def _markdown_figure(figure: Mapping[str, Any] | None) -> str:
    """Return a figure without its leading zero, with its deviation where there are seeds."""
    if figure is None or figure["value"] is None:
        return ""
    std = figure["std"]
    text = f"{figure['value']:.4f}" + ("" if std is None else f" ± {std:.4f}")
    return re.sub(r"\b0\.", ".", text)


def _markdown_gain(gain: Mapping[str, Any]) -> str:
    share = "" if gain["gain"] is None else f" ({gain['gain']:+.1%})"
    flag = ": negative transfer" if gain["negative"] else ""
    return (
        f"Joint over the twin of {gain['domain']}: {gain['difference']:+.4f}{share}, "
        f"{gain['low']:+.4f} … {gain['high']:+.4f}{flag}."
    )
