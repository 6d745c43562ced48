from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from xrec_lightning.models.language.scratch import NewModelConfig

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_the_vocabulary_is_that_of_the_tokenizer(tiny_language: str, model_type: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_language)
    model = NewModelConfig(config={"model_type": model_type, **SIZES}).build(tokenizer, "mlm")
    assert model.get_input_embeddings().num_embeddings == len(tokenizer)
    assert model.config.hidden_size == 16
    assert model.config.pad_token_id == tokenizer.pad_token_id
    assert model.dtype == torch.float32
    assert model.training


def test_a_causal_model_knows_the_end(tiny_causal: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_causal)
    new = NewModelConfig(config={"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 2})
    model = new.build(tokenizer, "clm")
    assert model.config.eos_token_id == tokenizer.eos_token_id
    assert type(model).__name__ == "GPT2LMHeadModel"


def test_a_folder_gives_the_config_and_no_weights(tiny_language: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_language)
    torch.manual_seed(1)
    model = NewModelConfig(config=tiny_language).build(tokenizer, "mlm")
    assert model.config.num_hidden_layers == 2
    torch.manual_seed(2)
    other = NewModelConfig(config=tiny_language).build(tokenizer, "mlm")
    weights = [each.get_input_embeddings().weight for each in (model, other)]
    assert not torch.equal(*weights)


@pytest.mark.parametrize(
    ("config", "objective", "message"),
    [
        ({"model_type": "brt"}, "mlm", r"model_type: brt is not known; did you mean `bert`\?"),
        ({"hidden_size": 8}, "mlm", "model_type: None is not known; such as bert"),
        (
            {"model_type": "bert", "hiden_size": 8},
            "mlm",
            r"model\.config\.hiden_size: bert has no such key; did you mean `hidden_size`\?",
        ),
        ({"model_type": "gpt2"}, "mlm", "gpt2 has no masked language model; choose bert"),
        ({"model_type": "bert"}, "clm", "bert has no causal language model; choose gpt2"),
    ],
)
def test_configs_that_cannot_be_are_refused(
    tiny_language: str, config: dict[str, Any], objective: Any, message: str
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_language)
    with pytest.raises(ValueError, match=message):
        NewModelConfig(config=config).build(tokenizer, objective)


def test_a_folder_without_a_config_is_refused(tiny_language: str, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_language)
    with pytest.raises(ValueError, match=r"no config\.json"):
        NewModelConfig(config=str(tmp_path)).build(tokenizer, "mlm")
