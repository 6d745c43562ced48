import pytest
import torch

from xrec_lightning.models.sequence.base import EncoderConfig, History, Requests
from xrec_lightning.models.sequence.bert4rec import BERT4RecConfig
from xrec_lightning.models.sequence.gru4rec import GRU4RecConfig
from xrec_lightning.models.sequence.sasrec import SASRecConfig
from xrec_lightning.models.sequence.two_stream import TwoStreamConfig, TwoStreamEncoder

HISTORY = History(
    torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(1)),
    torch.tensor([[0, 10, 20, 20, 40, 50]]),
    torch.tensor([[1, 2, 1, 2, 2, 1]]),
)
REQUESTS = Requests(torch.tensor([[5, 5, 3, 0, -1]]), torch.tensor([[1, 2, 2, 2, 1]]))
STREAMS: list[EncoderConfig] = [SASRecConfig(domain_rank=2, time_gaps=True), GRU4RecConfig()]


def trained_like(config: TwoStreamConfig) -> TwoStreamEncoder:
    torch.manual_seed(0)
    encoder = config.build(2).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return encoder


@pytest.mark.parametrize("stream", STREAMS, ids=repr)
@pytest.mark.parametrize("share_streams", [True, False])
def test_own_streams_are_those_of_histories_without_other_domains(
    stream: EncoderConfig, share_streams: bool
) -> None:
    config = TwoStreamConfig(embed_dim=8, max_seq_len=6, stream=stream, share_streams=share_streams)
    encoder = trained_like(config)
    own = encoder.mixed if encoder.own is None else encoder.own
    states = encoder.own_states(HISTORY, REQUESTS)[0]
    for place, (positions, domain) in enumerate([([0, 2, 5], 1), ([1, 3, 4], 2), ([1, 3], 2)]):
        alone = own(*(part[:, positions] for part in HISTORY))[0, -1]
        torch.testing.assert_close(states[place], alone, msg=f"domain {domain}")
    assert states[3:].abs().sum() == 0, "no interaction of domain 2 yet, and no history"


def test_other_domains_matter_to_the_mixed_stream_alone() -> None:
    encoder = trained_like(TwoStreamConfig(embed_dim=8, max_seq_len=6))
    changed = HISTORY.inputs.clone()
    changed[:, [1, 3, 4]] = torch.randn(1, 3, 8)
    other = HISTORY._replace(inputs=changed)
    request = Requests(torch.tensor([[5]]), torch.tensor([[1]]))
    own, own_changed = (encoder.own_states(each, request) for each in (HISTORY, other))
    assert torch.equal(own, own_changed)
    assert not torch.allclose(encoder.states(HISTORY, request), encoder.states(other, request))


@pytest.mark.parametrize("combine", ["gate", "concat"])
def test_untrained_streams_are_averaged(combine: str) -> None:
    config = TwoStreamConfig(embed_dim=8, max_seq_len=6, combine=combine, adapt_rank=2)  # type: ignore[arg-type]
    encoder = config.build(2).eval()
    mixed = encoder.mixed(HISTORY.inputs, HISTORY.times)[0, [5, 5, 3, 0]]
    expected = (mixed + encoder.own_states(HISTORY, REQUESTS)[0, :4]) / 2
    states = encoder.states(HISTORY, REQUESTS)[0]
    torch.testing.assert_close(states[:4], expected)
    assert states[4].abs().sum() == 0


def test_the_state_depends_on_the_domain_that_is_asked_for() -> None:
    encoder = TwoStreamConfig(embed_dim=8, max_seq_len=6).build(2).eval()
    states = encoder.states(HISTORY, REQUESTS)[0]
    assert not torch.allclose(states[0], states[1])
    assert encoder.reads_target_domain


def test_streams_of_masked_items_are_refused() -> None:
    with pytest.raises(ValueError, match=r"stream is BERT4RecConfig: take an encoder that is"):
        TwoStreamConfig(embed_dim=8, stream=BERT4RecConfig()).build(2)
