import pytest
import torch
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from xrec_lightning.batches import TextBatch
from xrec_lightning.models.language.limits import text_limits
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.lora import LoraTuning

SHAPE = {
    "vocab_size": 20,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 8,
}


def text(length: int, token: int = 5) -> TextBatch:
    return TextBatch(torch.full((2, length), token), torch.ones(2, length, dtype=torch.bool))


@pytest.mark.parametrize(
    ("model", "longest"),
    [
        (BertModel(BertConfig(max_position_embeddings=10, **SHAPE)), 10),
        (RobertaModel(RobertaConfig(max_position_embeddings=12, pad_token_id=1, **SHAPE)), 10),
    ],
)
def test_the_longest_text_is_read_and_one_longer_refused(model: BertModel, longest: int) -> None:
    limits = text_limits(model, "small")
    assert limits == ("small", 10, 20)
    limits.check(text(longest))
    model(input_ids=text(longest).token_ids)
    with pytest.raises(ValueError, match="a text of 11 tokens, but small reads at most 10: set"):
        limits.check(text(longest + 1))
    with pytest.raises((RuntimeError, IndexError)):
        model(input_ids=text(longest + 1).token_ids)


@pytest.mark.parametrize("tuned", [False, True])
@pytest.mark.parametrize("bucket_size", [None, 1])
def test_a_tower_refuses_what_its_model_cannot_read(
    tiny_language: str, tuned: bool, bucket_size: int | None
) -> None:
    config = TowerConfig(model=tiny_language, bucket_size=bucket_size)
    tower = config.build(LoraTuning(rank=2).apply(config.load()) if tuned else None)
    tower(text(64))
    with pytest.raises(ValueError, match=f"{tiny_language} reads at most 64"):
        tower(text(65))
    with pytest.raises(ValueError, match=r"tokenizer does not fit .*holds token 5000"):
        tower(text(3, token=5000))
