"""The contract that every sequence encoder keeps."""

import pytest
import torch
import torch.nn.functional as F

from xrec_lightning.models.sequence.base import (
    EncoderConfig,
    History,
    Requests,
    SequenceEncoder,
    last_states,
)
from xrec_lightning.models.sequence.bert4rec import BERT4RecConfig
from xrec_lightning.models.sequence.gru4rec import GRU4RecConfig
from xrec_lightning.models.sequence.hstu import HSTUConfig
from xrec_lightning.models.sequence.ligr import LiGRConfig
from xrec_lightning.models.sequence.mean import MeanConfig
from xrec_lightning.models.sequence.sasrec import SASRecConfig
from xrec_lightning.models.sequence.two_stream import TwoStreamConfig

ENCODERS = [
    SASRecConfig(embed_dim=8, max_seq_len=6),
    SASRecConfig(embed_dim=8, max_seq_len=6, positions="rotary", time_gaps=True),
    LiGRConfig(embed_dim=8, max_seq_len=6),
    LiGRConfig(embed_dim=8, max_seq_len=6, positions="rotary", time_gaps=True),
    HSTUConfig(embed_dim=8, max_seq_len=6),
    HSTUConfig(embed_dim=8, max_seq_len=6, time_bias=False),
    GRU4RecConfig(embed_dim=8, max_seq_len=6),
    GRU4RecConfig(embed_dim=8, max_seq_len=6, num_layers=2),
    MeanConfig(embed_dim=8, max_seq_len=6, decay=0.7),
    SASRecConfig(embed_dim=8, max_seq_len=6, domain_rank=2),
    LiGRConfig(embed_dim=8, max_seq_len=6, domain_rank=2),
    BERT4RecConfig(embed_dim=8, max_seq_len=6),
    BERT4RecConfig(embed_dim=8, max_seq_len=6, positions="rotary", domain_rank=2),
    TwoStreamConfig(embed_dim=8, max_seq_len=6, adapt_rank=2, stream=SASRecConfig(domain_rank=2)),
    TwoStreamConfig(
        embed_dim=8, max_seq_len=6, share_streams=False, combine="concat", stream=GRU4RecConfig()
    ),
]
TIMES = torch.tensor([[0, 0, 60, 90_000, 90_001, 10**7]])
DOMAINS = torch.tensor([[1, 2, 1, 1, 2, 2]])


def trained_like(config: EncoderConfig) -> SequenceEncoder:
    """Return an encoder whose weights are random, as if trained."""
    torch.manual_seed(0)
    encoder = config.build(2).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return encoder


