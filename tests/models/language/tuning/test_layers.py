from collections.abc import Callable

import pytest
from torch import nn
from transformers import PreTrainedModel

from xrec_lightning.models.language.tuning.layers import is_language_model, layered_weights
from xrec_lightning.models.language.tuning.lora import LoraTuning

Model = Callable[..., PreTrainedModel]


@pytest.mark.parametrize(
    ("family", "below", "above"),
    [
        ("bert", 5, 0),  # three tables and a norm
        ("roberta", 5, 0),
        ("distilbert", 4, 0),
        ("gpt2", 2, 2),  # a norm comes last
        ("llama", 1, 1),
    ],
)
def test_every_weight_has_its_depth(family: str, below: int, above: int, tiny_model: Model) -> None:
    model = tiny_model(family, num_layers=3)
    weights = layered_weights(model)
    assert (len(weights.below), len(weights.layers), len(weights.above)) == (below, 3, above)
    found = [*weights.below, *(w for layer in weights.layers for w in layer), *weights.above]
    assert {id(w) for w in found} == {id(w) for w in model.parameters()}
    assert len(found) == len(list(model.parameters()))


def test_adapters_are_part_of_their_layer(tiny_model: Model) -> None:
    plain = layered_weights(tiny_model())
    tuned = layered_weights(LoraTuning(rank=2).apply(tiny_model()))
    assert [len(layer) for layer in tuned.layers] == [len(p) + 2 * 6 for p in plain.layers]


def test_what_has_no_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear has no layers"):
        layered_weights(nn.Linear(1, 1))


def test_only_models_of_transformers_are_language_models(tiny_model: Model) -> None:
    assert is_language_model(tiny_model())
    assert not is_language_model(nn.Linear(1, 1))
