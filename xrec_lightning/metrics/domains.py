"""The rows of each domain among those of a metric."""

from collections.abc import Iterator, Sequence

from torch import Tensor


def rows_of_domains(domain_ids: Tensor, domains: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and the rows, a boolean mask of shape ``(B,)``, of each domain that occurs.

    Args:
        domain_ids: Domain indices, shape ``(B,)``.
        domains: Names of the domains; domain index ``i`` is ``domains[i - 1]``.

    Example:
        >>> import torch
        >>> [(name, rows.tolist()) for name, rows in rows_of_domains(torch.tensor([2, 2]), "ab")]
        [('b', [True, True])]
    """
    for index, name in enumerate(domains, start=1):
        rows = domain_ids == index
        if rows.any():
            yield name, rows
