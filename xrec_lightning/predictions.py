"""The tensors that models say of batches, and callbacks write."""

from typing import NamedTuple

from torch import Tensor


class ClickPredictions(NamedTuple):
    """Predicted answers to prompts. B prompts."""

    user_ids: Tensor
    """User indices, shape ``(B,)``."""
    item_ids: Tensor
    """Candidates, shape ``(B,)``."""
    domain_ids: Tensor
    """Domain of the candidates, shape ``(B,)``."""
    probabilities: Tensor
    """Probability that the user chooses the candidate, shape ``(B,)``."""


class RatingPredictions(NamedTuple):
    """Predicted ratings; fields as in `ClickPredictions`. B prompts."""

    user_ids: Tensor
    item_ids: Tensor
    domain_ids: Tensor
    ratings: Tensor
    """In the units of the data, shape ``(B,)``."""


class CandidateScores(NamedTuple):
    """Scores of the candidates of prompts; fields as in `ClickPredictions`. B prompts."""

    user_ids: Tensor
    item_ids: Tensor
    domain_ids: Tensor
    scores: Tensor
    """Comparable among the candidates of a prompt, shape ``(B,)``."""


class ClassPredictions(NamedTuple):
    """Predicted classes of texts; fields as in `LabeledTextBatch`. B texts."""

    user_ids: Tensor
    item_ids: Tensor
    domain_ids: Tensor
    class_ids: Tensor
    """The most probable class, from 0, shape ``(B,)``."""
    probabilities: Tensor
    """Its probability, shape ``(B,)``."""


class RankedBatch(NamedTuple):
    """Ranks of evaluated targets. B targets."""

    row_ids: Tensor
    """Row of the target file, shape ``(B,)``."""
    ranks: Tensor
    """1-based rank among the candidates, ties against the model, shape ``(B,)``."""
    num_candidates: Tensor
    """Number of ranked candidates, the target included, shape ``(B,)``."""


class ScoredItems(NamedTuple):
    """The best items of each row of a predict batch. B rows, K items."""

    user_ids: Tensor
    """User indices, shape ``(B,)``."""
    domain_ids: Tensor
    """Domain of the recommendations, shape ``(B,)``."""
    item_ids: Tensor
    """Best first; 0 where the domain has fewer candidates, shape ``(B, K)``."""
    scores: Tensor
    """Shape ``(B, K)``; -inf where there is no item."""
