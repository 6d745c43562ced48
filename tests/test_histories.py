import torch
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.histories import TrainingHistories


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_events_belong_to_the_user_whose_range_they_are_in(lengths: list[int]) -> None:
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    events = torch.zeros(sum(lengths), dtype=torch.int64)
    users = TrainingHistories(offsets, events, events).user_ids()
    assert users.tolist() == [
        user for user, length in enumerate(lengths, start=1) for _ in range(length)
    ]
