import torch
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.models.sequence.gaps import NUM_BUCKETS, GapEmbedding, time_buckets


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1))
def test_a_bucket_is_the_number_of_binary_digits(spans: list[int]) -> None:
    expected = [min(max(span, 0).bit_length(), NUM_BUCKETS - 1) for span in spans]
    assert time_buckets(torch.tensor(spans)).tolist() == expected


def test_every_interaction_has_the_vector_of_the_gap_before_it() -> None:
    embedding = GapEmbedding(2)
    assert embedding.weight.abs().sum() == 0
    torch.nn.init.normal_(embedding.weight)
    times = torch.tensor([[100, 100, 101, 105, 0], [7, 0, 0, 0, 0]])  # padded
    rows = torch.tensor([[NUM_BUCKETS, 0, 1, 3, 0], [NUM_BUCKETS, 0, 0, 0, 0]])
    assert torch.equal(embedding(times), embedding.weight[rows])


def test_one_interaction_has_no_gap() -> None:
    embedding = GapEmbedding(2)
    assert torch.equal(embedding(torch.tensor([[9]]))[0, 0], embedding.weight[NUM_BUCKETS])
