import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    PreTrainedModel,
)

from xrec_lightning.batches import TextSource, TokenBatch
from xrec_lightning.models.language.scratch import NewModelConfig
from xrec_lightning.models.language.token_model import (
    TokenModel,
    build_token_model,
    token_domains,
)

MASKED = TokenBatch(
    token_ids=torch.tensor([[2, 4, 6, 3], [2, 7, 3, 0]]),
    attention_mask=torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]).bool(),
    labels=torch.tensor([[-100, 5, 6, -100], [-100, 7, -100, -100]]),
    domain_ids=torch.tensor([2, 1]),
    text_ids=torch.tensor([0, 1]),
)
CAUSAL = MASKED._replace(labels=torch.tensor([[4, 6, 3, -100], [7, 3, -100, -100]]))
PACKED = TokenBatch(
    token_ids=torch.tensor([[2, 4, 6, 3, 2, 7, 3]]),
    attention_mask=torch.ones(1, 7, dtype=torch.bool),
    labels=torch.tensor([[-100, 5, 6, -100, -100, 7, -100]]),
    domain_ids=torch.tensor([2, 1]),
    text_ids=torch.tensor([0, 1]),
    segments=torch.tensor([[0, 0, 0, 0, 1, 1, 1]]),
)


def masked(name: str) -> TokenModel:
    return build_token_model(name, TextSource(name, 16, "mlm")).eval()


def causal(name: str) -> TokenModel:
    return build_token_model(name, TextSource(name, 16, "clm")).eval()


def full_losses(model: PreTrainedModel, batch: TokenBatch) -> Tensor:
    """Return the losses of the whole model at predicted positions."""
    mask = batch.attention_mask.long()
    logits = model(input_ids=batch.token_ids, attention_mask=mask).logits
    chosen = batch.labels >= 0
    return functional.cross_entropy(logits[chosen], batch.labels[chosen], reduction="none")


def test_losses_equal_those_of_the_whole_masked_model(tiny_language: str) -> None:
    ours = masked(tiny_language)
    predictions = ours(MASKED)
    expected = full_losses(ours.model, MASKED).detach()
    torch.testing.assert_close(predictions.losses, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.loss(ours.states(MASKED), MASKED), expected.mean())
    assert predictions.domain_ids.tolist() == [2, 2, 1]


def test_losses_equal_those_of_the_whole_causal_model(tiny_causal: str) -> None:
    ours = causal(tiny_causal)
    expected = full_losses(ours.model, CAUSAL).detach()
    torch.testing.assert_close(ours(CAUSAL).losses, expected, atol=1e-5, rtol=0)
    labels = CAUSAL.token_ids.masked_fill(~CAUSAL.attention_mask, -100)
    mask = CAUSAL.attention_mask.long()
    theirs = ours.model(input_ids=CAUSAL.token_ids, attention_mask=mask, labels=labels).loss
    torch.testing.assert_close(ours.loss(ours.states(CAUSAL), CAUSAL), theirs)


def test_blocks_of_texts_have_the_losses_of_rows(tiny_language: str) -> None:
    ours = masked(tiny_language)
    rows, block = ours(MASKED), ours(PACKED)
    torch.testing.assert_close(block.losses, rows.losses, atol=1e-5, rtol=0)
    assert torch.equal(block.domain_ids, rows.domain_ids)


def test_domains_of_padding_are_never_asked_for() -> None:
    padded = PACKED._replace(segments=torch.tensor([[0, 0, 0, 0, 1, 1, -1]]))
    assert token_domains(padded)[0, :6].tolist() == [2, 2, 2, 2, 1, 1]
    assert token_domains(MASKED).tolist() == [[2] * 4, [1] * 4]


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_gradients_equal_those_of_the_whole_model(
    kind: str, tiny_language: str, tiny_causal: str
) -> None:
    ours, batch = (
        (masked(tiny_language), MASKED) if kind == "masked" else (causal(tiny_causal), CAUSAL)
    )
    ours.loss(ours.states(batch), batch).backward()
    found = {name: weight.grad for name, weight in ours.model.named_parameters()}
    assert ours.model.get_input_embeddings().sparse  # both are tied
    ours.model.zero_grad()
    ours.model.get_input_embeddings().sparse = False
    full_losses(ours.model, batch).mean().backward()
    for name, weight in ours.model.named_parameters():
        if weight.grad is not None and weight.grad.abs().sum() > 0:
            gradient = found[name]
            assert gradient is not None
            assert not gradient.is_sparse
            torch.testing.assert_close(gradient, weight.grad, msg=name, atol=1e-6, rtol=1e-4)


def test_a_decoder_of_its_own_keeps_embedding_gradients_dense(tiny_causal: str) -> None:
    new = NewModelConfig(config={"model_type": "llama", **SIZES, "tie_word_embeddings": False})
    ours = build_token_model(new, TextSource(tiny_causal, 16, "clm"))
    ours.loss(ours.states(CAUSAL), CAUSAL).backward()
    gradient = ours.model.get_input_embeddings().weight.grad
    assert gradient is not None
    assert not gradient.is_sparse


SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 16,
}


def test_the_weights_are_those_of_the_model_alone(tiny_language: str) -> None:
    ours = masked(tiny_language)
    assert {name.partition(".")[0] for name in ours.state_dict()} == {"model"}
    assert isinstance(ours.head.decoder, nn.Linear)


def test_a_folder_without_weights_is_refused(tiny_language: str, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(tiny_language, folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="bare: a model folder without weights"):
        build_token_model(str(folder), TextSource(tiny_language, 16, "mlm"))


def test_a_tokenizer_of_more_tokens_than_embeddings_is_refused(
    tiny_language: str, tiny_causal: str
) -> None:
    with pytest.raises(
        ValueError,
        match=r"tokenizer of .*llama has \d+ tokens, but .*bert has \d+ embeddings; name",
    ):
        build_token_model(tiny_language, TextSource(tiny_causal, 16, "mlm"))


def test_texts_longer_than_the_positions_are_refused(tiny_language: str) -> None:
    with pytest.raises(ValueError, match="max_tokens: 65 is more than the 64 positions of"):
        build_token_model(tiny_language, TextSource(tiny_language, 65, "mlm"))


def test_an_encoder_cannot_predict_the_next_token(tiny_language: str) -> None:
    with pytest.raises(ValueError, match="BertLMHeadModel reads in both directions"):
        build_token_model(tiny_language, TextSource(tiny_language, 16, "clm"))


def test_logits_that_are_capped_are_refused() -> None:
    config = Gemma2Config(
        vocab_size=30, **SIZES, head_dim=8, final_logit_softcapping=0.01, initializer_range=1.0
    )
    with pytest.raises(ValueError, match="Gemma2ForCausalLM: its logits are more than a linear"):
        TokenModel(Gemma2ForCausalLM(config), causal=True)


def test_saved_models_are_those_of_the_library(
    tiny_language: str, tiny_causal: str, tmp_path: Path
) -> None:
    for ours, loader in (
        (masked(tiny_language), AutoModelForMaskedLM),
        (causal(tiny_causal), AutoModelForCausalLM),
    ):
        ours.model.save_pretrained(str(tmp_path))
        theirs = loader.from_pretrained(str(tmp_path)).eval()
        expected = ours.model(input_ids=MASKED.token_ids).logits
        torch.testing.assert_close(theirs(input_ids=MASKED.token_ids).logits, expected)
