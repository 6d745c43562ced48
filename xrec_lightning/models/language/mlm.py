"""Masked language models: how they are loaded, and where their logits come from."""

from typing import NamedTuple, cast

import torch
from torch import nn
from transformers import AutoModelForMaskedLM, PreTrainedModel

from xrec_lightning.models.language.loading import load_pretrained


class Head(NamedTuple):
    """What makes logits of hidden states."""

    transform: nn.Module
    """From the states of the base model to what the decoder reads."""
    decoder: nn.Linear
    """Makes the logits."""


def load_masked(name: str) -> PreTrainedModel:
    """Return a masked language model, float32. A checkpoint without a head gets a new one.

    The new head starts as the identity before its decoder, which is tied to the word embeddings.

    Args:
        name: Folder, ``.gguf`` file, Hugging Face name, or ``package:NAME/…``.

    Raises:
        ValueError: If the head of the architecture is not known.
    """
    model, missing = load_pretrained(AutoModelForMaskedLM, name)
    head = masked_head(model)
    if missing:
        start_as_identity(head.transform)
    return model


def masked_head(model: PreTrainedModel) -> Head:
    """Return the head of a masked language model.

    Raises:
        ValueError: If the architecture keeps it elsewhere.
    """
    for names in (
        ("cls.predictions.transform",),  # BERT and its kin
        ("lm_head.dense", nn.GELU(), "lm_head.layer_norm"),  # RoBERTa, MPNet
        ("vocab_transform", "activation", "vocab_layer_norm"),  # DistilBERT
        ("head",),  # ModernBERT
    ):
        try:
            parts = [model.get_submodule(each) if isinstance(each, str) else each for each in names]
        except AttributeError:
            continue
        transform = parts[0] if len(parts) == 1 else nn.Sequential(*parts)
        return Head(transform, output_layer(model))
    raise ValueError(
        f"{type(model).__name__}: no known head for masked language modeling; choose a BERT, "
        "RoBERTa, MPNet, DistilBERT or ModernBERT model"
    )


def output_layer(model: PreTrainedModel) -> nn.Linear:
    """Return the last layer of a language model, which makes the logits."""
    return cast("nn.Linear", model.get_output_embeddings())  # type: ignore[no-untyped-call]  # not ours


@torch.no_grad()
def start_as_identity(head: nn.Module) -> None:
    """Make the square linear layers of a new head the identity."""
    for layer in head.modules():
        if isinstance(layer, nn.Linear) and layer.in_features == layer.out_features:
            nn.init.eye_(layer.weight)
