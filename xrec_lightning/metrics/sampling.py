"""Ranking among sampled negatives, only to compare with papers that do so.

Sampled figures are far above full ones and may order models otherwise (Krichene and Rendle, "On
sampled metrics for item recommendation", KDD 2020).
"""

import torch
from torch import Tensor


def keep_sampled(
    is_candidate: Tensor, target_ids: Tensor, row_ids: Tensor, num_negatives: int, seed: int = 0
) -> Tensor:
    """Return the candidates that stay: each target and negatives drawn uniformly for its row.

    The draw depends on the seed, the row and its candidates only, so that it is the same for every
    model, batch size and number of processes.

    Args:
        is_candidate: Items that may be ranked, shape ``(B, N)``.
        target_ids: Column of each row's target, shape ``(B,)``.
        row_ids: Number of each target in the whole test, shape ``(B,)``.
        num_negatives: Negatives of each target; all where there are fewer.
        seed: Seed of the draws.

    Returns:
        Shape ``(B, N)``.

    Example:
        >>> kept = keep_sampled(torch.ones(2, 9).bool(), torch.tensor([4, 8]), torch.arange(2), 3)
        >>> kept.sum(dim=1).tolist(), kept[0, 4].item(), kept[1, 8].item()
        ([4, 4], True, True)
    """
    kept = torch.zeros_like(is_candidate, device="cpu")
    generator = torch.Generator()
    for row, number in enumerate(row_ids.tolist()):
        negatives = is_candidate[row].cpu()
        negatives[target_ids[row]] = False
        columns = negatives.nonzero()[:, 0]
        generator.manual_seed(seed * 1_000_003 + number)
        chosen = torch.randperm(len(columns), generator=generator)[:num_negatives]
        kept[row, columns[chosen]] = True
        kept[row, target_ids[row]] = True
    return kept.to(is_candidate.device)
