"""The fusion recommender with every channel at once."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.models.channels.collaborative import CollaborativeChannelConfig
from xrec_lightning.models.channels.graph import GraphChannelConfig
from xrec_lightning.models.channels.knowledge import KnowledgeChannelConfig
from xrec_lightning.models.channels.modality import ModalityChannelConfig
from xrec_lightning.models.channels.popularity import PopularityChannelConfig
from xrec_lightning.models.channels.profile import ProfileChannelConfig
from xrec_lightning.models.channels.sequence import SequenceChannelConfig
from xrec_lightning.models.sequence.sasrec import SASRecConfig
from xrec_lightning.modules.fusion import FusionRecommender

CHANNELS = [
    SequenceChannelConfig(encoder=SASRecConfig(embed_dim=8, max_seq_len=12)),
    KnowledgeChannelConfig(dim=8),
    GraphChannelConfig(dim=8),
    CollaborativeChannelConfig(dim=8),
    CollaborativeChannelConfig(dim=8, relation="together"),
    ProfileChannelConfig(dim=8),
    ModalityChannelConfig(modality="image", dim=5),
    PopularityChannelConfig(),
]


@pytest.fixture
def datamodule(full_dataset: Path, full_store: Path) -> BehaviorDataModule:
    return BehaviorDataModule(full_dataset, full_store, batch_size=8, eval_batch_size=7)


def test_all_channels_are_trained_weighed_and_tested(
    datamodule: BehaviorDataModule, tmp_path: Path
) -> None:
    module = FusionRecommender(datamodule.catalog, [*CHANNELS])
    channels = module.scorer.channel_list()
    assert [channel.name for channel in channels if not channel.trains] == [
        "graph",
        "collaborative:next",
        "collaborative:together",
        "popularity",
    ]
    assert len({channel.name for channel in channels}) == len(CHANNELS)
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
    (figures,) = trainer.test(module, datamodule, verbose=False)
    assert 0 < figures["test/ndcg@10"] < 1
    explained_as_scored(module.eval(), datamodule)
    again = FusionRecommender(datamodule.catalog, [*CHANNELS])
    again.load_state_dict(module.state_dict())
    assert trainer.test(again, datamodule, verbose=False) == [figures]


@torch.no_grad()
def explained_as_scored(module: FusionRecommender, datamodule: BehaviorDataModule) -> None:
    """Check that the parts of the channels sum to the scores."""
    batch = next(iter(datamodule.test_dataloader()))
    item_ids = batch.target_ids.expand(-1, 2)
    explained = module.scorer.explain(batch, item_ids)
    scores = module.scorer.user_vectors(batch)[:, 0] @ module.scorer.item_vectors().T
    biases = (
        module.scorer.bias
        + module.scorer.is_cold * module.scorer.cold_offsets[batch.target_domain_ids]
    )
    expected = (scores - biases).gather(1, item_ids)
    torch.testing.assert_close(explained.channel_scores.sum(-1), expected, atol=1e-4, rtol=1e-4)


def test_a_twin_of_one_domain_counts_events_of_that_domain_only(
    full_dataset: Path, full_store: Path
) -> None:
    twin = BehaviorDataModule(
        full_dataset, full_store, train_domains=["tea"], history_domains=["tea"]
    )
    assert twin.catalog.histories is not None
    item_ids = twin.catalog.histories().item_ids
    assert torch.equal(torch.bincount(item_ids, minlength=31)[:31], twin.catalog.train_counts)
    assert {twin.raw_item_ids[item - 1] for item in item_ids.tolist()} <= {
        f"i{item:02}" for item in range(15)
    }
