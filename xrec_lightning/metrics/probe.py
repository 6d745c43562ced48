"""How well vectors give their domain away."""

import torch
from torch import Tensor
from torch.nn import functional


def domain_probe(
    vectors: Tensor, domain_ids: Tensor, penalty: float = 1e-3, seed: int = 0
) -> Tensor:
    """Return the share of held-out vectors whose domain a fresh linear probe tells.

    The probe, a ridge regression onto the domains, is fitted on one random half and judged on the
    other. All domains count alike, in both, so that a guess is right once in as many times as there
    are domains, and no less tells of vectors that hide theirs.

    Args:
        vectors: Distinct ones, shape ``(R, D)``.
        domain_ids: From 1; 0 where the domain is unknown, shape ``(R,)``.
        penalty: Of the ridge regression.
        seed: Seed of the halves.

    Returns:
        Shape ``()``; NaN unless two domains have vectors in both halves.

    Example:
        >>> vectors = torch.eye(2).repeat(8, 1)
        >>> domain_probe(vectors, torch.tensor([1, 2]).repeat(8))
        tensor(1.)
    """
    rows = domain_ids.nonzero()[:, 0]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    rows = rows[order.to(rows.device)]
    fitted, judged = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    size = int(domain_ids.max()) + 1 if len(domain_ids) else 1
    counts = torch.stack(
        [torch.bincount(domain_ids[half], minlength=size) for half in (fitted, judged)]
    )
    is_told = (counts > 0).all(dim=0)
    if is_told.sum() < 2:
        return vectors.new_tensor(float("nan"))
    fitted, judged = (half[is_told[domain_ids[half]]] for half in (fitted, judged))
    inputs = functional.pad(vectors.float(), (0, 1), value=1.0)  # a bias
    weights = 1.0 / counts[0][domain_ids[fitted]]
    answers = functional.one_hot(domain_ids[fitted], size).float()
    weighted = inputs[fitted] * weights[:, None]
    gram = weighted.T @ inputs[fitted] + penalty * torch.eye(inputs.size(1), device=inputs.device)
    guesses = inputs[judged] @ torch.linalg.solve(gram, weighted.T @ answers)
    guesses = guesses[:, is_told].argmax(dim=1)
    truth = is_told.long().cumsum(0)[domain_ids[judged]] - 1
    hits = torch.bincount(domain_ids[judged][guesses == truth], minlength=size)
    return (hits[is_told] / counts[1][is_told]).mean()
