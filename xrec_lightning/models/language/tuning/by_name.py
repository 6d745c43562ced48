"""Any method of `peft`, by its name there."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from peft import PeftType
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from torch import nn
from transformers import PreTrainedModel
from typing_extensions import override

from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.models.language.tuning.peft_models import add_peft
from xrec_lightning.models.language.tuning.targets import find_attentions, shorten

BETTER = {
    "ADALORA": "adalora.AdaLoraTuning",
    "IA3": "vectors.Ia3Tuning",
    "LN_TUNING": "vectors.LayerNormTuning",
    "PREFIX_TUNING": "prefix.PrefixTuning",
}
"""Methods that `peft` alone does not carry through: schedules, encoders, layers by structure."""
TOKENS = "num_virtual_tokens"
REFUSALS = (ValueError, TypeError, NotImplementedError, RuntimeError, AttributeError)
"""What the methods of `peft` raise on a model or a kind of layer they are not made for."""


@dataclass(frozen=True, kw_only=True)
class PeftTuning(TuningConfig):
    """Tune by any method of `peft`.

    Where the options name no ``target_modules``, the projections to queries, keys and values are
    adapted, whatever they are called.
    """

    method: str
    """Name of the method in `peft`, as ``loha``, ``oft`` or ``fourierft``."""
    options: dict[str, Any] = field(default_factory=dict)
    """Fields of the method's config in `peft`."""

    def __post_init__(self) -> None:
        names = {str(kind.value): config for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
        name = self.method.upper()
        if name not in names:
            raise ValueError(
                f"tuning.init_args.method: {self.method!r} is no method of peft; "
                f"{_nearest(name, names)}"
            )
        if name in BETTER:
            raise ValueError(
                f"tuning.init_args.method: {self.method!r} has a class of its own; set class_path: "
                f"xrec_lightning.models.language.tuning.{BETTER[name]}"
            )
        known = {each.name for each in fields(names[name]) if each.init}
        for option in self.options:
            if option not in known:
                raise ValueError(
                    f"tuning.init_args.options: {option!r} is no option of {self.method}; "
                    f"{_nearest(option, known)}; all of them: {', '.join(sorted(known))}"
                )
        if TOKENS in known and TOKENS not in self.options:
            raise ValueError(f"tuning.init_args.options: {self.method} needs {TOKENS}, a number")

    @override
    def apply(self, model: PreTrainedModel) -> nn.Module:
        kind = PeftType(self.method.upper())
        by_name = getattr(PEFT_TYPE_TO_TUNER_MAPPING[kind], "target_module_mapping", None)
        targets: dict[str, Any] = {}
        if by_name and "target_modules" not in self.options:
            inputs = [name for each in find_attentions(model) for name in each.inputs]
            targets = {"target_modules": shorten(inputs, model)}
        try:
            return add_peft(model, PEFT_TYPE_TO_CONFIG_MAPPING[kind](**self.options, **targets))
        except REFUSALS as error:
            raise ValueError(
                f"tuning.init_args: {self.method} does not work on {type(model).__name__}: {error}"
            ) from error


torch.serialization.add_safe_globals([PeftTuning])


def _nearest(name: str, known: Iterable[str]) -> str:
    (nearest,) = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)
    return f"did you mean {nearest!r}?"
