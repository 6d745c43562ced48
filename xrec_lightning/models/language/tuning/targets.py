"""Which modules of a language model a tuning method adapts, found by what they do and not by name.

A forward pass of two tokens shows the order in which linear layers and attentions work. Whatever it
is called, a linear layer that works inside an attention before it makes its queries, keys or
values; the first one after it is its output projection; those that follow in the same layer are the
feed-forward network. The one condition: attention goes through the interface of `transformers`, as
it does in BERT, RoBERTa, DistilBERT, GPT-2, LLaMA and what was built like them.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface
from transformers.pytorch_utils import Conv1D

TRACED = "xrec_traced"
MAX_SUGGESTIONS = 5


class Attention(NamedTuple):
    """An attention of a model and the linear layers around it, by their names in the model."""

    module: str
    """What calls the attention."""
    inputs: tuple[str, ...]
    """Projections to queries, keys and values: one for all or one for each, in that order."""
    outputs: tuple[str, ...]
    """First the projection of what the attention found, then the feed-forward network's layers."""
    num_heads: int
    """Heads of keys and values."""
    head_dim: int
    """Width of the key of one head."""

    @property
    def keys_values(self) -> tuple[str, ...]:
        """Return the projections to keys and to values, or the one that makes both."""
        return self.inputs[-2:] if len(self.inputs) > 2 else self.inputs[-1:]

    @property
    def output(self) -> str:
        """Return the projection of the attention to the residual stream."""
        return self.outputs[0]

    @property
    def feed_forward_output(self) -> str | None:
        """Return the projection of the feed-forward network to the residual stream, if any."""
        return self.outputs[-1] if len(self.outputs) > 1 else None


def find_attentions(model: PreTrainedModel) -> list[Attention]:
    """Return the attentions of a model, from its input to its output.

    Raises:
        ValueError: If there is none that can be seen.
    """
    events = _trace(model)
    calls = [place for place, event in enumerate(events) if isinstance(event, Attention)]
    found: dict[str, Attention] = {}
    for place, following in pairwise([*calls, len(events)]):
        call = events[place]
        layer = _layer_of(model, call.module)
        before = [e for e in events[:place] if isinstance(e, str)]
        after = [e for e in events[place + 1 : following] if isinstance(e, str)]
        inputs = tuple(dict.fromkeys(e for e in before if _inside(e, call.module)))
        # ALBERT uses a layer again, so the next projections to keys may be those of this layer.
        outputs = tuple(e for e in after if _inside(e, layer) and e not in inputs)
        found.setdefault(call.module, call._replace(inputs=inputs, outputs=outputs))
    if not found or not all(each.inputs and each.outputs for each in found.values()):
        raise ValueError(
            f"{type(model).__name__}: found no attention with linear layers around it, so the "
            "layers to adapt are unknown; name them in `target_modules`, or use `full` tuning"
        )
    return list(found.values())


def find_linear(model: PreTrainedModel) -> list[str]:
    """Return the last parts of the names of all linear layers but the head of the vocabulary."""
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]  # not ours
    names = [n for n in matched(model, "all-linear") if model.get_submodule(n) is not head]
    return shorten(names, model)


def find_norms(model: nn.Module) -> list[str]:
    """Return the names of the layers that normalize, whatever their kind."""
    return [
        name
        for name, module in model.named_modules()
        if "norm" in type(module).__name__.lower() and isinstance(_weight(module), Tensor)
    ]


def has_transposed(model: nn.Module, names: Iterable[str] | str) -> bool:
    """Return whether any of the modules that ``names`` match is GPT-2's transposed linear layer."""
    return any(isinstance(model.get_submodule(name), Conv1D) for name in matched(model, names))


def matched(model: nn.Module, names: Iterable[str] | str) -> list[str]:
    """Return the modules that ``names`` match: by their last parts, or by one regular expression.

    ``all-linear`` is every linear layer, as `peft` has it.
    """
    modules = [name for name, _ in model.named_modules() if name]
    if names == "all-linear":
        return [n for n in modules if isinstance(model.get_submodule(n), nn.Linear | Conv1D)]
    if isinstance(names, str):
        return [name for name in modules if re.fullmatch(names, name)]
    return [name for name in modules if any(_ends_with(name, each) for each in names)]


def check_targets(model: nn.Module, names: Sequence[str] | str, what: str) -> None:
    """Refuse names that match no module.

    Args:
        model: The model to be adapted.
        names: Last parts of module names, or a regular expression.
        what: What the user set, for the message.

    Raises:
        ValueError: If a name matches nothing.
    """
    for name in [names] if isinstance(names, str) else names:
        if not matched(model, name if isinstance(names, str) else [name]):
            ends = sorted({n.rpartition(".")[2] for n in matched(model, "all-linear")})
            near = difflib.get_close_matches(name.rpartition(".")[2], ends, MAX_SUGGESTIONS, 0.0)
            raise ValueError(
                f"{what}: {name!r} matches no module of {type(model).__name__}; the nearest names "
                f"of its linear layers are {', '.join(near) or 'none'}"
            )


def shorten(names: Sequence[str], model: nn.Module) -> list[str]:
    """Return the shortest last parts of ``names`` that match them and no other module.

    Example:
        >>> model = nn.ModuleDict({"a": nn.ModuleDict({"q": nn.Linear(1, 1), "k": nn.ReLU()})})
        >>> shorten(["a.q"], model)
        ['q']
    """
    wanted = set(names)
    short: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        ends = (".".join(parts[-count:]) for count in range(1, len(parts) + 1))
        short[next((end for end in ends if set(matched(model, [end])) <= wanted), name)] = None
    return list(short)


def _trace(model: PreTrainedModel) -> list[Any]:
    """Return the linear layers, by name, and `Attention` calls of one forward pass, in order."""
    names = {module: name for name, module in model.named_modules()}
    events: list[Any] = []

    def attend(module: nn.Module, query: Tensor, key: Tensor, *others: Any, **options: Any) -> Any:
        events.append(Attention(names[module], (), (), key.size(1), key.size(3)))
        return sdpa_attention_forward(module, query, key, *others, **options)

    def record(module: nn.Module, _: Any, __: Any) -> None:
        events.append(names[module])

    hooks = [
        module.register_forward_hook(record)
        for module in names
        if isinstance(module, nn.Linear | Conv1D)
    ]
    AttentionInterface.register(TRACED, attend)
    AttentionMaskInterface.register(TRACED, sdpa_mask)
    try:
        with _attention(model, TRACED), _evaluating(model), torch.no_grad():
            model(input_ids=torch.zeros(1, 2, dtype=torch.long, device=model.device))
    finally:
        for hook in hooks:
            hook.remove()
    return events


@contextmanager
def _attention(model: PreTrainedModel, implementation: str) -> Iterator[None]:
    before = model.config._attn_implementation
    model.config._attn_implementation = implementation
    try:
        yield
    finally:
        model.config._attn_implementation = before


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _layer_of(model: nn.Module, name: str) -> str:
    """Return the name of the layer that holds a module: the nearest element of a list of layers."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        if isinstance(model.get_submodule(".".join(parts[: count - 1])), nn.ModuleList):
            return ".".join(parts[:count])
    return ""


def _weight(module: nn.Module) -> Any:
    return dict(module.named_parameters(recurse=False)).get("weight")


def _inside(name: str, module: str) -> bool:
    return not module or name.startswith(f"{module}.")


def _ends_with(name: str, end: str) -> bool:
    return name == end or name.endswith(f".{end}")
