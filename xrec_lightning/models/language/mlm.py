"""A masked language model whose logits are computed at the masked positions only."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM, PreTrainedModel
from transformers.utils.logging import disable_progress_bar
from typing_extensions import override

from xrec_lightning.batches import MaskedTextBatch
from xrec_lightning.pretrained import resolve_pretrained


class MaskedPredictions(NamedTuple):
    """Predictions of hidden tokens. M masked positions, V tokens."""

    logits: Tensor
    """Shape ``(M, V)``."""
    labels: Tensor
    """The hidden tokens, shape ``(M,)``."""
    domain_ids: Tensor
    """Domain of the text of each position, shape ``(M,)``."""


class MaskedLanguageModel(nn.Module):
    """Predict hidden tokens. A checkpoint without a head gets a new one.

    The new head starts as the identity before its decoder, which is tied to the word embeddings.

    Args:
        name: Folder, Hugging Face name, or ``package:NAME/FOLDER``.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        disable_progress_bar()  # type: ignore[no-untyped-call]  # not ours
        loaded = AutoModelForMaskedLM.from_pretrained(
            resolve_pretrained(name), dtype="float32", output_loading_info=True
        )
        self.model: PreTrainedModel = loaded[0].train()
        self.head = masked_head(self.model)
        if loaded[1]["missing_keys"]:
            start_as_identity(self.head)

    @override
    def forward(self, batch: MaskedTextBatch) -> MaskedPredictions:
        """Return the predictions at the positions that have a label."""
        is_label = batch.labels >= 0
        mask = batch.attention_mask.long()
        output = self.model.base_model(input_ids=batch.token_ids, attention_mask=mask)
        logits = self.head(output.last_hidden_state[is_label])
        domain_ids = batch.domain_ids[:, None].expand_as(batch.labels)[is_label]
        return MaskedPredictions(logits, batch.labels[is_label], domain_ids)


def masked_head(model: PreTrainedModel) -> nn.Module:
    """Return the part of a masked language model that makes logits of hidden states.

    Raises:
        ValueError: If the architecture keeps it elsewhere.
    """
    for names in (
        ("cls",),  # BERT and its kin
        ("lm_head",),  # RoBERTa, MPNet
        ("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector"),  # DistilBERT
        ("head", "decoder"),  # ModernBERT
    ):
        if all(hasattr(model, name) for name in names):
            parts = [getattr(model, name) for name in names]
            return parts[0] if len(parts) == 1 else nn.Sequential(*parts)
    raise ValueError(
        f"{type(model).__name__}: no known head for masked language modeling; choose a BERT, "
        "RoBERTa, MPNet, DistilBERT or ModernBERT model"
    )


@torch.no_grad()
def start_as_identity(head: nn.Module) -> None:
    """Make the square linear layers of a new head the identity."""
    for layer in head.modules():
        if isinstance(layer, nn.Linear) and layer.in_features == layer.out_features:
            nn.init.eye_(layer.weight)
