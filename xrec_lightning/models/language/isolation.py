"""Blocks that hold several texts, of which none sees another."""

from typing import Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedModel


def isolated_inputs(model: PreTrainedModel, segments: Tensor, *, causal: bool) -> dict[str, Tensor]:
    """Return the positions and the attention mask with which each text is read as if it were alone.

    Args:
        model: From `transformers`, the base model or the whole.
        segments: Text of each token, -1 at padding, shape ``(B, L)``.
        causal: Whether a token sees none that come after it.

    Returns:
        ``position_ids``, shape ``(B, L)``, and ``attention_mask``, shape ``(B, 1, L, L)``.

    Raises:
        ValueError: If the model cannot read such blocks.
    """
    positions = _positions(segments)
    _refuse_windows(model, positions)
    allowed = segments[:, :, None] == segments[:, None, :]
    if causal:
        allowed = allowed.tril()
    mask = allowed[:, None]
    implementation = model.config._attn_implementation
    if implementation == "eager":  # adds the mask to its logits
        lowest = torch.finfo(torch.float32).min
        mask = torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, lowest)
    elif implementation != "sdpa":
        raise ValueError(
            f"data.init_args.block_size: attention of kind {implementation} cannot keep the texts "
            "of a block apart; set block_size to null"
        )
    return {"position_ids": positions + _first_position(model), "attention_mask": mask}


def _positions(segments: Tensor) -> Tensor:
    """Return the position of each token in its own text, shape ``(B, L)``."""
    columns = torch.arange(segments.size(1), device=segments.device).expand_as(segments)
    begins = torch.ones_like(segments, dtype=torch.bool)
    begins[:, 1:] = segments[:, 1:] != segments[:, :-1]
    return columns - torch.where(begins, columns, 0).cummax(dim=1).values


def _first_position(model: PreTrainedModel) -> int:
    """Return the number of a text's first position; RoBERTa and its kin count from padding on."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings"):
            padding = cast("Any", module).padding_idx if hasattr(module, "padding_idx") else None
            return 0 if padding is None else int(padding) + 1
    return 0


def _refuse_windows(model: PreTrainedModel, positions: Tensor) -> None:
    """Refuse a model whose layers see only near tokens: our mask would let them see all."""
    config = model.config
    window = getattr(config, "local_attention", None) or getattr(config, "sliding_window", None)
    if window and int(positions.max()) > window // 2:
        raise ValueError(
            f"data.init_args.block_size: {config.model_type} sees {window} tokens around each, "
            f"which a mask of blocks undoes; set block_size to null, or max_tokens to {window // 2}"
        )
