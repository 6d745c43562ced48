import math

import pytest
import torch

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.histories import TrainingHistories
from xrec_lightning.models.channels.popularity import PopularityChannelConfig, decayed_counts

DAY = 86400


def dated(catalog: Catalog) -> Catalog:
    """Item 1 was taken 40, 30 and 10 days before the end, item 2 at the end, 3 long ago."""
    item_ids = torch.tensor([1, 1, 1, 2, 3])
    times = DAY * torch.tensor([1000, 1010, 1030, 1040, 40])
    events = TrainingHistories(torch.tensor([0, 2, 5, 5]), item_ids, times)
    return catalog._replace(histories=lambda: events)


def test_counts_are_halved_with_each_half_life(catalog: Catalog) -> None:
    histories = dated(catalog).histories
    assert histories is not None
    counts = decayed_counts(histories(), 12, [10.0, math.inf])
    assert counts[:3].tolist() == [[0.0, 0.0], [1 / 16 + 1 / 8 + 1 / 2, 3.0], [1.0, 1.0]]
    assert counts[3, 0] < 1e-12
    assert counts[3, 1] == 1.0


def test_scores_are_mean_shares_of_log_counts(catalog: Catalog, batch: SequenceBatch) -> None:
    channel = PopularityChannelConfig(half_lives=[10.0, math.inf]).build(dated(catalog))
    scores = (channel.queries(batch) @ channel.keys().T)[:, 0]
    recent = math.log1p(11 / 16) / math.log(2)
    expected = torch.zeros(13)
    expected[1:4] = torch.tensor(
        [(recent + 1) / 2, (1 + math.log(2) / math.log(4)) / 2, math.log(2) / math.log(4) / 2]
    )
    torch.testing.assert_close(scores, expected.expand(3, 13))
    assert not channel.trains
    assert not channel.state_dict()
    parts = channel.contributions(batch, torch.tensor([[1], [2], [3]]))
    assert parts.shape == (3, 1, 4)
    assert parts.abs().sum() == 0


def test_scores_stay_below_one_and_cold_items_at_zero(
    linked: Catalog, batch: SequenceBatch
) -> None:
    channel = PopularityChannelConfig(is_trainable=True).build(linked)
    torch.nn.init.normal_(channel.mixture)
    scores = channel.queries(batch) @ channel.keys().T
    assert scores.abs().max() <= 1.0
    assert scores[..., [0, 6, 11, 12]].abs().sum() == 0
    assert channel.trains
    assert set(channel.state_dict()) == {"mixture"}
    assert not torch.equal(scores[0], scores[1]), "domains differ"


def test_no_events_are_no_popularity(catalog: Catalog, batch: SequenceBatch) -> None:
    none = torch.zeros(0, dtype=torch.int64)
    empty = catalog._replace(histories=lambda: TrainingHistories(torch.zeros(4).long(), none, none))
    channel = PopularityChannelConfig().build(empty)
    assert (channel.queries(batch) @ channel.keys().T).abs().sum() == 0
    with pytest.raises(ValueError, match="needs training events"):
        PopularityChannelConfig().build(catalog)


@pytest.mark.parametrize("half_lives", [[], [30.0, 0.0], [float("nan")]], ids=repr)
def test_half_lives_that_are_none_are_refused(half_lives: list[float]) -> None:
    with pytest.raises(ValueError, match=r"half_lives is .*: give at least one"):
        PopularityChannelConfig(half_lives=half_lives)
