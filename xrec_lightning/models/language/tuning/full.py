"""Tuning of the weights themselves."""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel
from typing_extensions import override

from xrec_lightning.models.language.tuning.base import TuningConfig, require_plain


@dataclass(frozen=True, kw_only=True)
class FullTuning(TuningConfig):
    """Train every weight."""

    freeze_embeddings: bool = True
    """Keep the token embeddings, the larger part of a small model, as they are."""

    @override
    def apply(self, model: PreTrainedModel) -> nn.Module:
        require_plain(model)
        model.requires_grad_(requires_grad=True)
        if self.freeze_embeddings:
            model.get_input_embeddings().requires_grad_(requires_grad=False)
        return model


torch.serialization.add_safe_globals([FullTuning])
