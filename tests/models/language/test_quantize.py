import pytest
import torch
from torch import nn
from transformers import AutoModel, GPT2Config, GPT2Model

from xrec_lightning.models.language.quantize import Int8Linear, quantize


def brute_force(layer: nn.Linear, token: list[float]) -> list[float]:
    """Compute the outputs of one token number by number, with rounded weights and inputs."""
    least, most = min(0.0, *token), max(0.0, *token)
    step = (most - least) / 255
    rounded = [round((number - least) / step) * step + least for number in token]
    outputs = []
    for weights, bias in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True):
        scale = max(map(abs, weights)) / 127
        products = [
            round(weight / scale) * scale * number
            for weight, number in zip(weights, rounded, strict=True)
        ]
        outputs.append(sum(products) + bias)
    return outputs


@pytest.fixture
def linear() -> nn.Linear:
    return nn.Linear(24, 10)


@torch.inference_mode()
def test_outputs_equal_those_of_rounded_numbers(linear: nn.Linear) -> None:
    inputs = torch.randn(5, 24) + 0.3
    outputs = Int8Linear(linear.weight, linear.bias)(inputs)
    expected = torch.tensor([brute_force(linear, token) for token in inputs.tolist()])
    torch.testing.assert_close(outputs, expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_outputs_are_near_and_not_equal(linear: nn.Linear) -> None:
    inputs = torch.randn(2, 3, 24)
    outputs = Int8Linear(linear.weight, None)(inputs)
    expected = nn.functional.linear(inputs, linear.weight)
    assert outputs.shape == (2, 3, 10)
    torch.testing.assert_close(outputs, expected, atol=0.03, rtol=0)
    assert not torch.equal(outputs, expected)


@torch.inference_mode()
def test_a_token_depends_on_no_other_to_the_bit(linear: nn.Linear) -> None:
    layer = Int8Linear(linear.weight, linear.bias)
    inputs = torch.randn(40, 24) * torch.rand(40, 1) * 9
    alone = torch.cat([layer(token[None]) for token in inputs])
    assert torch.equal(layer(inputs), alone)


@torch.inference_mode()
@pytest.mark.parametrize("value", [0.0, 5.0, -5.0, 1e-9, 1e6])
def test_constant_inputs_and_zero_weights_are_exact(value: float) -> None:
    layer = nn.Linear(24, 2, bias=True)
    layer.weight[0] = 0
    inputs = torch.full((1, 24), value)
    outputs = Int8Linear(layer.weight, layer.bias)(inputs)
    assert outputs.isfinite().all()
    assert outputs[0, 0] == layer.bias[0]
    scale = layer.weight[1].abs().max() / 127
    torch.testing.assert_close(
        outputs[0, 1], layer(inputs)[0, 1], atol=float(scale * abs(value) * 12) + 1e-6, rtol=1e-4
    )


@torch.inference_mode()
def test_a_whole_model_keeps_its_directions(tiny_language: str) -> None:
    ids = torch.randint(5, 40, (3, 7))
    model = AutoModel.from_pretrained(tiny_language, dtype="float32").eval()
    before = model(input_ids=ids).last_hidden_state
    assert quantize(model) is model
    assert not any(isinstance(module, nn.Linear) for module in model.modules())
    after = model(input_ids=ids).last_hidden_state
    assert torch.cosine_similarity(after, before, dim=-1).min() > 0.999


@torch.inference_mode()
def test_layers_with_inputs_first_are_replaced_too() -> None:
    config = GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=50, n_positions=16)
    model = GPT2Model(config).eval()
    ids = torch.randint(0, 50, (2, 6))
    before = model(input_ids=ids).last_hidden_state
    after = quantize(model)(input_ids=ids).last_hidden_state
    assert sum(isinstance(module, Int8Linear) for module in model.modules()) == 8
    assert torch.cosine_similarity(after, before, dim=-1).min() > 0.999
