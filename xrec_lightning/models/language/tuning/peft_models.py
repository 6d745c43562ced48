"""Putting the methods of `peft` into a model, and loading what they learned."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from peft import PeftConfig, PeftModel, TaskType, get_peft_model, get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import safe_open
from torch import Tensor
from transformers import PreTrainedModel

from xrec_lightning.models.language.limits import text_limits
from xrec_lightning.models.language.tuning.adapted import WEIGHTS_FILE
from xrec_lightning.models.language.tuning.base import require_plain
from xrec_lightning.models.language.tuning.targets import check_targets, has_transposed

WITH_TOKENS = ("last_hidden_state", "logits")


def add_peft(model: PreTrainedModel, config: PeftConfig) -> PeftModel:
    """Return the model with a new adapter; its own weights are frozen.

    Raises:
        ValueError: If the model has an adapter already, or a target module matches nothing.
    """
    require_plain(model)
    targets = getattr(config, "target_modules", None)
    if targets and targets != "all-linear":
        names = targets if isinstance(targets, str) else sorted(targets)
        check_targets(model, names, "tuning.init_args.target_modules")
    if targets and hasattr(config, "fan_in_fan_out"):
        config.fan_in_fan_out = has_transposed(model, targets)
    if config.is_prompt_learning:
        _tell_shape(config, model)
    config.task_type = TaskType.FEATURE_EXTRACTION
    with quiet_peft():
        return hide_virtual_tokens(get_peft_model(model, config))


def load_peft(model: PreTrainedModel, folder: Path) -> PeftModel:
    """Return the model with the adapter in a folder, frozen.

    Raises:
        ValueError: If the adapter's weights are not those of its method on this model.
    """
    training = model.training
    with quiet_peft():
        tuned = PeftModel.from_pretrained(model, str(folder))
        weights = adapter_weights(tuned)
    with safe_open(folder / WEIGHTS_FILE, framework="pt") as file:
        saved = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - is no dict
    width = getattr(tuned.active_peft_config, "token_dim", None)  # of virtual tokens
    same_width = width is None or width == model.config.hidden_size
    if not same_width or saved != {name: tuple(each.shape) for name, each in weights.items()}:
        raise ValueError("names or shapes of the weights are not those of this model")
    return hide_virtual_tokens(tuned.train(training))


def adapter_weights(model: PeftModel) -> dict[str, Tensor]:
    """Return the adapter's weights as they are saved; the vocabulary is never resized here."""
    return get_peft_model_state_dict(model, save_embedding_layers=False)


def can_merge_peft(model: PeftModel) -> bool:
    """Return whether the adapter can become part of the model's weights."""
    kinds = {type(each): each for each in model.modules() if isinstance(each, BaseTunerLayer)}
    try:
        for layer in kinds.values():
            copy.deepcopy(layer).merge()  # the only way to learn it, of one layer of each kind
    except NotImplementedError:
        return False
    return bool(kinds)


def hide_virtual_tokens(model: PeftModel) -> PeftModel:
    """Return the model, which now gives states of the real tokens only.

    Prompt methods put virtual tokens in front of the real ones, and with them their states. The
    model is called with its tokens as ``input_ids``.
    """
    if model.active_peft_config.is_prompt_learning:
        model.register_forward_pre_hook(_refuse_too_long, with_kwargs=True)
        model.register_forward_hook(_drop_virtual_tokens, with_kwargs=True)
    return model


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Silence what `peft` warns of that no user can change."""
    with warnings.catch_warnings():
        # peft 0.21 still asks by the old name of a property that transformers 5 renamed.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        # VeRA's random matrices follow from a seed, as `VeraTuning` says.
        warnings.filterwarnings("ignore", "Specified to not (save|load) vera_A and vera_B")
        # `load_peft` refuses what this warns of.
        warnings.filterwarnings("ignore", "Found missing adapter keys")
        # A layer of which AdaLoRA pruned every rank is empty, and loads as such.
        warnings.filterwarnings(
            "ignore", r"Adapter '\w+': \d+ LoRA tensor.* invalid shape: .*\(0, "
        )
        # AdaLoRA's pattern is by weight, LoRA's by layer; the message is LoRA's.
        warnings.filterwarnings("ignore", "The following rank_pattern keys did not match")
        # Of the norms that are tuned; they are copied whole, so no size is needed.
        warnings.filterwarnings("ignore", "Unsupported layer type .*Norm")
        yield


def _tell_shape(config: Any, model: PreTrainedModel) -> None:
    """Tell what `peft` would guess from names that DistilBERT's config does not have."""
    config.token_dim = config.token_dim or int(model.config.hidden_size)
    config.num_layers = config.num_layers or int(model.config.num_hidden_layers)
    heads = int(model.config.num_attention_heads)
    config.num_attention_heads = config.num_attention_heads or heads


def _drop_virtual_tokens(
    model: PeftModel, _: tuple[Any, ...], inputs: dict[str, Any], output: Any
) -> Any:
    count, length = model.active_peft_config.num_virtual_tokens, inputs["input_ids"].size(1)
    for name in WITH_TOKENS:
        states = getattr(output, name, None)
        if states is not None and states.size(1) == count + length:
            setattr(output, name, states[:, count:])
    return output


def _refuse_too_long(model: PeftModel, _: tuple[Any, ...], inputs: dict[str, Any]) -> None:
    base = cast("PreTrainedModel", model.get_base_model())
    limit = text_limits(base, str(base.name_or_path)).max_tokens
    count, length = model.active_peft_config.num_virtual_tokens, inputs["input_ids"].size(1)
    if limit is not None and count + length > limit:
        raise ValueError(
            f"{count} virtual tokens and a text of {length} are more than the {limit} that "
            f"{base.name_or_path} reads: set max_tokens of the data to at most "
            f"{limit - count}, or fewer tuning.init_args.num_tokens"
        )
