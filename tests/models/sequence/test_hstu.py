import pytest
import torch
import torch.nn.functional as F

from xrec_lightning.models.sequence.gaps import time_buckets
from xrec_lightning.models.sequence.hstu import HSTUBlock, HSTUConfig

TIMES = torch.tensor([[5, 5, 70, 4000]])


@pytest.mark.parametrize("time_bias", [False, True])
def test_a_block_is_the_pointwise_attention_of_the_paper(time_bias: bool) -> None:
    torch.manual_seed(0)
    block = HSTUBlock(HSTUConfig(embed_dim=6, num_heads=2, max_seq_len=4, time_bias=time_bias))
    block.eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    hidden = torch.randn(1, 4, 6)
    spans = TIMES[0][:, None] - TIMES[0]
    distances = torch.arange(4)[:, None] - torch.arange(4)
    gate, query, key, value = F.silu(block.projection(block.norm(hidden)))[0].split(6, dim=1)
    attended = torch.zeros(4, 6)
    for head in (slice(0, 3), slice(3, 6)):
        for place in range(4):
            for other in range(place + 1):
                logit = query[place, head] @ key[other, head] + block.position_bias[place - other]
                if block.time_bias is not None:
                    logit = logit + block.time_bias[int(spans[place, other]).bit_length()]
                attended[place, head] += logit * torch.sigmoid(logit) / 5 * value[other, head]
    expected = hidden[0] + block.output(block.attended_norm(attended) * gate)
    got = block(hidden, distances, time_buckets(spans)[None])[0]
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_an_untrained_state_is_the_normalized_input() -> None:
    inputs = torch.randn(1, 4, 8)
    states = HSTUConfig(embed_dim=8).build().eval()(inputs, TIMES)
    torch.testing.assert_close(states, F.layer_norm(inputs, (8,)))


def test_times_change_states_only_as_an_option() -> None:
    inputs = torch.randn(1, 4, 8)
    for time_bias in (False, True):
        encoder = HSTUConfig(embed_dim=8, time_bias=time_bias).build().eval()
        for parameter in encoder.parameters():
            torch.nn.init.normal_(parameter)
        is_same = torch.allclose(encoder(inputs, TIMES), encoder(inputs, TIMES * 1000))
        assert is_same != time_bias


def test_a_history_beyond_the_biases_names_the_remedy() -> None:
    encoder = HSTUConfig(embed_dim=8, max_seq_len=2).build()
    with pytest.raises(ValueError, match="a history of 4 items is longer than the encoder's 2"):
        encoder(torch.randn(1, 4, 8), TIMES)
