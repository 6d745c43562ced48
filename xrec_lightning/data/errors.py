"""The error that a user's own files and settings cause, and the nearest valid name."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something is wrong with a file or a setting; the message holds value and remedy."""


def suggest(name: str, valid: Iterable[str]) -> str:
    """Return a remark that names the nearest of the ``valid`` names, or all of them.

    Example:
        >>> suggest("usr_id", ["user_id", "item_id"])
        'did you mean `user_id`?'
        >>> suggest("x", ["user_id", "item_id"])
        'valid: item_id, user_id'
    """
    names = sorted(valid)
    nearest = get_close_matches(name, names, n=1)
    return f"did you mean `{nearest[0]}`?" if nearest else f"valid: {', '.join(names)}"
