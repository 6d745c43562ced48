import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, PromptTuningConfig
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from xrec_lightning.models.language.tuning.peft_models import (
    adapter_weights,
    add_peft,
    can_merge_peft,
    load_peft,
    quiet_peft,
)

Model = Callable[..., PreTrainedModel]


def test_an_adapter_is_added_once(tiny_model: Model) -> None:
    tuned = add_peft(tiny_model(), LoraConfig(r=2, target_modules=["query"]))
    assert can_merge_peft(tuned)
    assert len(adapter_weights(tuned)) == 2 * 2
    with pytest.raises(ValueError, match="cannot be tuned"):
        add_peft(tuned, LoraConfig(r=2, target_modules=["query"]))


def test_a_loaded_adapter_keeps_the_mode_of_the_model(tiny_model: Model, tmp_path: Path) -> None:
    tuned = add_peft(tiny_model(), LoraConfig(r=2, target_modules=["query"]))
    tuned.save_pretrained(str(tmp_path), save_embedding_layers=False)
    assert load_peft(tiny_model().train(), tmp_path).training
    assert not load_peft(tiny_model().eval(), tmp_path).training


def test_peft_itself_loads_what_is_saved(tiny_model: Model, tmp_path: Path) -> None:
    tuned = add_peft(tiny_model(), LoraConfig(r=2, target_modules=["query"]))
    tuned.save_pretrained(str(tmp_path), save_embedding_layers=False)
    with quiet_peft():
        theirs = PeftModel.from_pretrained(tiny_model(), str(tmp_path))
    for name, weight in adapter_weights(theirs).items():
        assert torch.equal(weight, adapter_weights(tuned)[name])


def test_logits_are_those_of_the_real_tokens_too() -> None:
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=60, bos_token_id=0)
    config.eos_token_id = 1
    tuned = add_peft(GPT2LMHeadModel(config), PromptTuningConfig(num_virtual_tokens=3))
    assert tuned(input_ids=torch.tensor([[5, 6]])).logits.shape == (1, 2, 60)


def test_other_warnings_are_still_heard() -> None:
    with pytest.warns(UserWarning, match="heard"), quiet_peft():
        warnings.warn("heard", stacklevel=1)
