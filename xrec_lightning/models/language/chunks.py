"""Encoding of large batches of texts in the memory of a small one."""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from xrec_lightning.batches import TextBatch
from xrec_lightning.models.language.tower import LanguageTower


def encode_in_chunks(tower: LanguageTower, text: TextBatch, chunk_size: int | None) -> Tensor:
    """Return the texts' vectors, keeping the activations of one chunk at a time, ``(B, D)``.

    As in GradCache (Gao et al., 2021, arXiv:2101.06983) chunks are encoded twice: without their
    activations, and anew, under the same random numbers, when the backward pass comes to them.
    Unlike there that pass is a single one, so each weight's gradient is complete when it first
    arrives: data parallel training and accumulation of gradients work as ever.

    Args:
        tower: Encodes the chunks, texts of like length together.
        text: B texts.
        chunk_size: Texts of a chunk; ``None`` encodes all at once.
    """
    if chunk_size is None or len(text.token_ids) <= chunk_size or not torch.is_grad_enabled():
        return tower(text)
    lengths = text.attention_mask.sum(dim=1)
    order = lengths.argsort(stable=True)
    vectors = []
    for rows in torch.split(order, chunk_size):
        width = max(1, int(lengths[rows[-1]]))
        chunk = TextBatch(text.token_ids[rows, :width], text.attention_mask[rows, :width])
        vectors.append(checkpoint(tower, chunk, use_reentrant=False))
    return torch.cat(vectors)[order.argsort()]
