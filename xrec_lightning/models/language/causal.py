"""Causal language models: their states, and the logits of the token that follows a text."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
)

from xrec_lightning.batches import TextBatch
from xrec_lightning.models.language.loading import load_pretrained
from xrec_lightning.pretrained import locate_pretrained


def load_causal(name: str) -> PreTrainedModel:
    """Return the causal language model ``name``, its head included, float32.

    Args:
        name: Folder, ``.gguf`` file, Hugging Face name, or ``package:NAME/…``.

    Raises:
        ValueError: If the model reads in both directions, or has no trained head.
    """
    model, missing = load_pretrained(AutoModelForCausalLM, name)
    remedy = "choose a causal model such as GPT-2 or SmolLM2"
    is_decoder = getattr(model.config, "is_decoder", False)
    if type(model.config) in MODEL_FOR_MASKED_LM_MAPPING and not is_decoder:
        raise ValueError(f"{name}: {type(model).__name__} reads in both directions; {remedy}")
    if missing:
        raise ValueError(f"{name}: no weights for {', '.join(missing)}; {remedy}, with its head")
    return model


def answer_tokens(name: str, answers: Sequence[str]) -> list[int]:
    """Return the only token of each answer.

    Args:
        name: The model whose tokenizer counts.
        answers: As they follow a prompt, the space before each included where there is one.

    Raises:
        ValueError: If an answer has no token, or several.
    """
    place = locate_pretrained(name)
    tokenizer = AutoTokenizer.from_pretrained(place.name, **place.options)
    found = []
    for answer in answers:
        tokens = tokenizer(answer, add_special_tokens=False)["input_ids"]
        if len(tokens) != 1 or tokens[0] == tokenizer.unk_token_id:
            pieces = tokenizer.convert_ids_to_tokens(tokens)
            raise ValueError(
                f"the answer {answer!r} is {len(tokens)} tokens of {name}, {pieces}, where one "
                "known token is needed; choose another word, or write it with or without a space "
                "before it"
            )
        found.append(int(tokens[0]))
    return found


class CausalOutput(NamedTuple):
    """What a causal model makes of texts. B texts, L tokens, D width, V the vocabulary."""

    states: Tensor
    """The states that the head reads, shape ``(B, L, D)``."""
    logits: Tensor
    """Logits of the token that follows each text, shape ``(B, V)``."""


def read_texts(model: nn.Module, text: TextBatch) -> CausalOutput:
    """Return states of all tokens, and the logits after the last real one only.

    At every one of the L positions the head would cost more than a small model itself. A hook
    shows it that one, so that whatever an architecture does to its logits is done, and whatever a
    tuning method does to the forward pass.

    Args:
        model: What `load_causal` returned, or what tuning made of it.
        text: Right-padded, so that positions count from the first token as in training.
    """
    captured: list[Tensor] = []
    rows = torch.arange(len(text.token_ids), device=text.token_ids.device)
    last = (text.attention_mask.sum(dim=1) - 1).clamp(min=0)

    def show_last(_: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        # What comes before the texts' own states are those of virtual tokens.
        states = inputs[0][:, -text.token_ids.size(1) :]
        captured.append(states)
        return states[rows, last].unsqueeze(1)  # (B, 1, D)

    head: nn.Module = cast("Any", model).get_output_embeddings()
    handle = head.register_forward_pre_hook(show_last)
    try:
        output = model(
            input_ids=text.token_ids, attention_mask=text.attention_mask.long(), use_cache=False
        )
    finally:
        handle.remove()
    return CausalOutput(captured[0], output.logits[:, 0])
