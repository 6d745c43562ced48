from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.full import FullTuning


def test_full_tuning_trains_all_but_frozen_embeddings(tiny_language: str) -> None:
    config = TowerConfig(model=tiny_language)
    everything = FullTuning(freeze_embeddings=False).apply(config.load())
    assert all(p.requires_grad for p in everything.parameters())
    frozen = FullTuning().apply(config.load())
    fixed = [name for name, p in frozen.named_parameters() if not p.requires_grad]
    assert fixed == ["embeddings.word_embeddings.weight"]
