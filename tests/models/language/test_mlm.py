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
    RobertaConfig,
    RobertaForMaskedLM,
)

from xrec_lightning.batches import MaskedTextBatch
from xrec_lightning.models.language.folder import save_model
from xrec_lightning.models.language.mlm import MaskedLanguageModel, masked_head

BATCH = MaskedTextBatch(
    token_ids=torch.tensor([[2, 4, 6, 3], [2, 7, 3, 0]]),
    attention_mask=torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]).bool(),
    labels=torch.tensor([[-100, 5, 6, -100], [-100, 7, -100, -100]]),
    domain_ids=torch.tensor([2, 1]),
)


def test_logits_equal_those_of_the_whole_model_at_masked_positions(tiny_language: str) -> None:
    ours = MaskedLanguageModel(tiny_language).eval()
    predictions = ours(BATCH)
    full = ours.model(input_ids=BATCH.token_ids, attention_mask=BATCH.attention_mask.long()).logits
    torch.testing.assert_close(predictions.logits, full[BATCH.labels >= 0], atol=1e-5, rtol=0)
    assert predictions.labels.tolist() == [5, 6, 7]
    assert predictions.domain_ids.tolist() == [2, 2, 1]


def test_a_new_head_is_the_identity_and_tied_to_the_embeddings(tiny_language: str) -> None:
    model = MaskedLanguageModel(tiny_language).model
    assert torch.equal(model.cls.predictions.transform.dense.weight, torch.eye(16))
    decoder = model.cls.predictions.decoder.weight
    assert decoder.data_ptr() == model.get_input_embeddings().weight.data_ptr()


def test_a_saved_head_is_loaded_and_not_made_anew(tiny_language: str, tmp_path: Path) -> None:
    first = MaskedLanguageModel(tiny_language).eval()
    nn.init.normal_(first.model.cls.predictions.transform.dense.weight)
    save_model(tmp_path / "model", first.model, tiny_language)
    again = MaskedLanguageModel(str(tmp_path / "model")).eval()
    torch.testing.assert_close(again(BATCH).logits, first(BATCH).logits)
    theirs = AutoModelForMaskedLM.from_pretrained(str(tmp_path / "model")).eval()
    full = theirs(input_ids=BATCH.token_ids, attention_mask=BATCH.attention_mask.long()).logits
    torch.testing.assert_close(full[BATCH.labels >= 0], first(BATCH).logits)


def test_heads_of_other_architectures_are_found() -> None:
    small = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    roberta = RobertaForMaskedLM(RobertaConfig(**small, intermediate_size=8))
    distil = DistilBertForMaskedLM(
        DistilBertConfig(vocab_size=20, dim=8, n_layers=1, n_heads=2, hidden_dim=8)
    )
    ids = torch.tensor([[2, 4, 6, 3]])
    for model in (roberta.eval(), distil.eval()):
        hidden = model.base_model(input_ids=ids).last_hidden_state
        torch.testing.assert_close(masked_head(model)(hidden), model(input_ids=ids).logits)


def test_an_unknown_head_is_refused() -> None:
    config = GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2)
    model = GPT2LMHeadModel(config).base_model
    with pytest.raises(ValueError, match="GPT2Model"):
        masked_head(model)
