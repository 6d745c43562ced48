"""The training events of all users, as models that count see them."""

from typing import NamedTuple

import torch
from torch import Tensor


class TrainingHistories(NamedTuple):
    """Training events, one user after the other, in order of time. Shapes: U users, M events.

    Validation and test events are never among them.
    """

    offsets: Tensor
    """User ``u`` (from 1) owns ``offsets[u - 1]:offsets[u]``, int64, shape ``(U + 1,)``."""
    item_ids: Tensor
    """Items of the events, int64, shape ``(M,)``."""
    times: Tensor
    """Times of the events in seconds, int64, shape ``(M,)``."""

    def user_ids(self) -> Tensor:
        """Return the user of each event, int64, shape ``(M,)``.

        Example:
            >>> events = torch.tensor([7, 8, 9])
            >>> TrainingHistories(torch.tensor([0, 2, 2, 3]), events, events).user_ids()
            tensor([1, 1, 3])
        """
        users = torch.arange(1, len(self.offsets))
        return users.repeat_interleave(self.offsets.diff())
