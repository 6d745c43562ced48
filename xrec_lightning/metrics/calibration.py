"""Whether probabilities mean what they say."""

import torch
from torch import Tensor


def calibration_error(probabilities: Tensor, labels: Tensor, num_bins: int = 15) -> Tensor:
    """Return the expected calibration error over bins of equal mass, shape ``()``.

    The answers are sorted by probability and cut into bins that differ in size by one at most; the
    error is the mean over answers of the distance of mean probability and share of yes in their bin
    (Naeini et al., 2015; bins of equal mass as in Nixon et al., 2019, arXiv:1904.01685).

    Args:
        probabilities: Of yes, shape ``(B,)``.
        labels: 0 or 1, shape ``(B,)``.
        num_bins: As many bins, or one an answer where there are fewer answers.

    Example:
        >>> probabilities = torch.tensor([0.25, 0.25, 0.75, 0.75])
        >>> calibration_error(probabilities, torch.tensor([0, 1, 1, 1]), num_bins=2)
        tensor(0.2500, dtype=torch.float64)
    """
    # Of equal probabilities no order of answers may count: they share their mean label.
    values, places, counts = torch.unique(
        probabilities.double(), return_inverse=True, return_counts=True
    )
    sums = torch.zeros_like(values).index_add(0, places, labels.double())
    gaps = (sums / counts - values).repeat_interleave(counts)
    bins = gaps.tensor_split(min(num_bins, max(len(gaps), 1)))
    return torch.stack([each.sum().abs() for each in bins]).sum() / len(gaps)


def brier_score(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the mean squared distance of probability and label, shape ``()``.

    Example:
        >>> brier_score(torch.tensor([0.5, 1.0]), torch.tensor([1, 1]))
        tensor(0.1250, dtype=torch.float64)
    """
    return (probabilities.double() - labels.double()).square().mean()
