"""Reading, writing and merging of trained adapters."""

import copy
import json
from pathlib import Path
from typing import Any, cast

from peft import PeftModel
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedModel

from xrec_lightning.models.language.tuning.adapted import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    AdaptedModel,
    OwnTuning,
    class_path,
)
from xrec_lightning.models.language.tuning.bottleneck import BottleneckTuning
from xrec_lightning.models.language.tuning.peft_models import (
    can_merge_peft,
    load_peft,
    quiet_peft,
)
from xrec_lightning.models.language.tuning.prefix import PrefixTuning

OWN: tuple[type[OwnTuning], ...] = (BottleneckTuning, PrefixTuning)
"""The only classes that the folder of an adapter can name."""
BROKEN = (ValueError, TypeError, KeyError, RuntimeError, AttributeError, OSError, SafetensorError)
"""What a broken or foreign folder makes the readers raise."""


def load_adapter(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Return the model with the adapter in ``folder``, merged into its weights if it can be.

    If not (prefix, prompt, P-tuning, bottlenecks) the adapter stays beside the frozen weights, in a
    module that is called as the model and has its attributes. Only tensors and plain values are
    read.

    Args:
        model: The base model, which becomes part of the returned one.
        folder: What `save_adapter`, or `save_pretrained` of a `peft` model, wrote.

    Raises:
        FileNotFoundError: If there is no adapter.
        ValueError: If the adapter is broken or was trained on a model of another shape.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder}: no adapter here ({name} is missing); "
                "name the `adapter` folder of a fine-tuning run"
            )
    try:
        tuned = _load(model, folder)
    except BROKEN as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{folder}: this adapter does not fit {type(model).__name__} of {model.name_or_path}: "
            f"{reason}; name the model it was trained on, or export the adapter again"
        ) from error
    if not can_merge(tuned):
        return cast("PreTrainedModel", tuned)
    return _merge(tuned).requires_grad_(requires_grad=True)


def save_adapter(model: nn.Module, folder: Path) -> None:
    """Write the trained adapter; a model without one is a bug of the caller.

    The methods of `peft` are written in its format, which it loads; ours likewise, as
    ``adapter_config.json`` and ``adapter_model.safetensors``.
    """
    if isinstance(model, AdaptedModel):
        model.save_adapter(folder)
    else:
        with quiet_peft():
            tuned = cast("PeftModel", model)
            tuned.save_pretrained(str(folder), save_embedding_layers=False)


def merge_adapter(model: nn.Module) -> PreTrainedModel:
    """Return a plain model that computes what the tuned one does; the tuned one stays as it is.

    Raises:
        ValueError: If the adapter cannot be merged; see `can_merge`.
    """
    if not can_merge(model):
        raise ValueError(
            "this adapter cannot become part of the model's weights; keep the adapter folder and "
            "name it as tower.adapter beside the base model"
        )
    return _merge(copy.deepcopy(model)) if has_adapter(model) else cast("PreTrainedModel", model)


def has_adapter(model: nn.Module) -> bool:
    """Return whether an adapter, and not the model itself, is trained."""
    return isinstance(model, PeftModel | AdaptedModel)


def can_merge(model: nn.Module) -> bool:
    """Return whether a plain model can compute what this one does; one without adapter can."""
    if isinstance(model, PeftModel):
        return can_merge_peft(model)
    return not isinstance(model, AdaptedModel)


def _load(model: PreTrainedModel, folder: Path) -> nn.Module:
    config: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    if "peft_type" in config:
        return load_peft(model, folder)
    own = {class_path(tuning): tuning for tuning in OWN}
    if config.get("class_path") not in own:
        raise ValueError(f"{CONFIG_FILE} names no method that is known")
    tuned = own[config["class_path"]](**config["init_args"]).apply(model)
    cast("AdaptedModel", tuned).load_adapter(folder)
    return tuned


def _merge(model: nn.Module) -> PreTrainedModel:
    with quiet_peft():
        return cast("PeftModel", model).merge_and_unload()
