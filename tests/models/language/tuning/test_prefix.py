from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from xrec_lightning.models.language.tuning.prefix import (
    CHILD,
    Prefix,
    PrefixTuning,
    attend_with_prefix,
)

Model = Callable[..., PreTrainedModel]
FAMILIES = ["bert", "roberta", "distilbert", "gpt2", "llama"]


class Attending(nn.Module):
    """An attention of two heads, each 4 wide."""

    def __init__(self, *, is_causal: bool) -> None:
        super().__init__()
        self.is_causal = is_causal
        self.add_module(CHILD, Prefix(num_heads=2, num_tokens=3, head_dim=4))


def by_hand(prefix: Prefix, query: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> Tensor:
    """Return what each query finds, one at a time."""
    found = torch.zeros_like(query)
    for row, head, place in torch.cartesian_prod(*(torch.arange(n) for n in query.shape[:3])):
        visible = seen[row, place]
        keys = torch.cat([prefix.key[head], key[row, head, visible]])
        values = torch.cat([prefix.value[head], value[row, head, visible]])
        weights = torch.softmax(keys @ query[row, head, place] / 2.0, dim=0)
        found[row, head, place] = weights @ values
    return found.transpose(1, 2)


@pytest.mark.parametrize("kind", ["none", "boolean", "added", "causal"])
def test_every_token_sees_the_prefix_and_what_it_saw_before(kind: str) -> None:
    module = Attending(is_causal=kind == "causal")
    query, key, value = torch.randn(3, 2, 2, 5, 4)
    seen = torch.ones(2, 5, 5, dtype=torch.bool)
    if kind == "causal":
        seen = seen.tril()
    elif kind != "none":
        seen = torch.tensor([5, 3])[:, None, None] > torch.arange(5).expand(2, 5, 5)
    added = torch.zeros(2, 5, 5).masked_fill(~seen, -1e9)
    mask = {"boolean": seen[:, None], "added": added[:, None]}.get(kind)
    found, _ = attend_with_prefix(module, query, key, value, mask)
    expected = by_hand(module.get_submodule(CHILD), query, key, value, seen)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_an_attention_without_a_prefix_works_as_always() -> None:
    query, key, value = torch.randn(3, 1, 2, 5, 4)
    module = nn.Module()
    module.is_causal = False
    found, _ = attend_with_prefix(module, query, key, value, None)
    expected = nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_and_the_prefix_do_not_disturb_each_other(
    family: str, tiny_model: Model, moved: Callable[[nn.Module], nn.Module]
) -> None:
    tuned = moved(PrefixTuning(num_tokens=3).apply(tiny_model(family)))
    short = torch.tensor([[2, 7, 3]])
    alone = tuned(input_ids=short, attention_mask=torch.ones_like(short)).last_hidden_state
    padded = torch.tensor([[2, 7, 3, 1, 1]])
    mask = torch.tensor([[1, 1, 1, 0, 0]])
    beside = tuned(input_ids=padded, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(beside[:, :3], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("with_mask", [True, False])
def test_a_causal_model_stays_causal(
    family: str, with_mask: bool, tiny_model: Model, moved: Callable[[nn.Module], nn.Module]
) -> None:
    tuned = moved(PrefixTuning(num_tokens=3).apply(tiny_model(family)))
    first, second = torch.tensor([[2, 7, 3, 5]]), torch.tensor([[2, 7, 9, 8]])
    mask = torch.ones_like(first) if with_mask else None
    past = [tuned(input_ids=x, attention_mask=mask).last_hidden_state for x in (first, second)]
    torch.testing.assert_close(past[0][:, :2], past[1][:, :2])
    assert not torch.allclose(past[0][:, 2:], past[1][:, 2:])


def test_no_position_is_used_up(tiny_model: Model) -> None:
    tuned = PrefixTuning(num_tokens=30).apply(tiny_model())
    assert tuned(input_ids=torch.full((1, 34), 7)).last_hidden_state.shape == (1, 34, 16)


def test_prefixes_are_learned_under_gradient_checkpointing(tiny_model: Model) -> None:
    def gradients(*, checkpointing: bool) -> list[Tensor]:
        torch.manual_seed(3)
        tuned = PrefixTuning(num_tokens=3).apply(tiny_model())
        if checkpointing:
            tuned.activation_checkpointing_enable()
        for module in tuned.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        states = tuned.train()(input_ids=torch.tensor([[2, 7, 3]])).last_hidden_state
        (states * torch.arange(16.0)).sum().backward()
        return [w.grad for w in tuned.parameters() if w.requires_grad]

    for plain, saved in zip(
        gradients(checkpointing=False), gradients(checkpointing=True), strict=True
    ):
        torch.testing.assert_close(plain, saved)


def test_an_empty_prefix_is_refused() -> None:
    with pytest.raises(ValueError, match="num_tokens: 0 is not at least 1"):
        PrefixTuning(num_tokens=0)
