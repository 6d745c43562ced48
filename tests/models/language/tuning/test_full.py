from collections.abc import Callable

from transformers import PreTrainedModel

from xrec_lightning.models.language.tuning.full import FullTuning


def test_full_tuning_trains_all_but_frozen_embeddings(
    tiny_model: Callable[..., PreTrainedModel],
) -> None:
    everything = FullTuning(freeze_embeddings=False).apply(tiny_model())
    assert all(p.requires_grad for p in everything.parameters())
    frozen = FullTuning().apply(tiny_model())
    fixed = [name for name, p in frozen.named_parameters() if not p.requires_grad]
    assert fixed == ["embeddings.word_embeddings.weight"]
