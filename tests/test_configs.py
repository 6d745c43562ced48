"""Every shipped config runs on tiny data; overlays, data mappings and pipelines parse."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from xrec_lightning.cli import XrecCLI, main
from xrec_lightning.data.config.load import load_config
from xrec_lightning.dispatch import OTHER_COMMANDS, TRAINER_COMMANDS
from xrec_lightning.inference.embed import EmbedConfig
from xrec_lightning.parsing import parse_config
from xrec_lightning.pipeline import load_pipeline

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
RUNS = sorted(
    path
    for folder in ("baseline", "finetune", "fusion", "pretrain")
    for path in (CONFIGS / folder).glob("*.yaml")
)
OVERLAYS = sorted([*(CONFIGS / "trainer").glob("*.yaml"), *(CONFIGS / "logger").glob("*.yaml")])
TUNINGS = sorted((CONFIGS / "tuning").glob("*.yaml"))
CHANNELS = "xrec_lightning.models.channels"
PIPELINES = sorted(
    path for path in CONFIGS.rglob("*.yaml") if "stages" in yaml.safe_load(path.read_text())
)
SASREC = "xrec_lightning.models.sequence.sasrec.SASRecConfig"
NARROW = {
    f"{CHANNELS}.graph.GraphChannelConfig": {"dim": 4},
    f"{CHANNELS}.knowledge.KnowledgeChannelConfig": {"dim": 4},
    f"{CHANNELS}.profile.ProfileChannelConfig": {"dim": 4},
    f"{CHANNELS}.sequence.SequenceChannelConfig": {
        "encoder": {"class_path": SASREC, "init_args": {"embed_dim": 8}},
        "text_dim": 4,
    },
    "xrec_lightning.data.datamodules.labeled_texts.LabeledTextDataModule": {"held_out": 0.2},
    "xrec_lightning.data.datamodules.knowledge.KnowledgeDataModule": {
        "max_tokens": 64,
        "held_out": 0.5,
    },
}
"""Arguments that fit the tiny knowledge, which is 8 wide, the tiny BERT and the few texts."""


def name(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def shrink(
    tiny_dataset: Path,
    rated_dataset: Path,
    full_store: Path,
    tiny_language: str,
    tiny_causal: str,
) -> Any:
    """Return a function that puts the tiny data, knowledge and model into a config."""

    def shrunk(value: Any) -> Any:
        if isinstance(value, list):
            return [shrunk(each) for each in value]
        if not isinstance(value, dict):
            return value
        small = {
            "dataset": str(rated_dataset if "answer" in value.get("labels", ()) else tiny_dataset),
            "label": "brand",
            "knowledge": str(full_store),
            "model": tiny_causal if str(value.get("model")).endswith(".gguf") else tiny_language,
            "shots": 8,
            "min_count": 1,
            "min_lift": 0.0,
            "batch_size": 4,
        }
        shrunken = {
            key: small[key] if key in small and not isinstance(each, dict) else shrunk(each)
            for key, each in value.items()
        }
        if value.get("class_path") in NARROW:
            given = shrunken.get("init_args", {})
            shrunken["init_args"] = {**given, **NARROW[value["class_path"]]}
            if "encoder" in given:
                own = {**given["encoder"].get("init_args", {}), "embed_dim": 8}
                shrunken["init_args"]["encoder"] = {**given["encoder"], "init_args": own}
        return shrunken

    return shrunk


@pytest.mark.filterwarnings("ignore:Total length of `DataLoader`")  # so few texts
@pytest.mark.parametrize("path", RUNS, ids=name)
def test_run_survives_a_rehearsal(path: Path, shrink: Any, tmp_path: Path) -> None:
    small = tmp_path / path.name
    small.write_text(yaml.safe_dump(shrink(yaml.safe_load(path.read_text()))))
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
    rehearsal = ["--trainer.fast_dev_run=true", f"--trainer.default_root_dir={tmp_path}"]
    options = [f"--config={small}", "--config=configs/trainer/cpu.yaml", *quiet, *rehearsal]
    main(["fit", *options])
    main(["test", *options, "--ckpt_path=null"])


@pytest.mark.parametrize("path", RUNS, ids=name)
def test_printed_config_is_a_config(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = []
    for config in (path, tmp_path / "printed.yaml"):
        with pytest.raises(SystemExit) as stop:
            XrecCLI(["fit", f"--config={config}", "--print_config"])
        assert stop.value.code == 0
        printed.append(capsys.readouterr().out)
        (tmp_path / "printed.yaml").write_text(printed[0])
    assert printed[0] == printed[1]
    monkeypatch.setattr(XrecCLI, "instantiate_classes", lambda _: None)
    monkeypatch.setattr(XrecCLI, "_run_subcommand", lambda *_: None)
    XrecCLI(["fit", f"--config={tmp_path / 'printed.yaml'}"])


@pytest.mark.parametrize("path", OVERLAYS, ids=name)
def test_overlay_fits_over_a_run(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = "--config=configs/fusion/sequence.yaml"
    with pytest.raises(SystemExit) as stop:
        XrecCLI(["fit", run, f"--config={path}", "--print_config"])
    assert stop.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)["trainer"]
    overlay = yaml.safe_load(path.read_text())["trainer"]
    if "logger" in overlay:
        assert printed["logger"]["class_path"] == overlay["logger"]["class_path"]
    else:
        assert {key: printed[key] for key in overlay} == overlay


@pytest.mark.parametrize("path", TUNINGS, ids=name)
def test_tuning_fits_over_a_run(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = "--config=configs/finetune/click.yaml"
    with pytest.raises(SystemExit) as stop:
        XrecCLI(["fit", run, f"--config={path}", "--print_config"])
    assert stop.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]
    overlay = yaml.safe_load(path.read_text())["model"]["init_args"]
    assert set(overlay) <= {"tuning", "optimizer"}
    for part, given in overlay.items():
        assert given.get("class_path", printed[part]["class_path"]) == printed[part]["class_path"]
        settings = printed[part]["init_args"]
        for key, value in given.get("init_args", {}).items():
            # PyYAML takes 1e-3 for a word.
            assert settings[key] == type(settings[key])(value)


@pytest.mark.parametrize("path", sorted((CONFIGS / "data").glob("*.yaml")), ids=name)
def test_data_mapping_parses_and_is_short(path: Path) -> None:
    assert load_config(path).interactions.path
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) <= 15


@pytest.mark.parametrize("path", sorted((CONFIGS / "embed").glob("*.yaml")), ids=name)
def test_embedding_parses(path: Path) -> None:
    assert parse_config(EmbedConfig, [f"--config={path}"], "embed").dataset


@pytest.mark.parametrize("path", PIPELINES, ids=name)
def test_pipeline_parses_and_names_what_exists(path: Path) -> None:
    for stage in load_pipeline(path).stages:
        assert set(stage.commands) <= {*TRAINER_COMMANDS, *OTHER_COMMANDS}
        for config in stage.configs:
            assert (ROOT / config).is_file()


def test_demo_compares_the_models_of_its_table() -> None:
    stages = load_pipeline(CONFIGS / "demo" / "pipeline.yaml").stages
    report = next(stage for stage in stages if stage.name == "report")
    models = [argument.partition("=")[0] for argument in report.args if argument[0] != "-"]
    baselines = ["popularity", "recent_popularity", "transition", "item_knn", "ease"]
    assert models == [*baselines, "text_knn", "sequence", "fused"]


def test_every_config_is_of_a_tested_kind() -> None:
    tested = {
        "baseline",
        "data",
        "embed",
        "finetune",
        "fusion",
        "logger",
        "pretrain",
        "trainer",
        "tuning",
    }
    others = {path.parent.name for path in CONFIGS.rglob("*.yaml")} - tested
    assert others == {path.parent.name for path in PIPELINES}