@pytest.mark.parametrize("config", ENCODERS, ids=repr)
class TestEncoders:
    def test_states_have_the_shape_of_the_inputs(self, config: EncoderConfig) -> None:
        inputs, times, domains = torch.randn(3, 6, 8), TIMES.expand(3, -1), DOMAINS.expand(3, -1)
        assert config.build(2)(inputs, times, domains).shape == (3, 6, 8)
        assert config.build(2)(inputs, times).shape == (3, 6, 8)

    def test_a_window_may_hold_one_more_than_the_longest_history(
        self, config: EncoderConfig
    ) -> None:
        encoder = trained_like(config)
        inputs, times = torch.randn(1, 7, 8), torch.arange(7)[None]
        assert encoder(inputs, times, F.pad(DOMAINS, (0, 1), value=1)).isfinite().all()

    def test_future_inputs_do_not_change_past_states(self, config: EncoderConfig) -> None:
        encoder = trained_like(config)
        inputs, times, domains = torch.randn(2, 6, 8), TIMES.expand(2, -1), DOMAINS.expand(2, -1)
        changed = inputs.clone()
        changed[:, 4:] = torch.randn(2, 2, 8)
        states, other = encoder(inputs, times, domains), encoder(changed, times, domains)
        torch.testing.assert_close(states[:, :4], other[:, :4])
        assert not torch.allclose(states[:, 4:], other[:, 4:])

    def test_future_times_do_not_change_past_states(self, config: EncoderConfig) -> None:
        encoder = trained_like(config)
        inputs, later = torch.randn(1, 6, 8), TIMES.clone()
        later[:, 4:] += 10**6
        states, other = encoder(inputs, TIMES, DOMAINS), encoder(inputs, later, DOMAINS)
        torch.testing.assert_close(states[:, :4], other[:, :4])

    def test_future_domains_do_not_change_past_states(self, config: EncoderConfig) -> None:
        encoder = trained_like(config)
        inputs, other = torch.randn(1, 6, 8), DOMAINS.clone()
        other[:, 4:] = 1
        states, changed = encoder(inputs, TIMES, DOMAINS), encoder(inputs, TIMES, other)
        torch.testing.assert_close(states[:, :4], changed[:, :4])

    def test_a_request_has_the_state_of_its_position(self, config: EncoderConfig) -> None:
        encoder = trained_like(config)
        history = History(torch.randn(1, 6, 8), TIMES, DOMAINS)
        requests = Requests(torch.tensor([[4, -1, 2]]), torch.tensor([[2, 1, 1]]))
        states = encoder.states(history, requests)
        torch.testing.assert_close(states[:, [0, 2]], encoder(*history)[:, [4, 2]])
        assert states[:, 1].abs().sum() == 0

    def test_only_spans_of_time_matter(self, config: EncoderConfig) -> None:
        encoder = trained_like(config)
        inputs = torch.randn(1, 6, 8)
        moved = TIMES + 1_700_000_000
        states, other = encoder(inputs, TIMES, DOMAINS), encoder(inputs, moved, DOMAINS)
        torch.testing.assert_close(states, other)

    def test_past_inputs_change_later_states(self, config: EncoderConfig) -> None:
        encoder = trained_like(config)
        inputs = torch.randn(1, 6, 8)
        changed = inputs.clone()
        changed[:, 0] = torch.randn(1, 8)
        states, other = encoder(inputs, TIMES, DOMAINS), encoder(changed, TIMES, DOMAINS)
        assert not torch.allclose(states[:, 5], other[:, 5])

    def test_padding_does_not_change_real_states(self, config: EncoderConfig) -> None:
        encoder = trained_like(config)
        inputs, times = torch.randn(1, 4, 8), TIMES[:, :4] + 1_700_000_000
        padded = torch.cat([inputs, torch.zeros(1, 2, 8)], dim=1)
        states = encoder(padded, F.pad(times, (0, 2)), F.pad(DOMAINS[:, :4], (0, 2)))
        torch.testing.assert_close(states[:, :4], encoder(inputs, times, DOMAINS[:, :4]))

    def test_it_overfits_one_batch(self, config: EncoderConfig) -> None:
        torch.manual_seed(0)
        encoder = config.build(2).eval()  # no drop-out
        items, heads = torch.nn.Embedding(9, 8), torch.nn.Linear(8, 6)
        histories, targets = torch.randint(9, (6, 6)), torch.arange(6)
        parameters = [*encoder.parameters(), *items.parameters(), *heads.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=0.02)
        for _ in range(120):
            inputs = items(histories)
            states = encoder(inputs, TIMES.expand(6, -1), DOMAINS.expand(6, -1))[:, -1]
            loss = F.cross_entropy(heads(states), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.1  # chance is 1.79

    def test_everything_that_is_trained_has_a_gradient(self, config: EncoderConfig) -> None:
        encoder = trained_like(config)
        inputs = torch.randn(2, 6, 8, requires_grad=True)
        encoder(inputs, TIMES.expand(2, -1), DOMAINS.expand(2, -1)).pow(3).sum().backward()
        for name, parameter in [("inputs", inputs), *encoder.named_parameters()]:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_widths_that_heads_do_not_divide_are_refused() -> None:
    for config in (SASRecConfig, LiGRConfig, HSTUConfig, BERT4RecConfig):
        with pytest.raises(ValueError, match=r"embed_dim is 10: set it to a multiple of"):
            config(embed_dim=10, num_heads=4)
    with pytest.raises(ValueError, match="multiple of 4, for 2 heads and rotary positions"):
        SASRecConfig(embed_dim=6, positions="rotary")


def test_last_states_are_zero_without_history() -> None:
    hidden = torch.arange(6.0).reshape(1, 3, 2)
    states = last_states(hidden, torch.tensor([[2, 0, -1]]))
    assert states.tolist() == [[[4.0, 5.0], [0.0, 1.0], [0.0, 0.0]]]
