"""Questions put to a language model as text."""

from collections.abc import Sequence


def click_prompt(history: Sequence[str], candidate: str) -> str:
    """Return a history, oldest first, and a candidate as one text.

    The candidate stands last, so a text that is too long loses its oldest history first.

    Example:
        >>> click_prompt(["bread", "butter"], "jam")
        'history: bread; butter. candidate: jam'
    """
    return f"history: {'; '.join(history) or 'none'}. candidate: {candidate}"
