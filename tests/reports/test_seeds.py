"""Seeds as one row, and errors for runs that are none."""

import json
from pathlib import Path
from statistics import mean, stdev

import pytest

from xrec_lightning.reports.seeds import find_runs, merge_figures, name_runs, refuse_unlike


def write_run(folder: Path, seed: int, value: float | None, **settings: object) -> Path:
    folder.mkdir()
    config = {
        "seed_everything": seed,
        "trainer": {"default_root_dir": str(folder), "max_epochs": 3},
        "data": {"init_args": {"seed": seed, "domains": ["a", "b"], **settings}},
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    metrics = {"protocol": "p", "test/ndcg@10": value, "test/num_targets": 60}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def test_seeds_are_found_by_pattern_and_by_name(tmp_path: Path) -> None:
    folders = tuple(write_run(tmp_path / f"seed_{seed}", seed, 0.1) for seed in range(3))
    assert find_runs(str(tmp_path / "seed_*")) == folders
    assert find_runs(f"{folders[2]},{folders[0]}") == (folders[2], folders[0])
    assert name_runs(folders) == f"{folders[0]} … {folders[2]} (3 seeds)"
    assert name_runs(folders[0]) == str(folders[0])
    with pytest.raises(FileNotFoundError, match=r"none_\*: no run folder is named like that"):
        find_runs(str(tmp_path / "none_*"))
    with pytest.raises(ValueError, match="a run is named twice"):
        find_runs(f"{folders[0]},{folders[0]}")


def test_runs_of_other_settings_or_protocols_are_no_seeds(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", 0, 0.1, dim=8)
    other = write_run(tmp_path / "b", 1, 0.1, dim=16)
    with pytest.raises(ValueError, match=r"no seeds of one model: data.init_args.dim is 8 and 16"):
        refuse_unlike([first, other])
    same = write_run(tmp_path / "c", 1, 0.1, dim=8)
    refuse_unlike([first, same])
    (same / "metrics.json").write_text(json.dumps({"protocol": "q"}))
    with pytest.raises(ValueError, match="figures is test and "):
        refuse_unlike([first, same])
    (same / "metrics.json").write_text(json.dumps({"protocol": "q", "test/ndcg@10": 0.1}))
    with pytest.raises(ValueError, match="protocol is p and q"):
        refuse_unlike([first, same])


def test_each_seed_may_start_from_a_run_of_its_own(tmp_path: Path) -> None:
    starts = [write_run(tmp_path / f"start_{seed}", seed, 0.1, dim=8) for seed in range(3)]
    seeds = [write_run(tmp_path / f"seed_{seed}", seed, 0.1) for seed in range(3)]
    (starts[2] / "config.yaml").write_text(json.dumps({"data": {"dim": 16}}))
    for start, folder in zip(starts, seeds, strict=True):
        config = json.loads((folder / "config.yaml").read_text())
        config["initial_weights"] = {"run": str(start)}
        (folder / "config.yaml").write_text(json.dumps(config))
    refuse_unlike(seeds[:2])
    with pytest.raises(ValueError, match=r"no seeds of one model: initial_weights\.run is"):
        refuse_unlike(seeds)


def test_figures_are_means_with_their_deviation(tmp_path: Path) -> None:
    values = [0.1, 0.4, 0.2]
    folders = [write_run(tmp_path / str(seed), seed, value) for seed, value in enumerate(values)]
    merged = merge_figures(folders)
    assert merged["protocol"] == "p"
    assert merged["test/ndcg@10"] == pytest.approx(mean(values))
    assert merged["test/ndcg@10/std"] == pytest.approx(stdev(values))
    assert merged["test/num_targets/std"] == 0
    assert "test/ndcg@10/std" not in merge_figures(folders[0])
    folders.append(write_run(tmp_path / "null", 9, None))
    assert merge_figures(folders)["test/ndcg@10"] is None
    with pytest.raises(FileNotFoundError, match="test the run first"):
        merge_figures(tmp_path)
