"""Which items of a history are said in a prompt."""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

Ints = NDArray[np.integer]


class HistoryChoice(ABC):
    """Choose items of a history by their texts; a text that repeats is its newest item's.

    Args:
        titles: Text of each item, by item index; empty where it has none.
    """

    def __init__(self, titles: Sequence[str]) -> None:
        self.titles = titles
        places: dict[str, int] = {"": 0}
        self.title_ids = np.array([places.setdefault(title, len(places)) for title in titles])
        """Equal for items of equal text, 0 where there is none, shape ``(items,)``."""

    @abstractmethod
    def choose(self, history: Ints, item: int, count: int) -> Ints:
        """Return at most ``count`` positions of a history, the best last.

        Args:
            history: Item indices, oldest first, shape ``(L,)``.
            item: The candidate.
            count: Fewer come back where the history has fewer texts.
        """

    def newest(self, history: Ints) -> Ints:
        """Return the positions of the newest item of each text, oldest first."""
        titles, ages = np.unique(self.title_ids[history][::-1], return_index=True)
        return np.sort(len(history) - 1 - ages[titles > 0])


class NewestTitles(HistoryChoice):
    """Choose the newest.

    Example:
        >>> newest = NewestTitles(["", "green tea", "iron pot", "tea pot"])
        >>> newest.choose(np.array([1, 2, 1]), item=3, count=2).tolist()
        [1, 2]
    """

    @override
    def choose(self, history: Ints, item: int, count: int) -> Ints:
        return self.newest(history)[-count:]


class RelatedTitles(HistoryChoice):
    """Choose the texts most like the candidate's, by shared words; of equals, the newest.

    Few items of a long history bear on a candidate (ReLLa, Lin et al., 2023, arXiv:2308.11131). We
    compare words, the rarer the heavier, instead of vectors, so no model runs over whole histories.

    Example:
        >>> related = RelatedTitles(["", "green tea", "iron pot", "tea pot"])
        >>> related.choose(np.array([1, 2]), item=3, count=1).tolist()
        [1]
    """

    def __init__(self, titles: Sequence[str]) -> None:
        super().__init__(titles)
        words = [sorted(set(re.findall(r"\w+", title.lower()))) for title in titles]
        counts = Counter(word for line in words for word in line)
        places = {word: place for place, word in enumerate(counts)}
        # Words of all titles in a row; a title owns those from its start to the next one's.
        self.words = np.array([places[word] for line in words for word in line], dtype=np.int64)
        self.starts = np.cumsum([0, *map(len, words)])
        frequencies = np.array(list(counts.values()), dtype=np.float64)
        self.weights = np.log(1 + len(titles) / frequencies)  # (words,)
        self.shared = np.zeros(len(counts))
        self.totals = self._sums(np.arange(len(titles)), self.weights)

    @override
    def choose(self, history: Ints, item: int, count: int) -> Ints:
        positions = self.newest(history)
        likeness = self.likeness(history[positions], item)
        return positions[np.lexsort((positions, likeness))[-count:]]

    def likeness(self, items: Ints, item: int) -> NDArray[np.float64]:
        """Return the weight of the words shared with ``item`` over that of all, 0 to 1.

        Args:
            items: Item indices, shape ``(L,)``.
            item: The candidate.
        """
        words = self.words[self.starts[item] : self.starts[item + 1]]
        self.shared[words] = self.weights[words]
        shared = self._sums(items, self.shared)
        self.shared[words] = 0
        either = self.totals[items] + self.totals[item] - shared
        return shared / np.where(either > 0, either, 1)

    def _sums(self, items: Ints, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weight of the words of each item, shape ``(L,)``."""
        starts, ends = self.starts[items], self.starts[items + 1]
        rows = np.repeat(np.arange(len(items)), ends - starts)
        firsts = np.cumsum(ends - starts) - (ends - starts)
        words = self.words[np.arange(len(rows)) + (starts - firsts)[rows]]
        return np.bincount(rows, weights[words], minlength=len(items)).astype(np.float64)
