"""Texts laid out in blocks: a block for each text, or several in one."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrec_lightning.batches import TextBatch
from xrec_lightning.data.text.masking import TripleParts
from xrec_lightning.data.text.tokenize import TokenizedTexts

Ints = NDArray[np.integer]


class Blocks(NamedTuple):
    """Texts laid out, before any token is hidden. B blocks, L tokens."""

    text: TextBatch
    """All tokens, shape ``(B, L)``."""
    positions: Tensor
    """Position of each token in its own text, 0 at padding, shape ``(B, L)``."""
    segments: Tensor
    """Text of each token, counted from 0, -1 at padding, shape ``(B, L)``."""
    triples: TripleParts | None = None
    """Where there are any: the texts of triples whose tails are to be predicted."""


class _Places(NamedTuple):
    """Where texts begin."""

    blocks: Ints
    columns: Ints


def lay_out(
    tokens: TokenizedTexts,
    rows: Ints,
    pad_id: int,
    block_size: int | None = None,
    tail_starts: Ints | None = None,
) -> Blocks:
    """Return the texts ``rows`` in blocks that are as wide as the fullest of them.

    Args:
        tokens: All texts.
        rows: Those laid out, in the order of the segments.
        pad_id: Token of what no text fills.
        block_size: Most tokens of a block that holds several texts; a longer text has a block of
            its own. None gives every text one.
        tail_starts: Position at which the tail of a triple begins, -1 in texts that are no
            triples, for all texts of ``tokens``.
    """
    lengths = tokens.lengths[rows]
    places = (
        _Places(np.arange(len(rows)), np.zeros(len(rows), dtype=np.int64))
        if block_size is None
        else _first_fit(lengths, block_size)
    )
    shape = (
        int(places.blocks.max(initial=0)) + 1,
        max(1, int((places.columns + lengths).max(initial=0))),
    )
    texts = np.repeat(np.arange(len(rows)), lengths)
    within = np.arange(len(texts)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    at = (places.blocks[texts], places.columns[texts] + within)
    token_ids = np.full(shape, pad_id, dtype=np.int64)
    token_ids[at] = tokens.token_ids[tokens.offsets[:-1][rows][texts] + within]
    positions, segments = np.zeros(shape, dtype=np.int64), np.full(shape, -1, dtype=np.int64)
    positions[at], segments[at] = within, texts
    laid = [torch.from_numpy(each) for each in (token_ids, positions, segments)]
    triples = None if tail_starts is None else _triple_parts(tail_starts[rows], segments, positions)
    return Blocks(TextBatch(laid[0], laid[2] >= 0), laid[1], laid[2], triples)


def _triple_parts(starts: Ints, segments: Ints, positions: Ints) -> TripleParts | None:
    if (starts < 0).all():
        return None
    # Padding has segment -1, which finds the number that is added at the end.
    starts = np.append(starts, -1)[segments]
    is_triple = starts >= 0
    is_tail = is_triple & (positions >= starts)
    return TripleParts(torch.from_numpy(is_triple), torch.from_numpy(is_tail))


def _first_fit(lengths: Ints, block_size: int) -> _Places:
    """Return a place for each text in few blocks: longest first, each in the first with room."""
    blocks, columns = np.zeros((2, len(lengths)), dtype=np.int64)
    filled: list[int] = []
    for text in np.argsort(-lengths, kind="stable"):
        length = int(lengths[text])
        fits = (block for block, used in enumerate(filled) if used + length <= block_size)
        block = next(fits, len(filled))
        if block == len(filled):
            filled.append(0)
        blocks[text], columns[text] = block, filled[block]
        filled[block] += length
    return _Places(blocks, columns)
