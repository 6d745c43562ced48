"""The Lightning command line, on a tiny data set."""

import csv
import json
from pathlib import Path

import polars as pl
import pytest
import torch
import wandb
import yaml

from xrec_lightning.cli import XrecCLI, load_run, main
from xrec_lightning.data.errors import InputError

FUSED = """
model:
  class_path: xrec_lightning.modules.fusion.FusionRecommender
  init_args:
    channels:
      - class_path: xrec_lightning.models.channels.sequence.SequenceChannelConfig
      - class_path: xrec_lightning.models.channels.knowledge.KnowledgeChannelConfig
        init_args: {{dim: 4}}
data:
  class_path: xrec_lightning.data.datamodules.behavior.BehaviorDataModule
  init_args: {{dataset: {dataset}, knowledge: {store}, batch_size: 8, max_seq_len: 8}}
trainer:
  accelerator: cpu
  max_epochs: 2
  enable_progress_bar: false
  enable_model_summary: false
  log_every_n_steps: 1
  default_root_dir: {root}
"""


@pytest.fixture
def config(tiny_dataset: Path, tiny_store: Path, tmp_path: Path) -> Path:
    """A fused model on the tiny data; its run folder is ``run`` beside the config."""
    path = tmp_path / "fused.yaml"
    path.write_text(FUSED.format(dataset=tiny_dataset, store=tiny_store, root=tmp_path / "run"))
    return path


