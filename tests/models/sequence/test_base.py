"""The contract that every sequence encoder keeps."""

import pytest
import torch

from xrec_lightning.models.sequence.base import EncoderConfig
from xrec_lightning.models.sequence.sasrec import SASRecConfig

ENCODERS = [SASRecConfig(embed_dim=8, max_seq_len=6)]


def trained_like(config: EncoderConfig) -> torch.nn.Module:
    """Return an encoder whose weights are random, as if trained."""
    torch.manual_seed(0)
    encoder = config.build().eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return encoder


@pytest.mark.parametrize("config", ENCODERS, ids=lambda config: type(config).__name__)
class TestEncoders:
    def test_states_have_the_shape_of_the_inputs(self, config: EncoderConfig) -> None:
        assert config.build()(torch.randn(3, 6, 8)).shape == (3, 6, 8)

    def test_future_inputs_do_not_change_past_states(self, config: EncoderConfig) -> None:
        encoder = trained_like(config)
        inputs = torch.randn(2, 6, 8)
        changed = inputs.clone()
        changed[:, 4:] = torch.randn(2, 2, 8)
        states, other = encoder(inputs), encoder(changed)
        torch.testing.assert_close(states[:, :4], other[:, :4])
        assert not torch.allclose(states[:, 4:], other[:, 4:])

    def test_past_inputs_change_later_states(self, config: EncoderConfig) -> None:
        encoder = trained_like(config)
        inputs = torch.randn(1, 6, 8)
        changed = inputs.clone()
        changed[:, 0] = torch.randn(1, 8)
        assert not torch.allclose(encoder(inputs)[:, 5], encoder(changed)[:, 5])

    def test_padding_does_not_change_real_states(self, config: EncoderConfig) -> None:
        encoder = trained_like(config)
        inputs = torch.randn(1, 4, 8)
        padded = torch.cat([inputs, torch.zeros(1, 2, 8)], dim=1)
        torch.testing.assert_close(encoder(padded)[:, :4], encoder(inputs))
