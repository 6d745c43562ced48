"""Histories put to a language model as text."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from math import log


def history_text(titles: Sequence[str]) -> str:
    """Return titles as one text.

    Example:
        >>> history_text(["bread", "butter"])
        'bread; butter'
    """
    return "; ".join(titles) or "none"


class RelatedTitles:
    """Choose from a history the titles most like a candidate's, by shared words.

    Few titles of a long history bear on a candidate (ReLLa, Lin et al., 2023, arXiv:2308.11131). We
    compare words, the rarer the heavier, instead of vectors, so no model runs over whole histories.

    Args:
        titles: Title of each item, by item index; empty where it has none.

    Example:
        >>> related = RelatedTitles(["", "green tea", "iron pot", "tea pot"])
        >>> related.choose([1, 2], item=3, count=1)
        ['iron pot']
    """

    def __init__(self, titles: Sequence[str]) -> None:
        self.titles = titles
        self.words = [frozenset(re.findall(r"\w+", title.lower())) for title in titles]
        counts = Counter(word for words in self.words for word in words)
        self.weights = {word: log(1 + len(titles) / count) for word, count in counts.items()}

    def choose(self, history: Iterable[int], item: int, count: int) -> list[str]:
        """Return ``count`` distinct titles, most like the candidate last; of equals, the newest.

        Args:
            history: Item indices, oldest first.
            item: The candidate.
            count: Fewer come back where the history has fewer titles.
        """
        newest = {self.titles[i]: (age, i) for age, i in enumerate(history) if self.titles[i]}
        ranked = sorted((self.likeness(i, item), age, i) for age, i in newest.values())
        return [self.titles[i] for _, _, i in ranked[-count:]]

    def likeness(self, left: int, right: int) -> float:
        """Return the weight of the shared words over that of all words of two titles, 0 to 1."""
        shared, either = self.words[left] & self.words[right], self.words[left] | self.words[right]
        return self._weigh(shared) / self._weigh(either) if shared else 0.0

    def _weigh(self, words: Iterable[str]) -> float:
        # Sorted, since the order of a set and with it the last bit of the sum differ by process.
        return sum(self.weights[word] for word in sorted(words))
