from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from xrec_lightning.models.language.tuning.vectors import Ia3Tuning, LayerNormTuning, VeraTuning

Model = Callable[..., PreTrainedModel]


def trained(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {n: tuple(w.shape) for n, w in model.named_parameters() if w.requires_grad}


@pytest.mark.parametrize(
    ("family", "outputs", "inputs"),
    [
        ("bert", [(16, 1), (16, 1)], [(1, 32)]),
        ("distilbert", [(16, 1), (16, 1)], [(1, 32)]),
        ("gpt2", [(48, 1)], [(1, 64)]),  # queries, keys and values are one layer
        ("llama", [(8, 1), (8, 1)], [(1, 32)]),  # two of four heads have keys and values
    ],
)
def test_ia3_scales_keys_values_and_feed_forward_states(
    family: str,
    outputs: list[tuple[int, int]],
    inputs: list[tuple[int, int]],
    tiny_model: Model,
) -> None:
    shapes = trained(Ia3Tuning().apply(tiny_model(family))).values()
    assert sorted(shapes) == sorted(2 * [*outputs, *inputs])


def test_ia3_can_be_told_its_layers(tiny_model: Model) -> None:
    tuning = Ia3Tuning(
        target_modules=["query", "intermediate.dense"], feed_forward_modules=["intermediate.dense"]
    )
    assert sorted(trained(tuning.apply(tiny_model())).values()) == 2 * [(1, 16)] + 2 * [(16, 1)]
    with pytest.raises(ValueError, match=r"\['key'\] is not part of target_modules \['query'\]"):
        Ia3Tuning(target_modules=["query"], feed_forward_modules=["key"])


def test_the_random_matrices_of_vera_follow_from_its_seed(
    tiny_model: Model, states: Callable[[nn.Module], Tensor], moved: Callable[..., nn.Module]
) -> None:
    def made(seed: int) -> Tensor:
        torch.manual_seed(seed + 10)  # must not matter
        return states(moved(VeraTuning(rank=4, seed=seed).apply(tiny_model())))

    assert torch.equal(made(0), made(0))
    assert not torch.allclose(made(0), made(1))


def test_norms_are_trained_and_nothing_else(tiny_model: Model) -> None:
    shapes = trained(LayerNormTuning().apply(tiny_model()))
    assert len(shapes) == 2 * 5  # scale and shift of one norm below the layers and two in each
    assert set(shapes.values()) == {(16,)}
    assert len(trained(LayerNormTuning(target_modules=["ln_f"]).apply(tiny_model("gpt2")))) == 2
