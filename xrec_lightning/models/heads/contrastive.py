"""InfoNCE over a batch of queries and keys."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from xrec_lightning.models.gather import gather_rows


class Contrast(NamedTuple):
    """What tells which keys of a batch are negatives of which queries.

    Shapes: B pairs of query and key, S items that a query has seen.
    """

    key_ids: Tensor
    """Item of each key, above 0, shape ``(B,)``."""
    seen_ids: Tensor
    """Items of each query, 0 where there is none, shape ``(B, S)``; equal rows are one query."""
    user_ids: Tensor | None = None
    """User of each pair; a user's pairs are no negatives of each other, shape ``(B,)``."""
    domain_ids: Tensor | None = None
    """Domain of each key; those of other domains are no negatives, shape ``(B,)``."""
    key_log_q: Tensor | None = None
    """Logarithm of the share of draws that are this key, shape ``(B,)``."""
    query_log_q: Tensor | None = None
    """Logarithm of the share of draws that are this query, shape ``(B,)``."""

    def is_hidden(self) -> Tensor:
        """Return which keys are neither negatives nor the answer of a query, shape ``(B, B)``.

        Those of an item that is the answer too or that the query has seen, of an equal query, of
        the same user, of another domain.
        """
        is_hidden = self._is_seen() | _is_equal(self.key_ids)
        is_hidden |= _is_equal(torch.unique(self.seen_ids, dim=0, return_inverse=True)[1])
        if self.user_ids is not None:
            is_hidden |= _is_equal(self.user_ids)
        if self.domain_ids is not None:
            is_hidden |= ~_is_equal(self.domain_ids)
        return is_hidden.fill_diagonal_(fill_value=False)

    def _is_seen(self) -> Tensor:
        """Return which keys a query has seen, without a table of all three axes."""
        found, columns = torch.unique(self.key_ids, return_inverse=True)
        places = torch.searchsorted(found, self.seen_ids.contiguous()).clamp_max(len(found) - 1)
        places = places.masked_fill(found[places] != self.seen_ids, len(found))
        shape = (len(self.seen_ids), len(found) + 1)
        table = torch.zeros(shape, dtype=torch.bool, device=places.device)
        return table.scatter_(1, places, value=True)[:, columns]


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig:
    """Settings of a `ContrastiveHead`."""

    temperature: float = 0.2
    """Divisor of the cosines at the start; it is learned."""
    min_temperature: float = 0.01
    """The learned temperature stays above."""
    max_temperature: float = 1.0
    """The learned temperature stays below."""
    temperature_rate: float = 10.0
    """Learning rate of the temperature's logarithm, in learning rates of its parameter group; 0
    keeps the temperature."""
    symmetric: bool = True
    """Whether the query is found among those of the batch too, not only the key."""
    logq: float = 0.0
    """Share of the correction for how often a negative is drawn: with 1 the cosines learn which
    item is likely, with 0 how much likelier than by chance."""

    def __post_init__(self) -> None:
        if not 0 < self.min_temperature < self.temperature < self.max_temperature:
            raise ValueError(
                f"temperature is {self.temperature}, which does not lie between min_temperature "
                f"{self.min_temperature}, above 0, and max_temperature {self.max_temperature}: set "
                "it inside, or widen them"
            )
        if not 0 <= self.logq <= 1:
            raise ValueError(f"logq is {self.logq}, which is no share: set it from 0 to 1")

    def build(self) -> "ContrastiveHead":
        """Return the head."""
        return ContrastiveHead(self)


torch.serialization.add_safe_globals([ContrastiveConfig])


class ContrastiveHead(nn.Module):
    """InfoNCE over a batch of pairs (Oord et al., 2018, arXiv:1807.03748), in both directions.

    The negatives of a pair are the other ones of the batch, less those that `Contrast` hides. With
    logQ (Yi et al., 2019) the loss estimates the softmax over all items that can be drawn; unlike
    there the answer is not corrected, since it is in the batch whatever is drawn.

    Shapes: B pairs, D width.
    """

    def __init__(self, config: ContrastiveConfig) -> None:
        super().__init__()
        self.symmetric = config.symmetric
        self.logq = config.logq
        self.low = math.log(config.min_temperature)
        self.width = math.log(config.max_temperature) - self.low
        start = (math.log(config.temperature) - self.low) / self.width
        self.start = math.log(start / (1 - start))
        # So that a step of the parameter moves the logarithm of the temperature by its multiple.
        self.scale = config.temperature_rate / (self.width * start * (1 - start))
        self.temperature_shift = nn.Parameter(torch.zeros(()))

    @property
    def temperature(self) -> Tensor:
        """The learned divisor of the cosines, shape ``()``."""
        share = torch.sigmoid(self.start + self.scale * self.temperature_shift)
        return (self.low + self.width * share).exp()

    @override
    def forward(self, queries: Tensor, keys: Tensor, contrast: Contrast) -> Tensor:
        """Return the mean loss of finding each query's key, and each key's query, shape ``()``.

        Args:
            queries: Shape ``(B, D)``.
            keys: Shape ``(B, D)``.
            contrast: Who they are.
        """
        cosines = functional.normalize(queries, dim=1) @ functional.normalize(keys, dim=1).T
        logits = cosines / self.temperature  # (B, B)
        is_hidden = contrast.is_hidden()
        forth = self._loss(logits, is_hidden, contrast.key_log_q)
        if not self.symmetric:
            return forth
        return (forth + self._loss(logits.T, is_hidden.T, contrast.query_log_q)) / 2

    def _loss(self, logits: Tensor, is_hidden: Tensor, log_q: Tensor | None) -> Tensor:
        """Return the mean loss of choosing the diagonal in each row, shape ``()``."""
        if self.logq > 0 and log_q is not None:
            # Logarithm of the times that a key is expected beside the answer.
            log_expected = log_q + math.log(max(1, len(logits) - 1))
            is_answer = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
            logits = logits - self.logq * log_expected.masked_fill(is_answer, 0.0)
        logits = logits.masked_fill(is_hidden, float("-inf"))
        return functional.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def across_ranks(
    queries: Tensor, keys: Tensor, contrast: Contrast
) -> tuple[Tensor, Tensor, Contrast]:
    """Return the pairs of all processes, which must have equally many; see `gather_rows`."""
    parts = [None if part is None else gather_rows(part) for part in contrast]
    return gather_rows(queries), gather_rows(keys), Contrast._make(parts)


def _is_equal(ids: Tensor) -> Tensor:
    return ids[:, None] == ids
