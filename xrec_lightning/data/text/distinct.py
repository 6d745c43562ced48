"""The distinct texts of a catalog: items of equal text share one."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.tokenize import TokenizedTexts
from xrec_lightning.schema import DOMAINS, ITEM_INDEX, TEXT

Ints = NDArray[np.integer]


class DistinctTexts(NamedTuple):
    """Distinct texts and whose they are. Shapes: T texts, N items."""

    texts: list[str]
    """In the order of their first items."""
    item_ids: Ints
    """The first item of each text, shape ``(T,)``."""
    domain_ids: Ints
    """The domain of each text's items, 0 where they are of several, shape ``(T,)``."""
    row_of: Ints
    """The text of each item, -1 where it has none, shape ``(N + 1,)``."""

    @property
    def leaders(self) -> Ints:
        """The first item of each item's text, 0 where it has none, shape ``(N + 1,)``."""
        return np.where(self.row_of < 0, 0, self.item_ids[self.row_of])


class TokenizedItems(NamedTuple):
    """The distinct texts of a catalog and their tokens."""

    texts: DistinctTexts
    tokens: TokenizedTexts
    padding: int
    """Token that pads."""


def read_texts(prepared: Prepared) -> DistinctTexts:
    """Return the distinct item texts of a prepared data set.

    Raises:
        ValueError: If no item has a text.
    """
    items = prepared.items().filter(pl.col(TEXT).is_not_null())
    if items.is_empty():
        raise ValueError(f"{prepared.folder}: no item has a text; name columns in `items: text:`")
    texts = items.group_by(TEXT).agg(pl.col(ITEM_INDEX).min(), pl.col(DOMAINS).explode().unique())
    texts = texts.sort(ITEM_INDEX)
    rows = items.select(ITEM_INDEX, TEXT).join(texts.select(TEXT).with_row_index("row"), on=TEXT)
    row_of = np.full(prepared.items().height + 1, -1, dtype=np.int64)
    row_of[rows[ITEM_INDEX].to_numpy()] = rows["row"].to_numpy()
    numbers = {name: index for index, name in enumerate(prepared.domains, start=1)}
    names = [found.to_list() for found in texts[DOMAINS]]
    domain_ids = [numbers[found[0]] if len(found) == 1 else 0 for found in names]
    return DistinctTexts(
        texts=texts[TEXT].to_list(),
        item_ids=texts[ITEM_INDEX].to_numpy().astype(np.int64),
        domain_ids=np.array(domain_ids, dtype=np.int64),
        row_of=row_of,
    )
