"""Reading, writing and merging of trained adapters."""

import copy
import warnings
from pathlib import Path
from typing import cast

from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel


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
