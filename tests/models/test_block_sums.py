"""The sum of exponentials by blocks, `models.losses.block_log_sum_exp`."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from xrec_lightning.models.losses import block_log_sum_exp

sizes = st.integers(1, 9)


def problem(rows: int, columns: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    """Return queries, keys, bias, target items and items of the keys."""
    generator = torch.Generator().manual_seed(rows * 100 + columns)
    floats = (
        torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()
        for shape in ((rows, 4), (columns, 4), (columns,))
    )
    target_ids = torch.randint(columns + 2, (rows,), generator=generator)
    return (*floats, target_ids, torch.arange(columns))


def dense(queries: Tensor, keys: Tensor, bias: Tensor, target_ids: Tensor, ids: Tensor) -> Tensor:
    logits = queries @ keys.T + bias
    return logits.masked_fill(target_ids[:, None] == ids, -torch.inf).logsumexp(dim=1)


@settings(deadline=None, max_examples=60)
@given(sizes, st.integers(2, 9), sizes)
def test_values_and_gradients_are_those_of_all_logits(rows: int, columns: int, size: int) -> None:
    inputs = problem(rows, columns)
    blocks, expected = block_log_sum_exp(*inputs, size), dense(*inputs)
    torch.testing.assert_close(blocks, expected)
    weights = torch.linspace(-1, 2, rows, dtype=torch.float64)
    got = torch.autograd.grad((blocks * weights).sum(), inputs[:3])
    wanted = torch.autograd.grad((expected * weights).sum(), inputs[:3])
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


def test_items_of_keys_may_repeat_in_any_order() -> None:
    *floats, target_ids, _ = problem(40, 30)
    item_ids = torch.randint(8, (30,), generator=torch.Generator().manual_seed(1))
    blocks = block_log_sum_exp(*floats, target_ids % 10, item_ids, 7)
    expected = dense(*floats, target_ids % 10, item_ids)
    torch.testing.assert_close(blocks, expected)
    got = torch.autograd.grad(blocks.sum(), floats)
    for one, other in zip(got, torch.autograd.grad(expected.sum(), floats), strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


def test_single_precision_gradients_agree_to_a_millionth() -> None:
    inputs = problem(200, 300, torch.float32)
    got = torch.autograd.grad(block_log_sum_exp(*inputs, 64).mean(), inputs[:3])
    wanted = torch.autograd.grad(dense(*inputs).mean(), inputs[:3])
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_numeric_gradients_agree() -> None:
    *floats, target_ids, item_ids = problem(4, 5)
    assert torch.autograd.gradcheck(
        lambda *each: block_log_sum_exp(*each, target_ids, item_ids, 2), floats
    )


def test_a_row_without_keys_has_no_gradient() -> None:
    queries, _, _, _, _ = problem(2, 2)
    keys, bias = torch.randn(1, 4, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    total = block_log_sum_exp(queries, keys, bias, torch.tensor([7, 0]), torch.tensor([7]), 1)
    assert total[0] == -torch.inf
    torch.logaddexp(total, torch.zeros(2, dtype=torch.float64)).sum().backward()
    assert queries.grad is not None
    assert queries.grad[0].abs().sum() == 0
    assert queries.grad[1].abs().sum() > 0


def test_logits_beyond_the_exponential_stay_finite() -> None:
    queries, keys, bias, target_ids, item_ids = problem(3, 5, torch.float32)
    inputs = (queries * 1e4, keys, bias, target_ids, item_ids)
    torch.testing.assert_close(block_log_sum_exp(*inputs, 2), dense(*inputs))


@pytest.mark.parametrize("is_autocast", [False, True])
def test_half_precision_is_summed_in_single(is_autocast: bool) -> None:
    *floats, target_ids, item_ids = problem(3, 5, torch.bfloat16)
    if is_autocast:
        floats = [each.float() for each in floats]
    with torch.autocast("cpu", torch.bfloat16, enabled=is_autocast):
        total = block_log_sum_exp(*floats, target_ids, item_ids, 2)
    assert total.dtype == torch.float32
    exact = dense(*(each.float() for each in floats), target_ids, item_ids)
    torch.testing.assert_close(total, exact)


class Largest(TorchDispatchMode):
    """Remember the number of elements of the largest tensor that an operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.size = max(self.size, result.numel())
        return result


def test_no_tensor_is_larger_than_a_block_or_an_input() -> None:
    inputs = problem(300, 500, torch.float32)
    with Largest() as seen:
        block_log_sum_exp(*inputs, 32).sum().backward()
    assert seen.size == 500 * 4
    with Largest() as seen:
        dense(*inputs).sum().backward()
    assert seen.size == 300 * 500
