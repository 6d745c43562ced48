from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from lightning.pytorch import Trainer

from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.models.baselines.base import BaselineConfig
from xrec_lightning.models.baselines.bitgcf import BiTGCFConfig
from xrec_lightning.models.baselines.bpr_mf import BPRMFConfig
from xrec_lightning.models.baselines.cmf import CMFConfig
from xrec_lightning.models.baselines.ease import EASEConfig
from xrec_lightning.models.baselines.item_knn import ItemKNNConfig
from xrec_lightning.models.baselines.lightgcn import LightGCNConfig
from xrec_lightning.models.baselines.popularity import PopularityConfig
from xrec_lightning.models.baselines.recent_popularity import RecentPopularityConfig
from xrec_lightning.models.baselines.text_knn import TextKNNConfig
from xrec_lightning.models.baselines.transition import TransitionConfig
from xrec_lightning.modules.baseline import BaselineRecommender

BASELINES = [
    PopularityConfig(),
    RecentPopularityConfig(days=2),
    TransitionConfig(),
    ItemKNNConfig(),
    TextKNNConfig(),
    EASEConfig(),
    BPRMFConfig(epochs=5),
    LightGCNConfig(epochs=5),
    BiTGCFConfig(epochs=5),
    CMFConfig(embed_dim=8, text_weight=0.1),
]


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda config: type(config).__name__)
def test_a_fitted_baseline_scores_the_same_from_its_checkpoint(
    baseline: BaselineConfig, datamodule: BehaviorDataModule, tmp_path: Path
) -> None:
    datamodule.max_seq_len = 1000
    module = BaselineRecommender(datamodule.catalog, baseline)
    trainer = Trainer(
        default_root_dir=tmp_path,
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule)
    trainer.save_checkpoint(tmp_path / "baseline.ckpt")
    (figures,) = trainer.test(module, datamodule, verbose=False)
    restored = BaselineRecommender(datamodule.catalog, baseline)
    (again,) = trainer.test(
        restored, datamodule, ckpt_path=tmp_path / "baseline.ckpt", verbose=False, weights_only=True
    )
    assert figures == again


def test_every_training_interaction_is_observed_once(datamodule: BehaviorDataModule) -> None:
    datamodule.max_seq_len = 1000
    counts = torch.zeros(datamodule.catalog.num_items + 1, dtype=torch.int64)
    for batch in datamodule.train_dataloader():
        counts += torch.bincount(batch.item_ids.flatten(), minlength=len(counts))
    assert counts[1:].tolist() == datamodule.catalog.train_counts[1:].tolist()


def test_a_baseline_refuses_several_processes(datamodule: BehaviorDataModule) -> None:
    module = BaselineRecommender(datamodule.catalog, PopularityConfig())
    module.trainer = Mock(world_size=2)
    with pytest.raises(ValueError, match="in one process, not 2"):
        module.on_fit_start()
