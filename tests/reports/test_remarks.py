import json
from pathlib import Path

import pytest

from xrec_lightning.reports.remarks import (
    list_remarks,
    name_with_protocol,
    read_figures,
)

FIRST, SECOND = "a" * 64, "b" * 64


def write_figures(folder: Path, protocol: str | None, stage: str = "test") -> Path:
    folder.mkdir()
    content: dict[str, object] = {} if protocol is None else {"protocol": protocol}
    content |= {f"{stage}/ndcg@10": 0.5, f"{stage}/ndcg@10/cold": None}
    (folder / "metrics.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("protocol", "stage", "expected"),
    [
        (FIRST, "test", (FIRST, "shuffle")),
        (FIRST, "test[ties=file]", (FIRST, "file")),
        (FIRST, "test[ties=file,history=others]", (FIRST, "file", "others")),
        (FIRST, "test[history=all]", (FIRST, "shuffle", "all")),
        (FIRST, "test[events=0.1,text=0.3]", (FIRST, "shuffle", "", "events=0.1,text=0.3")),
        (FIRST, "test[ties=file,negatives=999]", (FIRST, "file", "", "", 999)),
        (None, "test", ("", "shuffle")),
    ],
)
def test_figures_are_read_without_their_stage(
    tmp_path: Path, protocol: str | None, stage: str, expected: tuple[str | int, ...]
) -> None:
    figures = read_figures(write_figures(tmp_path / "run", protocol, stage))
    defaults = ("", "shuffle", "", "", 0)
    found = (figures.protocol, figures.ties, figures.history, figures.corruption)
    assert (*found, figures.num_negatives) == expected + defaults[len(expected) :]
    assert figures.values == {"ndcg@10": 0.5, "ndcg@10/cold": None}


def test_an_untested_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="test the run first"):
        read_figures(tmp_path)


def test_runs_of_one_protocol_need_no_remark(tmp_path: Path) -> None:
    names = {"a": FIRST, "b": FIRST, "old": None}
    runs = {name: write_figures(tmp_path / name, each) for name, each in names.items()}
    assert list_remarks({**runs, "untested": tmp_path / "none"}) == ()


def test_unlike_protocols_and_believed_ties_are_told(tmp_path: Path) -> None:
    runs = {
        "a": write_figures(tmp_path / "a", FIRST),
        "b": write_figures(tmp_path / "b", SECOND, "test[ties=file]"),
    }
    ties, protocols = list_remarks(runs)
    assert ties.startswith("ties: file (b): ")
    assert protocols == (f"equal targets, but different protocols: a {FIRST[:12]}, b {SECOND[:12]}")


def test_sampled_negatives_are_told(tmp_path: Path) -> None:
    run = write_figures(tmp_path / "a", FIRST, "test[negatives=99]")
    (remark,) = list_remarks({"a": run})
    assert remark.startswith("negatives: 99 (a): ")


def test_a_folder_is_named_with_its_protocol(tmp_path: Path) -> None:
    folder = write_figures(tmp_path / "a", FIRST)
    assert name_with_protocol(folder) == f"{folder} (protocol aaaaaaaaaaaa)"
    assert name_with_protocol(tmp_path) == str(tmp_path)


def test_hidden_histories_are_told(tmp_path: Path) -> None:
    runs = {"a": write_figures(tmp_path / "a", FIRST, "test[history=others]")}
    assert list_remarks(runs) == (
        "history: others (a): histories of this test did not show what the model was trained on",
    )


def test_input_that_was_damaged_on_purpose_is_told(tmp_path: Path) -> None:
    runs = {"a": write_figures(tmp_path / "a", FIRST, "test[events=0.1]")}
    assert list_remarks(runs) == (
        "events=0.1 (a): this test replaced a share of its input on purpose",
    )
