"""Prefix tuning: trained keys and values that every token can attend to, in every layer.

That of `peft` hands them to the model as a cache of past tokens. An encoder is not made for that:
BERT shifts its positions by the length of the prefix, DistilBERT takes no cache at all. Ours joins
them to the keys and values in the attention itself, so encoders and causal models work alike, no
position is used up, and the hidden states keep the shape of the input.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface
from typing_extensions import override

from xrec_lightning.models.language.tuning.adapted import OwnTuning
from xrec_lightning.models.language.tuning.targets import find_attentions

PREFIXED = "xrec_prefixed"
CHILD = "tuned_prefix"
INITIAL_SCALE = 0.02


@dataclass(frozen=True, kw_only=True)
class PrefixTuning(OwnTuning):
    """Train keys and values in front of every attention's (Li and Liang, 2021, arXiv:2101.00190).

    They are trained as they are, without the paper's network that makes them while training. An
    untrained prefix does change the vectors a little, since it takes part of the attention.
    """

    num_tokens: int = 8
    """Keys and values of a layer."""

    def __post_init__(self) -> None:
        if self.num_tokens < 1:
            raise ValueError(f"tuning.init_args.num_tokens: {self.num_tokens} is not at least 1")

    @override
    def insert(self, model: PreTrainedModel) -> None:
        for each in find_attentions(model):
            prefix = Prefix(each.num_heads, self.num_tokens, each.head_dim)
            attention = model.get_submodule(each.module)
            attention.add_module(CHILD, prefix.to(model.device, model.dtype))
        model.set_attn_implementation(PREFIXED)


torch.serialization.add_safe_globals([PrefixTuning])


class Prefix(nn.Module):
    """The keys and values in front of one attention's.

    Shapes: H heads of keys and values, P tokens of the prefix, D width of a head.
    """

    def __init__(self, num_heads: int, num_tokens: int, head_dim: int) -> None:
        super().__init__()
        shape = (num_heads, num_tokens, head_dim)
        self.key = nn.Parameter(INITIAL_SCALE * torch.randn(shape))
        self.value = nn.Parameter(INITIAL_SCALE * torch.randn(shape))


def attend_with_prefix(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Return what `sdpa` does with the module's prefix in front of keys and values.

    Args:
        module: The attention; one without a prefix works as always.
        query: Shape ``(B, Q, L, D)``.
        key: Shape ``(B, H, S, D)``.
        value: Shape ``(B, H, S, D)``.
        attention_mask: What a query sees, of booleans or to be added, shape ``(B, 1, L, S)``; None
            if it sees all, or in a causal attention all before it.
        options: What `transformers` hands to an attention.

    Returns:
        Output, shape ``(B, L, Q, D)``, and no weights.
    """
    prefix = getattr(module, CHILD, None)
    if prefix is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    if attention_mask is None and _is_causal(module, query, options):
        seen = torch.ones(query.size(2), key.size(2), dtype=torch.bool, device=key.device)
        attention_mask = seen.tril(key.size(2) - query.size(2))[None, None]
    if attention_mask is not None:
        visible = True if attention_mask.dtype == torch.bool else 0.0
        attention_mask = functional.pad(attention_mask, (prefix.key.size(1), 0), value=visible)
    key = torch.cat([prefix.key.to(key.dtype).expand(len(key), -1, -1, -1), key], dim=2)
    value = torch.cat([prefix.value.to(value.dtype).expand(len(value), -1, -1, -1), value], dim=2)
    options["is_causal"] = False  # the mask says it all
    return sdpa_attention_forward(module, query, key, value, attention_mask, **options)


def _is_causal(module: nn.Module, query: Tensor, options: dict[str, Any]) -> bool:
    asked = options.get("is_causal")
    causal = getattr(module, "is_causal", True) if asked is None else asked
    return bool(causal) and query.size(2) > 1


AttentionInterface.register(PREFIXED, attend_with_prefix)
AttentionMaskInterface.register(PREFIXED, sdpa_mask)
