from collections import Counter

import pytest
import torch

from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.models.channels.knowledge import KnowledgeChannelConfig
from xrec_lightning.models.channels.sequence import SequenceChannelConfig
from xrec_lightning.models.sequence.base import EncoderConfig
from xrec_lightning.models.sequence.bert4rec import BERT4RecConfig
from xrec_lightning.models.sequence.sasrec import SASRecConfig
from xrec_lightning.models.sequence.two_stream import TwoStreamConfig
from xrec_lightning.modules.fusion import FusionRecommender

ENCODERS: list[EncoderConfig] = [
    BERT4RecConfig(embed_dim=8, max_seq_len=12, mask_share=0.4, dropout=0.0),
    TwoStreamConfig(
        embed_dim=8,
        max_seq_len=12,
        adapt_rank=2,
        stream=SASRecConfig(domain_rank=2, dropout=0.0),
    ),
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
@pytest.mark.parametrize("item_input", ["id", "id+knowledge", "knowledge"])
def test_training_lowers_the_loss(
    datamodule: BehaviorDataModule, encoder: EncoderConfig, item_input: str
) -> None:
    sequence = SequenceChannelConfig(encoder=encoder, item_input=item_input)  # type: ignore[arg-type]
    module = FusionRecommender(datamodule.catalog, [sequence, KnowledgeChannelConfig(dim=8)])
    batch = next(iter(datamodule.train_dataloader()))
    optimizer = torch.optim.AdamW(module.parameters(), lr=2e-2)
    values = []
    for _ in range(30):
        loss = module.losses(batch)[0].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert sum(values[-10:]) < 0.9 * sum(values[:10])


def test_hidden_items_are_the_targets_of_every_channel(datamodule: BehaviorDataModule) -> None:
    channels = [SequenceChannelConfig(encoder=ENCODERS[0]), KnowledgeChannelConfig(dim=8)]
    module = FusionRecommender(datamodule.catalog, channels)
    batch = next(iter(datamodule.train_dataloader()))
    num_items = int((batch.item_ids > 0).sum())
    counts = Counter(module.losses(batch).shape for _ in range(50))
    assert {shape[0] for shape in counts} == {2}
    mean = sum(shape[1] * count for shape, count in counts.items()) / 50
    assert 0.3 < mean / num_items < 0.5
    assert module.losses(batch).isfinite().all()
