"""``xrec recommend``."""

from pathlib import Path

import polars as pl
import pytest

from xrec_lightning.__main__ import main


def test_lists_are_written_and_the_first_shown(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lists.parquet"
    options = [f"--output={path}", "--top_k=3", "--show=2", "--until=train"]
    assert main(["recommend", str(runs["knowledge"]), *options]) == 0
    lists = pl.read_parquet(path)
    names = ["user_id", "domain", "rank", "item_id", "score", "title", "reason"]
    assert lists.columns == names
    assert lists["user_id"].n_unique() == 24
    assert lists["rank"].max() == 3
    shown = capsys.readouterr().out
    assert "u00" in shown
    assert "u01" in shown
    assert "u02" not in shown


def test_users_are_named_or_read_from_a_file(runs: dict[str, Path], tmp_path: Path) -> None:
    users = tmp_path / "users.txt"
    users.write_text("u03\n\nu01\n")
    for name, wanted in (("a", "--users=u03, u01"), ("b", f"--users_file={users}")):
        options = [f"--output={tmp_path / name}.csv", wanted, "--no_reasons"]
        assert main(["recommend", str(runs["sequence"]), *options]) == 0
        lists = pl.read_csv(tmp_path / f"{name}.csv")
        assert set(lists["user_id"]) == {"u03", "u01"}
        assert lists["reason"].null_count() == lists.height


def test_folder_without_a_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recommend", str(tmp_path), "--output=lists.csv"]) == 1
    assert "config.yaml does not exist: train the run first" in capsys.readouterr().err
