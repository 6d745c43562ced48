from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.lora import LoraTuning


def test_lora_trains_nothing_but_adapters_of_linear_layers(tiny_language: str) -> None:
    model = LoraTuning(rank=2).apply(TowerConfig(model=tiny_language).load())
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(trained) == 2 * 2 * 6  # two matrices, two layers, six linear layers in each
    assert all("lora_" in name for name in trained)
