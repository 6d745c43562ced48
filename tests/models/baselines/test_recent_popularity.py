from collections import Counter

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.recent_popularity import (
    RecentPopularity,
    RecentPopularityConfig,
)

DAY = 86400
EVENTS = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 5 * DAY)), min_size=1, max_size=8)


def fitted(
    catalog: Catalog, batch: SequenceBatch, days: float, users: list[list[tuple[int, int]]]
) -> RecentPopularity:
    """Return a model that observed the (item, time) events of each user, a batch a user."""
    model = RecentPopularityConfig(days=days).build(catalog)
    for events in users:
        item_ids = torch.tensor([[*(item for item, _ in events), 0]])
        times = torch.tensor([[*(time for _, time in events), 0]])
        model.observe(batch._replace(item_ids=item_ids, times=times))
    model.finish()
    return model


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # never changed
@given(users=st.lists(EVENTS, min_size=1, max_size=4), days=st.sampled_from([0.5, 1.0, 2.25]))
def test_scores_count_the_last_days_of_training(
    catalog: Catalog, batch: SequenceBatch, users: list[list[tuple[int, int]]], days: float
) -> None:
    events = [event for user in users for event in user]
    end = max(time for _, time in events)
    counts = Counter(item for item, time in events if time > end - days * DAY)
    scores = fitted(catalog, batch, days, users).scores(batch)
    assert scores.floor().tolist() == [[counts[item] for item in range(13)]] * len(scores)


def test_old_popularity_breaks_ties_only(catalog: Catalog, batch: SequenceBatch) -> None:
    model = fitted(catalog, batch, 1.0, [[(1, 0), (2, 0), (9, 3 * DAY), (12, 3 * DAY)]])
    order = model.scores(batch)[0].argsort(descending=True)
    assert order[:4].tolist() == [9, 12, 1, 2]


def test_time_before_1970_is_a_time(catalog: Catalog, batch: SequenceBatch) -> None:
    model = fitted(catalog, batch, 1.0, [[(1, -9 * DAY), (2, -5 * DAY), (3, -5 * DAY + 60)]])
    assert model.scores(batch)[0].floor().nonzero().flatten().tolist() == [2, 3]


@pytest.mark.parametrize("days", [0.0, -1.0, float("nan"), float("inf")])
def test_days_must_be_a_span(days: float) -> None:
    with pytest.raises(ValueError, match="set a number above 0"):
        RecentPopularityConfig(days=days)