@pytest.fixture(scope="module")
def run(tiny_dataset: Path, tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a trained and tested model."""
    folder = tmp_path_factory.mktemp("trained")
    path = folder / "fused.yaml"
    path.write_text(FUSED.format(dataset=tiny_dataset, store=tiny_store, root=folder / "run"))
    main(["fit", f"--config={path}"])
    return main(["test", f"--config={folder / 'run' / 'config.yaml'}"])


def test_run_folder_holds_all_that_a_run_leaves(run: Path) -> None:
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert files == {
        "config.yaml",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "metrics.json",
        "per_user.parquet",
        "logs/fit/version_0/metrics.csv",
        "logs/test/version_0/metrics.csv",
    }
    with (run / "logs/fit/version_0/metrics.csv").open() as file:
        assert {"epoch", "step", "val/ndcg@10", "train/loss"} <= set(next(csv.reader(file)))
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test/num_targets"] == pl.read_parquet(run / "per_user.parquet").height
    assert {"test/ndcg@10", "test/ndcg@10/tea", "test/ndcg@10/warm"} <= set(metrics)


def test_saved_config_belongs_to_the_run_and_not_to_the_command(run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert "ckpt_path" not in config
    assert "catalog" not in config["model"]["init_args"]
    assert config["trainer"]["default_root_dir"] == str(run)


def test_best_checkpoint_in_a_new_process_gives_equal_figures(run: Path, tmp_path: Path) -> None:
    before = json.loads((run / "metrics.json").read_text())
    main(["test", f"--config={run / 'config.yaml'}", "--ckpt_path=best"])
    assert json.loads((run / "metrics.json").read_text()) == before
    untrained = ["--ckpt_path=null", f"--trainer.default_root_dir={tmp_path}"]
    main(["test", f"--config={run / 'config.yaml'}", *untrained])
    assert json.loads((tmp_path / "metrics.json").read_text()) != before


def test_loaded_run_gives_equal_scores(run: Path) -> None:
    scores = []
    for _ in range(2):
        loaded = load_run(run)
        requests = loaded.datamodule.requests(["u00", "u01"])
        batch = loaded.datamodule.request_batch(requests)
        with torch.no_grad():
            scores.append(loaded.model.eval().candidate_scores(batch))
    torch.testing.assert_close(scores[0], scores[1], rtol=0, atol=0)


def test_checkpoint_holds_tensors_and_plain_values_only(run: Path) -> None:
    checkpoint = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    vectors = [key for key in checkpoint["state_dict"] if "vectors" in key]
    assert not vectors, "the frozen knowledge belongs to the store"
    assert "catalog" not in checkpoint.get("hyper_parameters", {})


def test_predict_writes_raw_ids_and_scores(run: Path) -> None:
    main(["predict", f"--config={run / 'config.yaml'}"])
    lists = pl.read_parquet(run / "predictions.parquet")
    assert lists.columns == ["user_id", "domain", "rank", "item_id", "score"]
    assert lists["user_id"].n_unique() == 24


@pytest.mark.parametrize(("options", "expected"), [([], True), (["false"], False)])
def test_sums_do_not_depend_on_threads_unless_asked(
    config: Path, options: list[str], expected: bool
) -> None:
    torch.use_deterministic_algorithms(mode=not expected)
    main(["fit", f"--config={config}", *(f"--trainer.deterministic={each}" for each in options)])
    assert torch.are_deterministic_algorithms_enabled() == expected
    torch.use_deterministic_algorithms(mode=False)


def test_fitting_twice_into_a_folder_starts_anew(config: Path) -> None:
    fast = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1"]
    root = main(["fit", f"--config={config}", *fast])
    main(["fit", f"--config={config}", *fast, "--seed_everything=1"])
    assert yaml.safe_load((root / "config.yaml").read_text())["seed_everything"] == 1
    assert sorted(path.name for path in (root / "checkpoints").iterdir()) == [
        "best.ckpt",
        "last.ckpt",
    ]


def test_fit_resumes_from_the_last_checkpoint(config: Path) -> None:
    root = main(["fit", f"--config={config}", "--trainer.max_epochs=1"])
    first = torch.load(root / "checkpoints/last.ckpt", weights_only=True)["global_step"]
    main(["fit", f"--config={config}", "--trainer.max_epochs=3", "--ckpt_path=last"])
    last = torch.load(root / "checkpoints/last.ckpt", weights_only=True)["global_step"]
    assert last == 3 * first


def test_run_without_a_folder_is_named_after_config_and_time(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    monkeypatch.setenv("XREC_RUN_TIME", "20260101-000000")
    fast = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1"]
    root = main(["fit", f"--config={config}", "--trainer.default_root_dir=null", *fast])
    assert root == Path("runs/fused/20260101-000000")
    assert (root / "checkpoints/best.ckpt").is_file()


def test_missing_checkpoint_names_the_remedy(config: Path) -> None:
    with pytest.raises(
        InputError, match=r"checkpoints/best\.ckpt: no such checkpoint; run `xrec fit`"
    ):
        main(["test", f"--config={config}"])


def test_checkpoint_of_other_data_is_refused(run: Path, tmp_path: Path) -> None:
    frozen = ["--data.init_args.knowledge=null", "--model.init_args.channels=[]"]
    sequence = "xrec_lightning.models.channels.sequence.SequenceChannelConfig"
    frozen.append(f"--model.init_args.channels+={sequence}")
    with pytest.raises(ValueError, match="the checkpoint was trained on data"):
        main(["test", f"--config={run / 'config.yaml'}", *frozen])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--trainer.max_epoch=1", "unknown key trainer.max_epoch; did you mean `trainer.max_ep"),
        ("--model.init_args.top_kk=1", "unknown key model.init_args.top_kk; did you mean `top_k`"),
        ("--data.init_args.batch_siz=1", "unknown key data.init_args.batch_siz; did you mean `bat"),
        ("--checkpoint.monitr=x", "unknown key checkpoint.monitr; did you mean `checkpoint.moni"),
        ("--model.init_args.optimizer.lrr=1", "did you mean `lr`"),
        ("--trainer.max_epochs=many", "trainer.max_epochs: Expected a <class 'int'>"),
        ("--config=nowhere.yaml", "config: File does not exist"),
    ],
)
def test_unknown_key_names_the_nearest(config: Path, option: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        XrecCLI(["fit", f"--config={config}", option])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_key_in_a_file_names_the_nearest(config: Path) -> None:
    config.write_text(config.read_text().replace("max_seq_len", "max_seq_length"))
    with pytest.raises(
        InputError, match=r"unknown key data\.init_args\.max_seq_length; did you mean"
    ):
        XrecCLI(["fit", f"--config={config}"])


def test_what_a_module_refuses_is_said_in_one_line(config: Path) -> None:
    config.write_text(config.read_text().replace("dim: 4", "dim: 400"))
    with pytest.raises(
        InputError, match=r"^cannot whiten vectors of width 8 to 400 components"
    ) as error:
        XrecCLI(["fit", f"--config={config}"])
    assert "\n" not in str(error.value)


def test_tensorboard_writes_into_the_run_folder(config: Path) -> None:
    pytest.importorskip("tensorboard")
    overlay = "--config=configs/logger/tensorboard.yaml"
    fast = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1"]
    root = main(["fit", f"--config={config}", overlay, *fast])
    assert list(root.glob("tensorboard/version_0/events.*"))


def test_wandb_works_offline_beside_the_config_of_the_run(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    overlay = "--config=configs/logger/wandb.yaml"
    fast = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1"]
    root = main(["fit", f"--config={config}", overlay, *fast])
    wandb.finish()
    assert list(root.glob("wandb/offline-run-*/*.wandb"))
    saved = yaml.safe_load((root / "config.yaml").read_text())
    assert saved["trainer"]["logger"]["class_path"] == "lightning.pytorch.loggers.WandbLogger"
