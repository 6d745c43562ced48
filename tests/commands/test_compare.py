"""``xrec compare``."""

import json
import re
import shutil
from pathlib import Path

import pytest

from xrec_lightning.__main__ import main
from xrec_lightning.commands.compare import name_folders


def test_difference_is_printed_and_written(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "difference.json"
    folders = [str(runs["sequence"]), str(runs["knowledge"])]
    assert main(["compare", *folders, f"--json={path}", "--resamples=50"]) == 0
    assert "ndcg@10" in capsys.readouterr().out
    table = json.loads(path.read_text())["table"]
    overall = next(row for row in table if row["metric"] == "ndcg@10" and row["slice"] == "all")
    figures = [json.loads((Path(f) / "metrics.json").read_text())["test/ndcg@10"] for f in folders]
    assert overall["left"] == pytest.approx(figures[0], abs=1e-6)
    assert overall["difference"] == pytest.approx(figures[1] - figures[0], abs=1e-6)


def test_untested_run_is_refused(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(runs["sequence"]), str(tmp_path)]) == 1
    assert "test the run first" in capsys.readouterr().err


def test_many_runs_and_twins_make_one_page(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    sequence, knowledge = map(str, runs.values())
    files = {kind: tmp_path / f"page.{kind}" for kind in ("json", "html")}
    options = [f"--{kind}={path}" for kind, path in files.items()]
    named = [sequence, knowledge, f"again={sequence}"]
    twins = ["--twins", f"tea={knowledge}", f"pots={sequence}"]
    assert main(["compare", *named, *twins, *options, "--resamples=50"]) == 0
    output = capsys.readouterr().out
    assert "interval of the difference to sequence" in " ".join(output.split())
    assert "NDCG@10 of again less that of the twin" in output
    content = json.loads(files["json"].read_text())
    assert [each["right"] for each in content["comparisons"]] == [knowledge, sequence]
    transfer = {(row["domain"], row["slice"]): row for row in content["transfer"]}
    assert transfer["pots", "all"]["difference"] == 0  # its twin is the run itself
    html = files["html"].read_text()
    for title in ("Gain over sequence along popularity", "Items of knowledge by domain"):
        assert f"<h2>{title}</h2>" in html
    assert "What again gains over single-domain twins" in html
    assert not re.search("(src|href)=.?http", html), "the page needs nothing from outside"


def test_names_must_tell_runs_apart(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(runs["sequence"])
    assert main(["compare", folder]) == 1
    assert "sequence: name a second run, or --twins" in capsys.readouterr().err
    assert main(["compare", folder, folder]) == 1
    assert "two runs have one name" in capsys.readouterr().err
    assert list(name_folders(["runs/a/x", "runs/b/x"])) == ["runs/a/x", "runs/b/x"]
    assert list(name_folders(["runs/a/x", "runs/b/y/"])) == ["x", "y"]


def test_a_twin_from_other_weights_is_paired_with_the_joint_run(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joint = runs["knowledge"]
    options = [
        f"--config={joint / 'config.yaml'}",
        f"--trainer.default_root_dir={tmp_path / 'twin'}",
        "--data.init_args.train_domains=[tea]",
        "--data.init_args.history_domains=[tea]",
        f"--initial_weights.run={joint}",
        "--data.init_args.test_history=others",
    ]
    for command in ("fit", "test"):
        assert main([command, *options]) == 0
    capsys.readouterr()
    figures = json.loads((tmp_path / "twin" / "metrics.json").read_text())
    assert (
        figures["test[history=others]/num_targets"]
        == figures["test[history=others]/num_targets/tea"]
    )
    assert main(["compare", str(joint), f"{tmp_path}/twin", "--resamples=50"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "targets of tea alone" in output
    assert "history: others" in output


def test_the_page_tells_what_it_lacks(
    runs: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("matplotlib")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file in ("per_user.parquet", "metrics.json"):
            shutil.copy(runs["sequence"] / file, tmp_path / name / file)
    page = tmp_path / "page.html"
    folders = [str(tmp_path / name) for name in ("a", "b")]
    assert main(["compare", *folders, f"--html={page}", "--resamples=50"]) == 0
    assert "no gain along popularity: the data of a are not at hand" in caplog.messages
    assert sum("no map of the items of" in message for message in caplog.messages) == 2
    assert "along popularity" not in page.read_text()
