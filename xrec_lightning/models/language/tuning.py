"""How a language model is tuned: all weights, or an adapter beside frozen ones."""

import copy
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from torch import nn
from transformers import PreTrainedModel
from typing_extensions import override


@dataclass(frozen=True, kw_only=True)
class TuningConfig(ABC):
    """Which weights of a language model are trained."""

    @abstractmethod
    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Return the model with the trained weights requiring gradients and the others not."""


@dataclass(frozen=True, kw_only=True)
class FullTuning(TuningConfig):
    """Train every weight."""

    freeze_embeddings: bool = True
    """Keep the token embeddings, the larger part of a small model, as they are."""

    @override
    def apply(self, model: PreTrainedModel) -> nn.Module:
        model.requires_grad_(requires_grad=True)
        if self.freeze_embeddings:
            model.get_input_embeddings().requires_grad_(requires_grad=False)
        return model


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


torch.serialization.add_safe_globals([FullTuning, LoraTuning])


def load_adapter(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Return the model with the adapter in ``folder`` merged into its weights.

    Raises:
        FileNotFoundError: If there is no adapter.
    """
    if not (folder / "adapter_config.json").is_file():
        raise FileNotFoundError(
            f"{folder}: no adapter here (adapter_config.json is missing); "
            "name the `adapter` folder of a fine-tuning run"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        return PeftModel.from_pretrained(model, str(folder)).merge_and_unload()


def merge_adapter(model: nn.Module) -> PreTrainedModel:
    """Return a plain model that computes what the tuned one does; the tuned one stays as it is."""
    if isinstance(model, PeftModel):
        return copy.deepcopy(model).merge_and_unload()
    return cast("PreTrainedModel", model)


def has_adapter(model: nn.Module) -> bool:
    """Return whether an adapter, and not the model itself, is trained."""
    return isinstance(model, PeftModel)


def save_adapter(model: nn.Module, folder: Path) -> None:
    """Write the trained adapter in PEFT's format; a model without one is a bug of the caller."""
    cast("PeftModel", model).save_pretrained(str(folder))
