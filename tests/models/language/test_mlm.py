from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    ModernBertConfig,
    ModernBertForMaskedLM,
    MPNetConfig,
    MPNetForMaskedLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
)

from xrec_lightning.models.language.folder import save_model
from xrec_lightning.models.language.mlm import load_masked, masked_head

SMALL = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
TOKENS = torch.tensor([[2, 4, 6, 3]])


def test_a_new_head_is_the_identity_and_tied_to_the_embeddings(tiny_language: str) -> None:
    model = load_masked(tiny_language)
    assert torch.equal(model.cls.predictions.transform.dense.weight, torch.eye(16))
    decoder = model.cls.predictions.decoder.weight
    assert decoder.data_ptr() == model.get_input_embeddings().weight.data_ptr()


def test_a_saved_head_is_loaded_and_not_made_anew(tiny_language: str, tmp_path: Path) -> None:
    first = load_masked(tiny_language).eval()
    nn.init.normal_(first.cls.predictions.transform.dense.weight)
    save_model(tmp_path / "model", first, tiny_language)
    again = load_masked(str(tmp_path / "model")).eval()
    theirs = AutoModelForMaskedLM.from_pretrained(str(tmp_path / "model")).eval()
    expected = first(input_ids=TOKENS).logits
    torch.testing.assert_close(again(input_ids=TOKENS).logits, expected)
    torch.testing.assert_close(theirs(input_ids=TOKENS).logits, expected)


@pytest.mark.parametrize(
    "model",
    [
        RobertaForMaskedLM(RobertaConfig(**SMALL, intermediate_size=8)),
        MPNetForMaskedLM(MPNetConfig(**SMALL, intermediate_size=8)),
        DistilBertForMaskedLM(
            DistilBertConfig(vocab_size=20, dim=8, n_layers=1, n_heads=2, hidden_dim=8)
        ),
        ModernBertForMaskedLM(
            ModernBertConfig(**SMALL, intermediate_size=8, pad_token_id=0, reference_compile=False)
        ),
    ],
    ids=lambda model: type(model).__name__,
)
def test_heads_of_other_architectures_are_found(model: PreTrainedModel) -> None:
    model.eval()
    head = masked_head(model)
    hidden = model.base_model(input_ids=TOKENS).last_hidden_state
    torch.testing.assert_close(head.decoder(head.transform(hidden)), model(input_ids=TOKENS).logits)


def test_an_unknown_head_is_refused() -> None:
    config = GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2)
    with pytest.raises(ValueError, match="GPT2LMHeadModel: no known head"):
        masked_head(GPT2LMHeadModel(config))
