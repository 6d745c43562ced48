"""The history of each user as one text, from the titles of its items."""

from typing import Literal

import numpy as np
import polars as pl

from xrec_lightning.data.behavior.known import Until
from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.corpus import KNOWLEDGE_SCHEMA
from xrec_lightning.data.text.fitting import LineFitter
from xrec_lightning.data.text.prompts import NewestTitles
from xrec_lightning.data.text.tokenize import Tokenizer
from xrec_lightning.schema import (
    DOMAIN_INDEX,
    HISTORY_END,
    HISTORY_START,
    TITLE,
    USER_ID,
)

HISTORY_KIND: Literal["history"] = "history"
SEPARATOR = "; "


def history_texts(
    prepared: Prepared, until: Until, num_titles: int, tokenizer: Tokenizer, max_tokens: int
) -> pl.DataFrame:
    """Return a row of kind, id, domain and text for each user who has a history with titles.

    A text holds distinct titles, the newest last. Titles that do not fit are left out, the oldest
    first, so that a model that cuts off the ends of texts reads the newest.

    Args:
        prepared: A prepared data set.
        until: Whether a history ends with the training part, before the validation or test target,
            or now. All but the last are strictly earlier than the target.
        num_titles: Newest titles that are said.
        tokenizer: Of the model that will read the texts.
        max_tokens: Longest text, in tokens.
    """
    starts, ends = _bounds(prepared, until)
    item_ids = np.asarray(prepared.item_ids)
    titles = ["", *prepared.items()[TITLE].fill_null("")]
    newest = NewestTitles(titles)
    rows, lines = [], []
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        history = item_ids[start:end]
        chosen = history[newest.choose(history, 0, num_titles)]
        if len(chosen):
            rows.append(row)
            lines.append([titles[item] for item in chosen])
    fitter = LineFitter(tokenizer, SEPARATOR)
    fitted = fitter.fit(lines, lambda _, text: text, max_tokens, "max_tokens")
    users = prepared.users()[USER_ID].gather(rows)
    return pl.DataFrame(
        {"kind": HISTORY_KIND, "id": users, "domain": None, "text": fitted.texts},
        schema=KNOWLEDGE_SCHEMA,
    )


def _bounds(prepared: Prepared, until: Until) -> tuple[np.ndarray, np.ndarray]:
    """Return the flat positions where each user's history starts and ends."""
    starts, ends = _requested(prepared, until)
    if until == "train":
        # Training events of the same time as the validation target are not earlier than it.
        ends = np.minimum(ends, _requested(prepared, "val")[1])
    return starts, ends


def _requested(prepared: Prepared, until: Until) -> tuple[np.ndarray, np.ndarray]:
    requests = BehaviorDataModule(prepared.folder, until=until).requests()
    first = requests.filter(pl.col(DOMAIN_INDEX) == 1)
    return first[HISTORY_START].to_numpy(), first[HISTORY_END].to_numpy()
