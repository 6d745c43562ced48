"""A small catalog, a batch and a training step that the model tests share."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.knowledge import KnowledgeChannelConfig
from xrec_lightning.models.channels.sequence import SequenceChannelConfig
from xrec_lightning.models.fusion import FusionScorer
from xrec_lightning.models.objectives import SampledSoftmaxLossConfig
from xrec_lightning.models.sequence.sasrec import SASRecConfig
from xrec_lightning.models.training_pass import (
    DomainTargets,
    TrainingStep,
    relative_weights,
    training_pass,
)

NUM_ITEMS = 12
MakeStep = Callable[[float], TrainingStep]


@pytest.fixture
def catalog() -> Catalog:
    """Twelve items in two domains; item 6 is in both, 11 and 12 are cold, 12 has no text."""
    vectors = torch.randn(NUM_ITEMS + 1, 8, generator=torch.Generator().manual_seed(0))
    vectors[[0, 12]] = 0.0
    return Catalog(
        fingerprint="tiny",
        domains=("books", "films"),
        slices=("warm", "cold"),
        num_users=3,
        num_items=NUM_ITEMS,
        train_counts=torch.tensor([0, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 0, 0]),
        candidates=(torch.tensor([1, 2, 3, 4, 5, 6, 11]), torch.tensor([6, 7, 8, 9, 10, 12])),
        vectors=vectors,
    )


@pytest.fixture
def batch() -> SequenceBatch:
    """Three histories of four, two and no interactions, one target each."""
    item_ids = torch.tensor([[1, 7, 2, 8], [3, 9, 0, 0], [0, 0, 0, 0]])
    return SequenceBatch(
        user_ids=torch.tensor([1, 2, 3]),
        item_ids=item_ids,
        domain_ids=torch.tensor([[1, 2, 1, 2], [1, 2, 0, 0], [0, 0, 0, 0]]),
        times=torch.tensor([[10, 20, 30, 40], [10, 20, 0, 0], [0, 0, 0, 0]]),
        target_ids=torch.tensor([[4], [10], [5]]),
        target_domain_ids=torch.tensor([[1], [2], [1]]),
        target_weights=torch.ones(3, 1),
        state_positions=torch.tensor([[3], [1], [-1]]),
        disliked_ids=item_ids[:, :0],
        seen_ids=item_ids,
        slice_mask=torch.tensor([[True, False], [True, False], [True, False]]),
        row_ids=torch.tensor([0, 1, 2]),
    )


@pytest.fixture
def make_step(catalog: Catalog, batch: SequenceBatch) -> MakeStep:
    """Return a function from a rate of drop-out to a step with dislikes and weights."""
    domains = torch.tensor([[1, 2], [2, 1], [1, 1]])
    batch = batch._replace(
        target_ids=torch.tensor([[4, 10], [8, 2], [5, 6]]),
        target_domain_ids=domains,
        target_weights=torch.tensor([[1.0, 2.0], [0.5, 1.0], [3.0, 1.0]]),
        state_positions=torch.tensor([[3, 2], [1, 0], [-1, -1]]),
        disliked_ids=torch.tensor([[3, 9], [1, 0], [5, 2]]),
    )
    targets = []
    for domain in (1, 2):
        target_ids = batch.target_ids[domains == domain]
        disliked_ids = batch.disliked_ids[(domains == domain).nonzero()[:, 0]]
        is_other = ~torch.isin(disliked_ids, catalog.candidates[domain - 1])
        targets.append(
            DomainTargets(
                is_here=domains == domain,
                target_ids=target_ids,
                negative_ids=catalog.candidates[domain - 1][:5],
                log_expected=torch.linspace(-1, 1, 5),
                num_candidates=6,
                is_no_dislike=is_other | (disliked_ids == target_ids[:, None]),
            )
        )

    def make(dropout: float) -> TrainingStep:
        torch.manual_seed(0)
        encoder = SASRecConfig(embed_dim=8, max_seq_len=4, dropout=dropout)
        channels = (SequenceChannelConfig(encoder=encoder), KnowledgeChannelConfig(dim=8))
        scorer = FusionScorer(catalog, channels, temperature=0.5)
        again = partial(training_pass, scorer, SampledSoftmaxLossConfig(), batch, targets)
        return TrainingStep(scorer, batch, again(), relative_weights(batch, 2), again)

    return make
