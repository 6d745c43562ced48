from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
)

from xrec_lightning.batches import TextBatch
from xrec_lightning.models.language.causal import answer_tokens, load_causal, read_texts
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.adalora import AdaLoraTuning
from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.models.language.tuning.bottleneck import BottleneckTuning
from xrec_lightning.models.language.tuning.full import FullTuning
from xrec_lightning.models.language.tuning.lora import LoraTuning
from xrec_lightning.models.language.tuning.prefix import PrefixTuning
from xrec_lightning.models.language.tuning.prompts import PromptTuning, PTuning
from xrec_lightning.models.language.tuning.vectors import Ia3Tuning

TEXTS = ["green tea 1", "iron pot brand 2 history mint tea", "tea"]
TUNINGS = [
    FullTuning(),
    LoraTuning(rank=2, dora=True),
    AdaLoraTuning(),
    Ia3Tuning(),
    PrefixTuning(),
    PromptTuning(),
    PTuning(),
    BottleneckTuning(),
]
SMALL = {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 400, "n_positions": 64}


def batch(name: str, texts: list[str] = TEXTS) -> TextBatch:
    encoded = AutoTokenizer.from_pretrained(name)(texts, padding=True, return_tensors="pt")
    return TextBatch(encoded["input_ids"], encoded["attention_mask"].bool())


def models(name: str) -> list[nn.Module]:
    config = GPT2Config(**SMALL, bos_token_id=0, eos_token_id=0)
    tuned = LoraTuning(rank=2).apply(load_causal(name))
    return [load_causal(name), GPT2LMHeadModel(config), tuned]


@pytest.mark.parametrize("which", [0, 1, 2], ids=["llama", "gpt2", "tuned"])
def test_logits_are_those_of_each_text_alone_after_its_last_token(
    tiny_causal: str, which: int
) -> None:
    model = models(tiny_causal)[which].eval()
    text = batch(tiny_causal)
    with torch.inference_mode():
        output = read_texts(model, text)
        for row, mask in enumerate(text.attention_mask):
            tokens = text.token_ids[row][mask][None]
            alone = model(input_ids=tokens, output_hidden_states=True)
            torch.testing.assert_close(output.logits[row], alone.logits[0, -1], atol=1e-5, rtol=0)
            states, expected = output.states[row][mask], alone.hidden_states[-1][0]
            torch.testing.assert_close(states, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("tuning", TUNINGS, ids=lambda tuning: type(tuning).__name__)
def test_every_tuning_keeps_the_logits_of_the_last_token(
    tiny_causal: str, tuning: TuningConfig
) -> None:
    model = tuning.apply(load_causal(tiny_causal)).eval()
    text = batch(tiny_causal)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight += 0.1 * torch.randn_like(weight)
        whole = model(input_ids=text.token_ids, attention_mask=text.attention_mask.long()).logits
        output = read_texts(model, text)
    last = text.attention_mask.sum(dim=1) - 1
    torch.testing.assert_close(output.logits, whole[[0, 1, 2], last], atol=1e-4, rtol=0)
    assert output.states.shape == (*text.token_ids.shape, 16)


def test_the_model_is_left_as_it_was(tiny_causal: str) -> None:
    model, text = load_causal(tiny_causal), batch(tiny_causal)
    read_texts(model, text)
    assert model(input_ids=text.token_ids).logits.shape[:2] == text.token_ids.shape


def test_a_tower_with_a_head_gives_vectors_and_logits(tiny_causal: str) -> None:
    text = batch(tiny_causal)
    headless = TowerConfig(model=tiny_causal, pooling="last").build().eval()
    tower = TowerConfig(model=tiny_causal, pooling="last", language_head=True).build().eval()
    split = TowerConfig(model=tiny_causal, language_head=True, bucket_size=1).build().eval()
    torch.testing.assert_close(tower(text), headless(text), atol=1e-5, rtol=0)
    expected = read_texts(tower.model, text).logits
    assert expected.shape == (3, tower.limits.num_tokens)
    torch.testing.assert_close(split.next_token_logits(text), expected, atol=1e-5, rtol=0)
    assert not headless.has_language_head


def test_an_answer_is_one_token(tiny_causal: str) -> None:
    tokens = answer_tokens(tiny_causal, [" Yes", " No"])
    tokenizer = AutoTokenizer.from_pretrained(tiny_causal)
    assert [tokenizer.decode([token]) for token in tokens] == [" Yes", " No"]


@pytest.mark.parametrize("answer", ["Absolutely", "", "Yes"])
def test_an_answer_of_no_or_of_several_tokens_is_refused(tiny_causal: str, answer: str) -> None:
    with pytest.raises(ValueError, match=f"the answer {answer!r} is .* tokens of .*space before"):
        answer_tokens(tiny_causal, [" Yes", answer])


def test_an_unknown_word_is_no_answer(tiny_language: str) -> None:
    with pytest.raises(ValueError, match=r"\['\[UNK\]'\], where one known token"):
        answer_tokens(tiny_language, ["Ω"])


def test_a_model_that_reads_both_ways_is_refused(tmp_path: Path) -> None:
    config = BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
    )
    BertForMaskedLM(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="reads in both directions; choose a causal model"):
        load_causal(str(tmp_path))


def test_a_model_without_head_is_refused(tmp_path: Path) -> None:
    GPT2Model(GPT2Config(**SMALL, tie_word_embeddings=False)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"no weights for lm_head\.weight; choose a causal model"):
        load_causal(str(tmp_path))


def test_a_head_that_is_tied_is_no_missing_weight(tmp_path: Path) -> None:
    model = GPT2LMHeadModel(GPT2Config(**SMALL)).eval()
    model.save_pretrained(tmp_path)
    loaded = load_causal(str(tmp_path)).eval()
    token_ids = torch.tensor([[3, 1, 4]])
    expected = AutoModelForCausalLM.from_pretrained(tmp_path).eval()(token_ids).logits
    torch.testing.assert_close(loaded(token_ids).logits, expected)
