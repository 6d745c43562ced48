"""Low-rank updates beside frozen weights."""

import warnings
from dataclasses import dataclass

import torch
from peft import LoraConfig, TaskType, get_peft_model
from torch import nn
from transformers import PreTrainedModel
from typing_extensions import override

from xrec_lightning.models.language.tuning.base import TuningConfig


@dataclass(frozen=True, kw_only=True)
class LoraTuning(TuningConfig):
    """Train low-rank updates of every linear layer (Hu et al., 2021, arXiv:2106.09685)."""

    rank: int = 16
    """Rank of the updates."""
    alpha: int = 32
    """Updates are scaled by ``alpha / rank``."""
    dropout: float = 0.0
    """Share of the updates' inputs that are dropped in training."""

    @override
    def apply(self, model: PreTrainedModel) -> nn.Module:
        # "all-linear" finds the layers by their type, so no architecture needs a list of names.
        config = LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules="all-linear",
            task_type=TaskType.FEATURE_EXTRACTION,
        )
        with warnings.catch_warnings():
            # peft 0.21 still asks by the old name of a property that transformers 5 renamed.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            return get_peft_model(model, config)


torch.serialization.add_safe_globals([LoraTuning])
