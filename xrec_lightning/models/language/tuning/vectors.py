"""Methods that train vectors only: IA3, VeRA and the norms."""

from dataclasses import dataclass

import torch
from peft import IA3Config, LNTuningConfig, VeraConfig
from torch import nn
from transformers import PreTrainedModel
from typing_extensions import override

from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.models.language.tuning.peft_models import add_peft, quiet_peft
from xrec_lightning.models.language.tuning.targets import (
    find_attentions,
    find_linear,
    find_norms,
    shorten,
)


@dataclass(frozen=True, kw_only=True)
class Ia3Tuning(TuningConfig):
    """Train factors of keys, values and feed-forward states (Liu et al., 2022, arXiv:2205.05638).

    Where one layer makes queries, keys and values at once, as in GPT-2, queries are scaled too.
    """

    target_modules: list[str] | None = None
    """Last parts of the names of the layers; by default those of the paper, found by structure."""
    feed_forward_modules: list[str] | None = None
    """Those among them whose inputs, and not outputs, are scaled."""

    def __post_init__(self) -> None:
        if not set(self.feed_forward_modules or []) <= set(self.target_modules or []):
            raise ValueError(
                "tuning.init_args.feed_forward_modules: "
                f"{self.feed_forward_modules} is not part of target_modules {self.target_modules}"
            )

    @override
    def apply(self, model: PreTrainedModel) -> nn.Module:
        targets, inner = self.target_modules, self.feed_forward_modules or []
        if targets is None:
            attentions = find_attentions(model)
            inner = [n for each in attentions if (n := each.feed_forward_output) is not None]
            inner = shorten(inner, model)
            targets = [*shorten([n for a in attentions for n in a.keys_values], model), *inner]
        return add_peft(model, IA3Config(target_modules=targets, feedforward_modules=inner))


@dataclass(frozen=True, kw_only=True)
class VeraTuning(TuningConfig):
    """Train factors of random low-rank updates that all layers share.

    Kopiczko et al., 2023, arXiv:2310.11454. The random matrices follow from the seed, and are not
    saved with the adapter.
    """

    rank: int = 256
    """Rank of the random matrices."""
    dropout: float = 0.0
    """Share of the updates' inputs that are dropped in training."""
    initial_factor: float = 0.1
    """Where the factors of the rank start."""
    seed: int = 0
    """Seed of the random matrices."""
    target_modules: list[str] | None = None
    """Last parts of the names of the layers; by default every linear layer, whatever its name."""

    @override
    def apply(self, model: PreTrainedModel) -> nn.Module:
        with quiet_peft():
            config = VeraConfig(
                r=self.rank,
                vera_dropout=self.dropout,
                d_initial=self.initial_factor,
                projection_prng_key=self.seed,
                save_projection=False,
                target_modules=self.target_modules or find_linear(model),
            )
        return add_peft(model, config)


@dataclass(frozen=True, kw_only=True)
class LayerNormTuning(TuningConfig):
    """Train the norms only, scale and shift (Zhao et al., 2023, arXiv:2312.11420)."""

    target_modules: list[str] | None = None
    """Last parts of the names of the norms; by default all."""

    @override
    def apply(self, model: PreTrainedModel) -> nn.Module:
        targets = self.target_modules or shorten(find_norms(model), model)
        return add_peft(model, LNTuningConfig(target_modules=targets))


torch.serialization.add_safe_globals([Ia3Tuning, VeraTuning, LayerNormTuning])
