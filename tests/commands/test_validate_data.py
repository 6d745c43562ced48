"""``xrec validate-data``."""

import json
from pathlib import Path

import pytest

from xrec_lightning.__main__ import main

HEADER = "user_id,item_id,domain,timestamp\n"


def write_data(folder: Path, times: int) -> Path:
    """Return a data YAML of four users, each of whom has an event at so many times."""
    rows = [
        f"u{user},i{time},x,{1_600_000_000 + 9000 * (4 * time + user)}\n"
        for time in range(times)
        for user in range(4)
    ]
    (folder / "log.csv").write_text(HEADER + "".join(rows))
    path = folder / "data.yaml"
    path.write_text(f"interactions: {{path: {folder}/log.csv}}\noutput: {folder}/out\n")
    return path


@pytest.fixture
def refused(tmp_path: Path) -> Path:
    return write_data(tmp_path, times=2)


def test_status_is_zero_where_prepare_can_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, path = write_data(tmp_path, times=12), tmp_path / "report.json"
    assert main(["validate-data", str(config), "--json", str(path), "--top", "3"]) == 0
    printed = capsys.readouterr()
    assert "`xrec prepare` can go on" in printed.out
    assert printed.err == ""
    report = json.loads(path.read_text())
    assert report["config"] == str(config)
    assert report["counts"] == {"error": 0, "warning": 1, "info": 0}
    assert len(report["log"]["fastest_users"]) == 3
    assert not (tmp_path / "out").exists()


def test_status_is_one_where_prepare_would_refuse(
    refused: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate-data", str(refused)]) == 1
    printed = capsys.readouterr()
    assert "too_few_times" in printed.out
    assert "`xrec prepare` would refuse these data: too_few_times" in printed.err


def test_report_of_refused_data_is_written_too(refused: Path) -> None:
    path = refused.with_name("report.json")
    assert main(["validate-data", str(refused), "--json", str(path)]) == 1
    codes = [finding["code"] for finding in json.loads(path.read_text())["findings"]]
    assert codes[0] == "too_few_times"


def test_unknown_key_names_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "data.yaml"
    path.write_text("interactons: {path: log.csv}")
    assert main(["validate-data", str(path)]) == 1
    assert "did you mean `interactions`?" in capsys.readouterr().err
