import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.text.packing import Blocks, lay_out
from xrec_lightning.data.text.tokenize import TokenizedTexts


def texts(lengths: list[int]) -> TokenizedTexts:
    """Return texts of consecutive tokens from 1 on."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenizedTexts(np.arange(1, offsets[-1] + 1, dtype=np.int32), offsets)


def read(blocks: Blocks, number: int) -> list[int]:
    """Return the tokens of one text."""
    return blocks.text.token_ids[blocks.segments == number].tolist()


def test_without_blocks_every_text_has_a_row() -> None:
    blocks = lay_out(texts([2, 3, 1]), np.array([1, 0]), pad_id=9)
    assert blocks.text.token_ids.tolist() == [[3, 4, 5], [1, 2, 9]]
    assert blocks.text.attention_mask.tolist() == [[True, True, True], [True, True, False]]
    assert blocks.segments.tolist() == [[0, 0, 0], [1, 1, -1]]
    assert blocks.positions.tolist() == [[0, 1, 2], [0, 1, 0]]
    assert blocks.triples is None


def test_several_texts_fill_a_block_longest_first() -> None:
    blocks = lay_out(texts([2, 3, 1]), np.arange(3), pad_id=0, block_size=4)
    assert blocks.text.token_ids.tolist() == [[3, 4, 5, 6], [1, 2, 0, 0]]
    assert blocks.segments.tolist() == [[1, 1, 1, 2], [0, 0, -1, -1]]
    assert blocks.positions.tolist() == [[0, 1, 2, 0], [0, 1, 0, 0]]


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 20))
def test_blocks_hold_every_text_whole_once_and_no_more_than_fits(
    lengths: list[int], size: int
) -> None:
    data = texts(lengths)
    blocks = lay_out(data, np.arange(len(lengths)), pad_id=0, block_size=size)
    for number, length in enumerate(lengths):
        start = int(data.offsets[number])
        assert read(blocks, number) == list(range(start + 1, start + 1 + length))
        rows = torch.nonzero(blocks.segments == number)[:, 0].unique()
        assert len(rows) <= 1
        assert blocks.positions[blocks.segments == number].tolist() == list(range(length))
    assert blocks.text.attention_mask.sum() == sum(lengths)
    assert blocks.text.token_ids.size(1) <= max([size, *lengths])


def test_tails_begin_at_their_tokens() -> None:
    tails = np.array([-1, 1, 2])
    blocks = lay_out(texts([2, 3, 2]), np.arange(3), pad_id=0, block_size=5, tail_starts=tails)
    assert blocks.segments.tolist() == [[1, 1, 1, 0, 0], [2, 2, -1, -1, -1]]
    assert blocks.triples is not None
    assert blocks.triples.is_triple.int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]]
    assert blocks.triples.is_tail.int().tolist() == [[0, 1, 1, 0, 0], [0, 0, 0, 0, 0]]


def test_without_triples_none_are_marked() -> None:
    blocks = lay_out(texts([2]), np.arange(1), pad_id=0, tail_starts=np.array([-1]))
    assert blocks.triples is None
