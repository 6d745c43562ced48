from collections.abc import Callable

import pytest
from transformers import PreTrainedModel

from xrec_lightning.models.language.tuning.lora import LoraTuning

Model = Callable[..., PreTrainedModel]


def trained(tuning: LoraTuning, model: PreTrainedModel) -> list[str]:
    return [name for name, p in tuning.apply(model).named_parameters() if p.requires_grad]


def test_lora_trains_nothing_but_adapters_of_linear_layers(tiny_model: Model) -> None:
    names = trained(LoraTuning(rank=2), tiny_model())
    assert len(names) == 2 * 2 * 6  # two matrices, two layers, six linear layers in each
    assert all("lora_" in name for name in names)


def test_named_layers_only_are_adapted(tiny_model: Model) -> None:
    names = trained(LoraTuning(rank=2, target_modules=["query"]), tiny_model())
    assert len(names) == 2 * 2
    assert all(".query.lora_" in name for name in names)


def test_a_layer_that_is_not_there_is_refused(tiny_model: Model) -> None:
    with pytest.raises(ValueError, match=r"target_modules: 'q_proj' matches no module"):
        LoraTuning(target_modules=["q_proj"]).apply(tiny_model())


def test_dora_adds_a_length_for_every_output(tiny_model: Model) -> None:
    names = trained(LoraTuning(rank=2, dora=True), tiny_model())
    assert sum("magnitude" in name for name in names) == 2 * 6


def test_rslora_scales_by_the_root_of_the_rank(tiny_model: Model) -> None:
    for rslora, scale in ((False, 32 / 16), (True, 32 / 4)):
        tuned = LoraTuning(rank=16, alpha=32, rslora=rslora).apply(tiny_model())
        layer = tuned.get_submodule("base_model.model.encoder.layer.0.attention.self.query")
        assert layer.scaling == {"default": scale}
