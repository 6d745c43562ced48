from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModel,
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    MPNetConfig,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaConfig,
)

from xrec_lightning.models.language.isolation import isolated_inputs

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SMALL: dict[str, Any] = {"vocab_size": 30, "intermediate_size": 32, **SIZES}
CONFIGS: dict[str, tuple[PreTrainedConfig, bool]] = {
    "bert": (BertConfig(**SMALL), False),
    "roberta": (RobertaConfig(**SMALL), False),
    "mpnet": (MPNetConfig(**SMALL), False),
    "distilbert": (
        DistilBertConfig(vocab_size=30, dim=16, n_layers=2, n_heads=2, hidden_dim=32),
        False,
    ),
    "gpt2": (GPT2Config(vocab_size=30, n_embd=16, n_layer=2, n_head=2), True),
    "llama": (LlamaConfig(**SMALL, num_key_value_heads=1), True),
}
LENGTHS = (5, 1, 7, 3)
SEGMENTS = torch.tensor([[0] * 5 + [1] + [-1] * 4, [2] * 7 + [3] * 3])


@pytest.fixture(params=list(CONFIGS))
def family(request: pytest.FixtureRequest) -> tuple[PreTrainedModel, bool]:
    config, causal = CONFIGS[request.param]
    return AutoModel.from_config(config).eval(), causal


def random_tokens(seed: int = 0) -> Tensor:
    tokens = torch.randint(5, 30, SEGMENTS.shape, generator=torch.Generator().manual_seed(seed))
    return tokens.masked_fill(SEGMENTS < 0, 0)


@torch.no_grad()
def states(model: PreTrainedModel, tokens: Tensor, *, causal: bool) -> Tensor:
    inputs = isolated_inputs(model, SEGMENTS, causal=causal)
    return model(input_ids=tokens, **inputs).last_hidden_state


@torch.no_grad()
def test_a_text_in_a_block_has_the_states_it_has_alone(
    family: tuple[PreTrainedModel, bool],
) -> None:
    model, causal = family
    tokens = random_tokens()
    packed = states(model, tokens, causal=causal)
    for number, length in enumerate(LENGTHS):
        own = tokens[number == SEGMENTS][None]
        assert own.size(1) == length
        alone = model(input_ids=own).last_hidden_state[0]
        torch.testing.assert_close(packed[number == SEGMENTS], alone, rtol=0, atol=1e-5)


def test_no_text_depends_on_another(family: tuple[PreTrainedModel, bool]) -> None:
    model, causal = family
    tokens, other = random_tokens(), random_tokens(seed=1)
    before = states(model, tokens, causal=causal)
    for number in range(len(LENGTHS)):
        own = number == SEGMENTS
        after = states(model, torch.where(own, other, tokens), causal=causal)
        assert torch.equal(after[~own & (SEGMENTS >= 0)], before[~own & (SEGMENTS >= 0)])
        assert not torch.allclose(after[own], before[own])


def test_gradients_of_a_text_reach_its_own_tokens_only(
    family: tuple[PreTrainedModel, bool],
) -> None:
    model, causal = family
    embedded = model.get_input_embeddings()(random_tokens()).detach().requires_grad_()
    inputs = isolated_inputs(model, SEGMENTS, causal=causal)
    output = model(inputs_embeds=embedded, **inputs).last_hidden_state
    output[SEGMENTS == 2].square().sum().backward()
    reached = embedded.grad.abs().sum(dim=-1) > 0  # type: ignore[union-attr]  # it has one
    assert torch.equal(reached, SEGMENTS == 2)


def test_sliding_windows_are_refused_where_they_matter() -> None:
    config = MistralConfig(**SMALL, num_key_value_heads=1, sliding_window=8)
    model = AutoModel.from_config(config)
    with pytest.raises(ValueError, match=r"block_size: mistral sees 8 .* max_tokens to 4"):
        isolated_inputs(model, SEGMENTS, causal=True)
    isolated_inputs(model, SEGMENTS[:1], causal=True)


def test_attention_that_takes_no_mask_is_refused() -> None:
    model = AutoModel.from_config(CONFIGS["bert"][0])
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(ValueError, match="flash_attention_2 cannot keep the texts"):
        isolated_inputs(model, SEGMENTS, causal=False)
