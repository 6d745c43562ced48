"""What a pipeline file may say, and what a stage's key depends on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from xrec_lightning.data.errors import InputError
from xrec_lightning.pipeline import Done, Stage, load_pipeline, read_done, stage_key


def write(folder: Path, text: str) -> Path:
    path = folder / "pipeline.yaml"
    path.write_text(text)
    return path


def test_lines_hold_configs_run_folder_and_outputs() -> None:
    stage = Stage(
        name="fused",
        command=["fit", "test"],
        config="fused.yaml",
        args=["--data.init_args.knowledge=${embed}"],
    )
    outputs = {"embed": Path("runs/embed"), "fused": Path("runs/fused")}
    rest = ["--config=fused.yaml", "--trainer.default_root_dir=runs/fused"]
    rest.append("--data.init_args.knowledge=runs/embed")
    assert stage.lines(outputs) == [["fit", *rest], ["test", *rest]]


def test_only_trainer_commands_are_given_a_run_folder() -> None:
    stage = Stage(name="report", command="report", args=["a=${a}"])
    assert stage.lines({"a": Path("x"), "report": Path("y")}) == [["report", "a=x"]]


def test_needs_are_the_named_and_the_referenced_stages() -> None:
    stage = Stage(name="c", command="report", args=["--a=${a}/x", "--own=${c}"], inputs=["b"])
    assert stage.needs == ["a", "b"]


def test_key_depends_on_all_that_a_stage_is_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "a.yaml"
    config.write_text("seed: 0")
    stage = Stage(name="a", command="fit", config=str(config), args=["--x=1"], inputs=["b"])
    needed = {"b": Done("key", 1.0, "out")}
    key = stage_key(stage, needed)
    assert key == stage_key(stage, {"b": Done("key", 2.0, "out")}), "time is no input"
    others = [
        stage_key(replace(stage, command=["fit", "test"]), needed),
        stage_key(replace(stage, args=["--x=2"]), needed),
        stage_key(stage, {"b": Done("other key", 1.0, "out")}),
        stage_key(stage, {"b": Done("key", 1.0, "other out")}),
    ]
    config.write_text("seed: 1")
    others.append(stage_key(stage, needed))
    config.write_text("seed: 0")
    monkeypatch.setattr("xrec_lightning.pipeline.version", lambda _: "9.9")
    others.append(stage_key(stage, needed))
    assert len({key, *others}) == 7


def test_missing_config_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml"):
        stage_key(Stage(name="a", command="fit", config="nowhere.yaml"), {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("output: x\nstages: [{name: a, comand: fit}]", "comand"),
        ("output: x\nstage: []", r"unknown key stage; did you mean `stages`"),
        ("output: x\nstages: [{name: a, command: fit, inputs: [b]}]", "stage a reads b, which"),
        (
            "output: x\nstages: [{name: one, command: f}, {name: b, command: f, args: ['${on}']}]",
            "stage b reads on, which does not come before; did you mean `one`",
        ),
        (
            "output: x\nstages: [{name: a, command: fit}, {name: a, command: fit}]",
            "two stages are named a",
        ),
        ("output: x\nstages: [{name: a, command: fit}]\nshow: [b]", "show names no stage: b"),
        (
            "output: x\nstages: [{name: a, command: fit, each: {seed: ['1', '2']}}]",
            "each.seed makes several stages of one name",
        ),
        (
            "output: x\nstages: [{name: 'a{seed}', command: fit, each: {seed: []}}]",
            "each.seed has no value",
        ),
        ("- a", "a pipeline is a mapping"),
        ("a: [", "not valid YAML"),
    ],
)
def test_bad_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=message) as error:
        load_pipeline(path)
    assert str(path) in str(error.value)


def test_a_stage_stands_for_one_of_each_combination(tmp_path: Path) -> None:
    text = """
output: runs
stages:
- {name: "fit_{size}_{seed}", command: fit, config: "{size}.yaml", args: ["--seed={seed}", "{x}"],
   each: {size: [small, large], seed: ["1", "2"]}}
- {name: "test_{size}", command: test, args: ["${fit_{size}_2}"], inputs: ["fit_{size}_1"],
   each: {size: [small, large]}}
"""
    stages = load_pipeline(write(tmp_path, text)).stages
    names = ["fit_small_1", "fit_small_2", "fit_large_1", "fit_large_2", "test_small", "test_large"]
    assert [stage.name for stage in stages] == names
    assert stages[3].configs == ["large.yaml"]
    assert stages[3].args == ["--seed=2", "{x}"], "only named placeholders are filled"
    assert stages[5].needs == ["fit_large_1", "fit_large_2"]


def test_a_pattern_stands_for_all_stages_before_it(tmp_path: Path) -> None:
    text = """
output: runs
stages:
- {name: "fused_{seed}", command: fit, args: ["--seed={seed}"], each: {seed: [0, 1]}, trials: 8}
- {name: fused_cold, command: fit}
- {name: report, command: report, args: ["fused=${fused_[0-9]}/x", "cold=${fused_cold}"]}
"""
    path = write(tmp_path, text)
    stages = load_pipeline(path).stages
    assert [stage.args for stage in stages[:2]] == [["--seed=0"], ["--seed=1"]]
    assert [stage.trials for stage in stages] == [8, 8, 1, 1]
    assert stages[-1].args == ["fused=${fused_0}/x,${fused_1}/x", "cold=${fused_cold}"]
    assert stages[-1].needs == ["fused_0", "fused_1", "fused_cold"]
    path.write_text(text.replace("fused_[0-9]", "fusd_*"))
    with pytest.raises(InputError, match=r"stage report reads fusd_\*, which fits no stage before"):
        load_pipeline(path)


def test_done_is_read_back_as_long_as_its_output_exists(tmp_path: Path) -> None:
    assert read_done(tmp_path) is None
    output = tmp_path / "prepared"
    output.mkdir()
    done = Done("key", 1.5, str(output))
    done.write(tmp_path)
    assert read_done(tmp_path) == done
    assert json.loads((tmp_path / "done.json").read_text())["seconds"] == 1.5
    output.rmdir()
    assert read_done(tmp_path) is None
