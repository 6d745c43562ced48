"""Low-rank updates beside frozen weights: LoRA, DoRA, rsLoRA."""

from dataclasses import dataclass

import torch
from peft import LoraConfig
from torch import nn
from transformers import PreTrainedModel
from typing_extensions import override

from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.models.language.tuning.peft_models import add_peft
from xrec_lightning.models.language.tuning.targets import find_linear


@dataclass(frozen=True, kw_only=True)
class LoraTuning(TuningConfig):
    """Train low-rank updates of linear layers (Hu et al., 2021, arXiv:2106.09685)."""

    rank: int = 16
    """Rank of the updates."""
    alpha: int = 32
    """Updates are scaled by ``alpha / rank``."""
    dropout: float = 0.0
    """Share of the updates' inputs that are dropped in training."""
    dora: bool = False
    """Train lengths and directions of weights apart (DoRA, Liu et al., 2024, arXiv:2402.09353)."""
    rslora: bool = False
    """Scale by ``alpha / sqrt(rank)`` instead (rsLoRA, Kalajdzievski, 2023, arXiv:2312.03732)."""
    target_modules: list[str] | None = None
    """Last parts of the names of the layers; by default every linear layer, whatever its name."""

    @override
    def apply(self, model: PreTrainedModel) -> nn.Module:
        config = LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            use_dora=self.dora,
            use_rslora=self.rslora,
            target_modules=self.target_modules or find_linear(model),
        )
        return add_peft(model, config)


torch.serialization.add_safe_globals([LoraTuning])
