"""Trained virtual tokens in front of the text: prompt tuning and P-tuning.

They take up positions of the model. The hidden states that come back are those of the text only.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from peft import PromptEncoderConfig, PromptTuningConfig, PromptTuningInit
from torch import nn
from transformers import PreTrainedModel
from typing_extensions import override

from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.models.language.tuning.peft_models import add_peft


@dataclass(frozen=True, kw_only=True)
class PromptTuning(TuningConfig):
    """Train virtual tokens (Lester et al., 2021, arXiv:2104.08691)."""

    num_tokens: int = 16
    """Virtual tokens."""
    text: str | None = None
    """Text whose tokens' embeddings they start from; by default tokens drawn at random."""

    @override
    def apply(self, model: PreTrainedModel) -> nn.Module:
        init = PromptTuningInit.SAMPLE_VOCAB if self.text is None else PromptTuningInit.TEXT
        config = PromptTuningConfig(
            num_virtual_tokens=self.num_tokens,
            prompt_tuning_init=init,
            prompt_tuning_init_text=self.text,
            tokenizer_name_or_path=None if self.text is None else model.name_or_path,
        )
        return add_peft(model, config)


@dataclass(frozen=True, kw_only=True)
class PTuning(TuningConfig):
    """Train virtual tokens and a network that makes them (Liu et al., 2021, arXiv:2103.10385).

    The tokens are all in front of the text. The network is not saved, only what it made.
    """

    num_tokens: int = 16
    """Virtual tokens."""
    network: Literal["MLP", "LSTM"] = "MLP"
    """Kind of network."""
    hidden_dim: int = 128
    """Width of the network."""

    @override
    def apply(self, model: PreTrainedModel) -> nn.Module:
        config = PromptEncoderConfig(
            num_virtual_tokens=self.num_tokens,
            encoder_reparameterization_type=self.network,
            encoder_hidden_size=self.hidden_dim,
        )
        return add_peft(model, config)


torch.serialization.add_safe_globals([PromptTuning, PTuning])
