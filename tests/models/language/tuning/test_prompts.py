from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from xrec_lightning.models.language.tuning.adapters import load_adapter, save_adapter
from xrec_lightning.models.language.tuning.prompts import PromptTuning, PTuning

Model = Callable[..., PreTrainedModel]


def test_a_prompt_starts_from_embeddings_of_the_vocabulary(tiny_model: Model) -> None:
    model = tiny_model()
    table = model.get_input_embeddings().weight.detach()
    prompt = (
        PromptTuning(num_tokens=3)
        .apply(model)
        .get_parameter("prompt_encoder.default.embedding.weight")
    )
    for row in prompt:
        assert (row == table).all(dim=1).any()


def test_a_prompt_can_start_from_a_text(tiny_language: str, tmp_path: Path) -> None:
    model = AutoModel.from_pretrained(tiny_language)
    ids = AutoTokenizer.from_pretrained(tiny_language)("green tea")["input_ids"]
    tuned = PromptTuning(num_tokens=4, text="green tea").apply(model)
    prompt = tuned.get_parameter("prompt_encoder.default.embedding.weight")
    assert torch.equal(prompt, model.get_input_embeddings().weight[torch.tensor(ids)])
    save_adapter(tuned, tmp_path)
    load_adapter(AutoModel.from_pretrained(tiny_language), tmp_path)


def test_the_network_of_p_tuning_is_trained_and_not_saved(
    tiny_model: Model, tmp_path: Path
) -> None:
    for network in ("MLP", "LSTM"):
        tuned = PTuning(num_tokens=3, hidden_dim=64, network=network).apply(tiny_model())
        trained = sum(weight.numel() for weight in tuned.parameters() if weight.requires_grad)
        assert trained > 1000
        save_adapter(tuned, tmp_path)
        assert (tmp_path / "adapter_model.safetensors").stat().st_size < 3 * 16 * 4 + 200


@pytest.mark.parametrize(("family", "limit"), [("bert", 34), ("roberta", 32), ("gpt2", 34)])
def test_a_text_that_leaves_no_room_for_the_prompt_is_refused(
    family: str, limit: int, tiny_model: Model
) -> None:
    model = tiny_model(family)
    model.config.pad_token_id = 1
    tuned = PromptTuning(num_tokens=5).apply(model).eval()
    token_ids = torch.full((1, limit - 5), 7)
    assert tuned(input_ids=token_ids).last_hidden_state.shape == (1, limit - 5, 16)
    longer = torch.full((1, limit - 4), 7)
    with pytest.raises(ValueError, match=f"set max_tokens of the data to at most {limit - 5}"):
        tuned(input_ids=longer)
