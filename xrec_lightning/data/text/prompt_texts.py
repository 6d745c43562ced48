"""Examples to tokenized prompts: one text each, or history and candidate apart."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.clicks import Examples
from xrec_lightning.data.text.fitting import LineFitter, refuse_long
from xrec_lightning.data.text.labels import event_ratings
from xrec_lightning.data.text.prompts import NewestTitles, RelatedTitles
from xrec_lightning.data.text.templates import ItemLines, PromptConfig, PromptWriter
from xrec_lightning.data.text.tokenize import TokenizedTexts, load_tokenizer, pad_id
from xrec_lightning.schema import RATING

Ints = NDArray[np.integer]


class EncodedPrompts(NamedTuple):
    """Prompts as text and as tokens: one of each for a joint text, else history and candidate."""

    texts: tuple[list[str], ...]
    """Each has a text a prompt."""
    tokens: tuple[TokenizedTexts, ...]
    """Likewise."""


class PromptTexts:
    """Make prompts of examples.

    Args:
        prepared: A prepared data set.
        model: The language model whose tokenizer is used.
        config: The words and the budgets.
        where: Key of the config, for messages.

    Raises:
        InputError: If the config does not fit the data or the model.
    """

    def __init__(self, prepared: Prepared, model: str, config: PromptConfig, where: str) -> None:
        self.config = config
        self.where = where
        self.item_ids = np.asarray(prepared.item_ids)
        self.lines = ItemLines(prepared, config, where).texts
        self.writer = None if config.template is None else PromptWriter(prepared, config, where)
        choices = {"related": RelatedTitles, "newest": NewestTitles}
        self.choice = choices[config.choice](self.lines)
        self.ratings = event_ratings(prepared) if config.show_ratings else None
        if self.ratings is not None and np.isnan(self.ratings).all():
            raise InputError(
                f"{where}.show_ratings: true: no event of {prepared.folder} has a `{RATING}`"
            )
        tokenizer = load_tokenizer(model)
        refuse_long(config.max_tokens, tokenizer, f"{where}.max_tokens")
        self.padding = pad_id(tokenizer)
        self.fitter = LineFitter(tokenizer, config.separator)

    def encode(self, examples: Examples) -> EncodedPrompts:
        """Return the prompts of examples, within the budgets.

        Raises:
            InputError: If a candidate with its question does not fit.
        """
        histories, candidates = self._lines(examples)
        if self.config.history_tokens is not None:
            histories = self.fitter.shorten(histories, self.config.history_tokens)
        key, budget = f"{self.where}.max_tokens", self.config.max_tokens
        if self.writer is None:
            nothing = self.config.nothing
            past = self.fitter.fit(histories, lambda _, said: said or nothing, budget, key)
            no_lines: list[list[str]] = [[] for _ in candidates]
            offered = self.fitter.fit(no_lines, lambda row, _: candidates[row], budget, key)
            return EncodedPrompts((past.texts, offered.texts), (past.tokens, offered.tokens))
        write, domains, users = self.writer.write, examples.domain_ids, examples.user_ids
        joint = self.fitter.fit(
            histories,
            lambda row, said: write(said, candidates[row], int(domains[row]), int(users[row])),
            budget,
            key,
        )
        return EncodedPrompts((joint.texts,), (joint.tokens,))

    def _lines(self, examples: Examples) -> tuple[list[list[str]], list[str]]:
        """Return what is said of each history, the best last, and of each candidate."""
        spans = zip(examples.history_starts, examples.history_ends, examples.item_ids, strict=True)
        count = self.config.history_items
        chosen = [
            start + self.choice.choose(self.item_ids[start:end], int(item), count)
            for start, end, item in spans
        ]
        used = [*(self.item_ids[np.concatenate(chosen)] if chosen else ()), *examples.item_ids]
        cut = self.fitter.cut([self.lines[item] for item in used], self.config.item_tokens)
        histories = [[self._said(at, cut) for at in positions] for positions in chosen]
        return histories, [cut[self.lines[item]] for item in examples.item_ids]

    def _said(self, position: int, cut: dict[str, str]) -> str:
        """Return what is said of an event of a history."""
        line = cut[self.lines[self.item_ids[position]]]
        if self.ratings is None or np.isnan(self.ratings[position]):
            return line
        return f"{line} ({self.ratings[position]:g})"
