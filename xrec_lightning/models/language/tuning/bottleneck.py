"""Bottleneck adapters: two small layers and a nonlinearity behind frozen ones."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from typing_extensions import override

from xrec_lightning.models.language.tuning.adapted import OwnTuning
from xrec_lightning.models.language.tuning.targets import find_attentions


@dataclass(frozen=True, kw_only=True)
class BottleneckTuning(OwnTuning):
    """Train bottlenecks before the sums with the residual stream.

    ``houlsby`` has them behind the attention and behind the feed-forward network (Houlsby et al.,
    2019, arXiv:1902.00751), ``pfeiffer`` behind the feed-forward network only (Pfeiffer et al.,
    2020, arXiv:2005.00247). Three things differ from the papers: the way up starts at zero, so that
    an untrained adapter changes nothing at all; the model's norms stay frozen; and ``pfeiffer``
    stands before the sum with the residual stream as ``houlsby`` does, not behind its norm.
    """

    placement: Literal["houlsby", "pfeiffer"] = "houlsby"
    """Where the bottlenecks stand."""
    reduction: int = 16
    """The bottleneck is the model's width divided by that."""
    bottleneck_dim: int | None = None
    """Width of the bottleneck, in place of ``reduction``."""
    dropout: float = 0.0
    """Share of the bottleneck's values that are dropped in training."""

    def __post_init__(self) -> None:
        for name, value in (("reduction", self.reduction), ("bottleneck_dim", self.bottleneck_dim)):
            if value is not None and value < 1:
                raise ValueError(f"tuning.init_args.{name}: {value} is not at least 1")

    @override
    def insert(self, model: PreTrainedModel) -> None:
        width = int(model.config.hidden_size)
        inner = self.bottleneck_dim or max(1, width // self.reduction)
        for name in self._places(model):
            parent, _, own = name.rpartition(".")
            base = model.get_submodule(name)
            bottleneck = Bottleneck(base, width, inner, self.dropout).to(model.device, model.dtype)
            setattr(model.get_submodule(parent), own, bottleneck)

    def _places(self, model: PreTrainedModel) -> list[str]:
        attentions = find_attentions(model)
        places = [each.feed_forward_output for each in attentions]
        if self.placement == "houlsby":
            places += [each.output for each in attentions]
        return [place for place in places if place is not None]


torch.serialization.add_safe_globals([BottleneckTuning])


class Bottleneck(nn.Module):
    """A frozen layer with a bottleneck behind it."""

    def __init__(self, base_layer: nn.Module, width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.down = nn.Linear(width, inner)
        self.dropout = nn.Dropout(dropout)
        self.up = nn.Linear(inner, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    @override
    def forward(self, hidden: Tensor) -> Tensor:
        """Return the layer's output with the bottleneck's added, shape ``(..., width)``."""
        output = self.base_layer(hidden)
        inner = self.dropout(nn.functional.gelu(self.down(output)))
        return output + self.up(inner)
