import math

import pytest
import torch
import torch.nn.functional as F

from xrec_lightning.models.sequence.attentive import Attention, AttentiveConfig
from xrec_lightning.models.sequence.ligr import LiGRConfig
from xrec_lightning.models.sequence.positions import rotate
from xrec_lightning.models.sequence.sasrec import SASRecConfig

TIMES = torch.tensor([[5, 5, 70, 80, 90]]).expand(2, -1)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_attention_is_a_causal_softmax_of_every_head(positions: str) -> None:
    config = SASRecConfig(embed_dim=8, num_heads=2, positions=positions)  # type: ignore[arg-type]
    attention = Attention(config).eval()
    projected = torch.randn(1, 5, 24, generator=torch.Generator().manual_seed(0))
    attended = attention(projected)[0]
    for head in (0, 1):
        query, key, value = projected[0, :, 12 * head : 12 * head + 12].split(4, dim=1)
        if positions == "rotary":
            query, key = rotate(query), rotate(key)
        for place in range(5):
            logits = [float(query[place] @ key[other]) / 2 for other in range(place + 1)]
            total = sum(math.exp(logit) for logit in logits)
            expected = sum(
                math.exp(logit) / total * value[other] for other, logit in enumerate(logits)
            )
            torch.testing.assert_close(attended[place, 4 * head : 4 * head + 4], expected)


def test_a_mask_says_what_is_seen_in_place_of_causality() -> None:
    attention = Attention(SASRecConfig(embed_dim=8)).eval()
    projected, causal = torch.randn(1, 5, 24), torch.ones(5, 5, dtype=torch.bool).tril()
    torch.testing.assert_close(attention(projected, causal[None, None]), attention(projected))
    everything = torch.ones(1, 1, 5, 5, dtype=torch.bool)
    assert not torch.allclose(attention(projected, everything), attention(projected))


@pytest.mark.parametrize("kind", [SASRecConfig, LiGRConfig])
@pytest.mark.parametrize("positions", ["learned", "rotary"])
@pytest.mark.parametrize("time_gaps", [False, True])
def test_an_untrained_state_is_the_normalized_input(
    kind: type[AttentiveConfig], positions: str, time_gaps: bool
) -> None:
    config = kind(embed_dim=8, positions=positions, time_gaps=time_gaps)  # type: ignore[arg-type]
    inputs = torch.randn(2, 5, 8)
    torch.testing.assert_close(config.build().eval()(inputs, TIMES), F.layer_norm(inputs, (8,)))


@pytest.mark.parametrize("kind", [SASRecConfig, LiGRConfig])
def test_options_are_parameters_only_where_they_are_on(kind: type[AttentiveConfig]) -> None:
    plain = set(kind(embed_dim=8).build().state_dict())
    options = set(kind(embed_dim=8, positions="rotary", time_gaps=True).build().state_dict())
    assert plain - options == {"position_embedding.weight"}
    assert options - plain == {"gap_embedding.weight"}


def test_gaps_change_states_only_as_an_option() -> None:
    inputs = torch.randn(2, 5, 8)
    for time_gaps in (False, True):
        encoder = SASRecConfig(embed_dim=8, time_gaps=time_gaps).build().eval()
        if encoder.gap_embedding is not None:
            torch.nn.init.normal_(encoder.gap_embedding.weight)
        is_same = torch.allclose(encoder(inputs, TIMES), encoder(inputs, TIMES * 1000))
        assert is_same != time_gaps
