from collections.abc import Callable

import pytest
import torch
from torch import nn
from transformers import AlbertConfig, AlbertModel, GPT2Config, GPT2LMHeadModel, PreTrainedModel

from xrec_lightning.models.language.tuning.targets import (
    check_targets,
    find_attentions,
    find_linear,
    find_norms,
    has_transposed,
    matched,
    shorten,
)

Model = Callable[..., PreTrainedModel]
ENDS = {"bos_token_id": 0, "eos_token_id": 1}

FOUND = {
    "bert": (
        "encoder.layer.1.attention.self",
        ("query", "key", "value"),
        ("key", "value"),
        "encoder.layer.1.attention.output.dense",
        "encoder.layer.1.output.dense",
    ),
    "roberta": (
        "encoder.layer.1.attention.self",
        ("query", "key", "value"),
        ("key", "value"),
        "encoder.layer.1.attention.output.dense",
        "encoder.layer.1.output.dense",
    ),
    "distilbert": (
        "transformer.layer.1.attention",
        ("q_lin", "k_lin", "v_lin"),
        ("k_lin", "v_lin"),
        "transformer.layer.1.attention.out_lin",
        "transformer.layer.1.ffn.lin2",
    ),
    "gpt2": ("h.1.attn", ("c_attn",), ("c_attn",), "h.1.attn.c_proj", "h.1.mlp.c_proj"),
    "llama": (
        "layers.1.self_attn",
        ("q_proj", "k_proj", "v_proj"),
        ("k_proj", "v_proj"),
        "layers.1.self_attn.o_proj",
        "layers.1.mlp.down_proj",
    ),
}


@pytest.mark.parametrize("family", FOUND)
def test_layers_are_found_by_what_they_do(family: str, tiny_model: Model) -> None:
    module, inputs, keys_values, output, feed_forward = FOUND[family]
    first, second = find_attentions(tiny_model(family))
    assert first.module == module.replace("1", "0")
    assert second.module == module
    assert second.inputs == tuple(f"{module}.{name}" for name in inputs)
    assert second.keys_values == tuple(f"{module}.{name}" for name in keys_values)
    assert second.output == output
    assert second.feed_forward_output == feed_forward
    assert (second.num_heads, second.head_dim) == ((2, 4) if family == "llama" else (2, 8))


def test_a_head_is_no_part_of_the_last_feed_forward_network() -> None:
    config = GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=60, **ENDS)
    *_, last = find_attentions(GPT2LMHeadModel(config))
    assert last.feed_forward_output == "transformer.h.1.mlp.c_proj"


def test_a_layer_that_is_used_twice_is_found_once() -> None:
    config = AlbertConfig(
        vocab_size=60, embedding_size=8, hidden_size=16, num_hidden_layers=3, num_attention_heads=2
    )
    config.intermediate_size = 32
    (only,) = find_attentions(AlbertModel(config))
    ends = [name.rpartition(".")[2] for name in (*only.inputs, *only.outputs)]
    assert ends == ["query", "key", "value", "dense", "ffn", "ffn_output"]


def test_a_model_without_attention_is_refused(tiny_model: Model) -> None:
    with pytest.raises(ValueError, match="BertModel: found no attention"):
        find_attentions(tiny_model(num_layers=0))


def test_looking_leaves_the_model_as_it_was(tiny_model: Model) -> None:
    model = tiny_model().train()
    model.embeddings.eval()
    state = torch.get_rng_state()
    find_attentions(model)
    assert model.training
    assert not model.embeddings.training
    assert model.config._attn_implementation == "sdpa"
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)


def test_all_linear_layers_are_those_without_the_head_of_the_vocabulary(tiny_model: Model) -> None:
    assert find_linear(tiny_model("bert")) == ["query", "key", "value", "dense"]
    assert find_linear(tiny_model("gpt2")) == ["c_attn", "c_proj", "c_fc"]
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=60, **ENDS)
    assert find_linear(GPT2LMHeadModel(config)) == ["c_attn", "c_proj", "c_fc"]


def test_norms_are_found_by_their_kind(tiny_model: Model) -> None:
    assert len(find_norms(tiny_model("bert"))) == 1 + 2 * 2
    assert shorten(find_norms(tiny_model("gpt2")), tiny_model("gpt2")) == ["ln_1", "ln_2", "ln_f"]
    llama = tiny_model("llama")
    names = ["input_layernorm", "post_attention_layernorm", "norm"]
    assert shorten(find_norms(llama), llama) == names


def test_short_names_match_the_same_modules_and_no_others(tiny_model: Model) -> None:
    model = tiny_model("gpt2")
    names = ["h.0.mlp.c_proj", "h.1.mlp.c_proj"]
    assert shorten(names, model) == ["mlp.c_proj"]
    assert shorten(names[:1], model) == ["0.mlp.c_proj"]
    assert matched(model, ["mlp.c_proj"]) == names


def test_a_target_is_a_last_part_or_an_expression(tiny_model: Model) -> None:
    model = tiny_model()
    assert len(matched(model, ["query"])) == 2
    assert matched(model, ["tion.self.query"]) == []
    assert len(matched(model, r".*\.0\..*\.(query|key)")) == 2
    assert len(matched(model, "all-linear")) == 12


def test_a_target_that_matches_nothing_is_refused_with_the_nearest(tiny_model: Model) -> None:
    with pytest.raises(ValueError, match=r"model\.lora: 'qurey' matches no module .* query"):
        check_targets(tiny_model(), ["key", "qurey"], "model.lora")
    with pytest.raises(ValueError, match=r"'.*c_atn' matches no module of GPT2Model.*c_attn"):
        check_targets(tiny_model("gpt2"), ".*c_atn", "model.lora")
    with pytest.raises(ValueError, match="are none"):
        check_targets(nn.Embedding(1, 1), ["x"], "model.lora")


def test_transposed_layers_are_those_of_gpt2(tiny_model: Model) -> None:
    assert has_transposed(tiny_model("gpt2"), "all-linear")
    assert not has_transposed(tiny_model("gpt2"), ["ln_1"])
    assert not has_transposed(tiny_model("bert"), "all-linear")
