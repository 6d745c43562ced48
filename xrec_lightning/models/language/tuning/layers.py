"""The layers of a language model in their order, whatever its kind and however it is tuned."""

from typing import NamedTuple

from torch import nn
from transformers import PreTrainedModel


class LayeredWeights(NamedTuple):
    """The weights of a module by their depth."""

    below: list[nn.Parameter]
    """What comes before the layers: embeddings."""
    layers: list[list[nn.Parameter]]
    """The weights of each layer, from the input to the output."""
    above: list[nn.Parameter]
    """What comes after the layers: a last norm, a language modeling head."""


def layered_weights(model: nn.Module) -> LayeredWeights:
    """Return the weights of a language model by their depth.

    The layers are the list of modules with the most weights; what was made before it comes below.

    Raises:
        ValueError: If the model has no list of layers.
    """
    stacks = [module for module in model.modules() if isinstance(module, nn.ModuleList) and module]
    if not stacks:
        raise ValueError(f"{type(model).__name__} has no layers that could be told apart")
    stack = max(stacks, key=lambda s: sum(weight.numel() for weight in s.parameters()))
    layers = [list(layer.parameters()) for layer in stack]
    inside = {id(weight) for layer in layers for weight in layer}
    weights = list(model.parameters())
    places = [place for place, weight in enumerate(weights) if id(weight) in inside]
    return LayeredWeights(
        below=weights[: places[0]],
        layers=layers,
        above=[weight for weight in weights[places[0] :] if id(weight) not in inside],
    )


def is_language_model(module: nn.Module) -> bool:
    """Return whether a module is a model of `transformers`."""
    return isinstance(module, PreTrainedModel)
