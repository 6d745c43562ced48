"""Random models of five families, 16 wide, with two layers, and a text of two rows."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    GPT2Config,
    GPT2Model,
    LlamaConfig,
    LlamaModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
)

WIDE = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 34,
}
ENDS = {"bos_token_id": 0, "eos_token_id": 1}
TOKEN_IDS = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


def build(family: str, num_layers: int, width: int) -> PreTrainedModel:
    torch.manual_seed(0)
    shape = {**WIDE, "num_hidden_layers": num_layers, "hidden_size": width}
    if family == "bert":
        return BertModel(BertConfig(**shape), add_pooling_layer=False)
    if family == "roberta":
        return RobertaModel(RobertaConfig(**shape), add_pooling_layer=False)
    if family == "gpt2":
        config = GPT2Config(n_embd=width, n_layer=num_layers, n_head=2, n_positions=34, **ENDS)
        config.vocab_size = 60
        return GPT2Model(config)
    if family == "llama":
        return LlamaModel(LlamaConfig(**{**shape, "num_attention_heads": 4}, num_key_value_heads=2))
    return DistilBertModel(
        DistilBertConfig(
            vocab_size=60,
            dim=width,
            n_layers=num_layers,
            n_heads=2,
            hidden_dim=32,
            max_position_embeddings=34,
        )
    )


@pytest.fixture
def tiny_model() -> Callable[..., PreTrainedModel]:
    """Return a function from a family to its model, always the same."""

    def model(family: str = "bert", num_layers: int = 2, width: int = 16) -> PreTrainedModel:
        return build(family, num_layers, width).eval()

    return model


@pytest.fixture
def states() -> Callable[[nn.Module], Tensor]:
    """Return a function from a model to its states of the real tokens of a text, others zero."""

    def read(model: nn.Module) -> Tensor:
        hidden = model(input_ids=TOKEN_IDS, attention_mask=MASK).last_hidden_state
        return hidden * MASK[..., None]

    return read


@pytest.fixture
def moved() -> Callable[[nn.Module], nn.Module]:
    """Return a function that moves the trained weights of a model away from their start."""

    def move(model: nn.Module) -> nn.Module:
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for weight in model.parameters():
                if weight.requires_grad:
                    weight += 0.2 * torch.randn(weight.shape, generator=generator)
        return model.eval()

    return move
