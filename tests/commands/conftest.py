"""Two trained and tested runs on the tiny data."""

from pathlib import Path

import pytest

from xrec_lightning.dispatch import run_command

RUN = """
model:
  class_path: xrec_lightning.modules.fusion.FusionRecommender
  init_args:
    channels:
      - class_path: xrec_lightning.models.channels.{channel}ChannelConfig
data:
  class_path: xrec_lightning.data.datamodules.behavior.BehaviorDataModule
  init_args: {{dataset: {dataset}, knowledge: {store}, batch_size: 8, max_seq_len: 8}}
trainer:
  accelerator: cpu
  max_epochs: 1
  logger: false
  enable_progress_bar: false
  enable_model_summary: false
"""


@pytest.fixture(scope="session")
def runs(
    tiny_dataset: Path, tiny_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Run folders of a sequence model and of a model of knowledge alone, by name."""
    folder = tmp_path_factory.mktemp("runs")
    channels = {"sequence": "sequence.Sequence", "knowledge": "knowledge.Knowledge"}
    for name, channel in channels.items():
        text = RUN.format(channel=channel, dataset=tiny_dataset, store=tiny_store)
        if name == "knowledge":
            text = text.replace(
                "KnowledgeChannelConfig", "KnowledgeChannelConfig\n        init_args: {dim: 4}"
            )
        config = folder / f"{name}.yaml"
        config.write_text(text)
        options = [f"--config={config}", f"--trainer.default_root_dir={folder / name}"]
        for command in ("fit", "test"):
            run_command([command, *options])
    return {name: folder / name for name in channels}
