"""Adapters of our own beside the weights of a model, in folders like those of `peft`."""

import json
from abc import abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel
from typing_extensions import override

from xrec_lightning.models.language.tuning.base import TuningConfig, require_plain

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"


@dataclass(frozen=True, kw_only=True)
class OwnTuning(TuningConfig):
    """A method that puts modules of ours into a frozen model."""

    @abstractmethod
    def insert(self, model: PreTrainedModel) -> None:
        """Put trained modules into a model whose weights are frozen."""

    @override
    def apply(self, model: PreTrainedModel) -> nn.Module:
        require_plain(model)
        model.requires_grad_(requires_grad=False)
        self.insert(model)
        return AdaptedModel(model, self)


class AdaptedModel(nn.Module):
    """A frozen language model with the modules that an `OwnTuning` put into it.

    Called as the model is, and like it in all it does not define.
    """

    def __init__(self, model: PreTrainedModel, tuning: OwnTuning) -> None:
        super().__init__()
        self.model = model
        self.tuning = tuning
        self.adapter_names = [name for name, p in model.named_parameters() if p.requires_grad]
        """Names of the weights that were put in."""

    @override
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.model(*args, **kwargs)

    @override
    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "model":  # not there yet, so there is nothing to ask
                raise
            return getattr(self.model, name)

    def save_adapter(self, folder: Path) -> None:
        """Write the method and its weights into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        config = {"class_path": class_path(type(self.tuning)), "init_args": asdict(self.tuning)}
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        weights = self.model.state_dict()
        save_file(
            {name: weights[name].detach().cpu().contiguous() for name in self.adapter_names},
            folder / WEIGHTS_FILE,
        )

    def load_adapter(self, folder: Path) -> None:
        """Take the weights that `save_adapter` wrote, frozen.

        Raises:
            ValueError: If they are not those of this method on this model.
        """
        weights = load_file(folder / WEIGHTS_FILE)
        own = dict(self.model.named_parameters())
        expected = {name: own[name].shape for name in self.adapter_names}
        if {name: weight.shape for name, weight in weights.items()} != expected:
            raise ValueError("names or shapes of the weights are not those of this model")
        with torch.no_grad():
            for name, weight in weights.items():
                own[name].copy_(weight)
        self.model.requires_grad_(requires_grad=False)


def class_path(tuning: type[TuningConfig]) -> str:
    """Return what names a method in YAML, and in the folder of its adapter."""
    return f"{tuning.__module__}.{tuning.__qualname__}"
