import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from xrec_lightning.models.language import token_loss as subject
from xrec_lightning.models.language.token_loss import summed_loss, token_figures


@pytest.fixture(autouse=True, params=[1, 40, 2**22], ids=["rows", "blocks", "whole"])
def _block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "BLOCK_LOGITS", request.param)


def parts(*, bias: bool = True, rows: int = 7) -> tuple[Tensor, nn.Linear, Tensor]:
    states = torch.randn(rows, 4, requires_grad=True)
    return states, nn.Linear(4, 11, bias=bias), torch.randint(11, (rows,))


@pytest.mark.parametrize("bias", [True, False])
def test_loss_and_gradients_equal_those_of_cross_entropy(bias: bool) -> None:
    states, decoder, labels = parts(bias=bias)
    weights = [states, *decoder.parameters()]
    ours = summed_loss(states, decoder, labels)
    theirs = functional.cross_entropy(decoder(states), labels, reduction="sum")
    torch.testing.assert_close(ours, theirs)
    found = torch.autograd.grad(ours * 3.0, weights)
    for gradient, expected in zip(found, torch.autograd.grad(theirs * 3.0, weights), strict=True):
        torch.testing.assert_close(gradient, expected)


def test_frozen_weights_get_no_gradient() -> None:
    states, decoder, labels = parts()
    decoder.weight.requires_grad_(requires_grad=False)
    summed_loss(states, decoder, labels).backward()
    assert decoder.weight.grad is None
    assert decoder.bias.grad is not None
    expected = functional.cross_entropy(decoder(states), labels, reduction="sum")
    torch.testing.assert_close(states.grad, torch.autograd.grad(expected, states)[0])


def test_no_token_has_no_loss() -> None:
    states, decoder, labels = parts(rows=0)
    loss = summed_loss(states, decoder, labels)
    loss.backward()
    assert loss.item() == 0.0
    assert decoder.weight.grad is not None
    assert decoder.weight.grad.abs().sum() == 0.0
    assert token_figures(states, decoder, labels).losses.shape == (0,)


def test_lower_precision_stays_close() -> None:
    states, decoder, labels = parts()
    expected = summed_loss(states, decoder, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = summed_loss(states, decoder, labels)
    loss.backward()
    torch.testing.assert_close(loss, expected, rtol=0.02, atol=0.02)
    assert decoder.weight.grad is not None
    assert decoder.weight.grad.dtype == torch.float32


def test_figures_of_each_token() -> None:
    states, decoder, labels = parts()
    figures = token_figures(states, decoder, labels)
    logits = decoder(states)
    expected = functional.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(figures.losses, expected.detach())
    assert torch.equal(figures.is_correct, logits.argmax(dim=1) == labels)
    assert not figures.losses.requires_grad
