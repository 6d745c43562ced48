from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, AutoTokenizer

from xrec_lightning.batches import Catalog, JointPromptBatch, TextBatch
from xrec_lightning.callbacks.model_folder import ModelFolderWriter
from xrec_lightning.models.heads.generative import GenerativeConfig
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.models.language.tuning.full import FullTuning
from xrec_lightning.models.language.tuning.lora import LoraTuning
from xrec_lightning.modules.finetune import LanguageFineTuner
from xrec_lightning.modules.tasks.generative import GenerativeTaskConfig

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
pytestmark = pytest.mark.filterwarnings("ignore:.*(num_workers|LeafSpec|batch_idx)")
CATALOG = Catalog("tiny", ("tea", "pots"), (), 4, 6, torch.zeros(7), (), prompt_texts=1)
PROMPTS = [
    "The user bought green tea 1. Would the user buy mint tea 2? Answer:",
    "The user bought iron pot 1. Would the user buy black tea 4? Answer:",
    "The user bought clay pot 3; iron pot 2. Would the user buy tea pot 1? Answer:",
    "The user bought mint tea 4. Would the user buy clay pot 0? Answer:",
]


@pytest.fixture
def batch(tiny_causal: str) -> JointPromptBatch:
    encoded = AutoTokenizer.from_pretrained(tiny_causal)(PROMPTS, padding=True, return_tensors="pt")
    ids = torch.arange(1, 5)
    text = TextBatch(encoded["input_ids"], encoded["attention_mask"].bool())
    labels = torch.tensor([1.0, 0.0, 1.0, 0.0])
    return JointPromptBatch(text, labels, ids, ids, torch.ones_like(ids), ids)


def tuner(
    model: str, tuning: TuningConfig | None = None, head: GenerativeConfig | None = None
) -> LanguageFineTuner:
    torch.manual_seed(0)
    return LanguageFineTuner(
        CATALOG,
        TowerConfig(model=model, language_head=True),
        tuning or LoraTuning(rank=4),
        {"answer": GenerativeTaskConfig(head=head or GenerativeConfig())},
        optimizer=partial(torch.optim.AdamW, lr=1e-2),
    )


@pytest.mark.parametrize("tuning", [LoraTuning(rank=4), FullTuning(freeze_embeddings=False)])
@pytest.mark.parametrize("against", ["answers", "vocabulary"])
def test_it_learns_one_batch(
    tiny_causal: str, batch: JointPromptBatch, tuning: TuningConfig, against: str
) -> None:
    module = tuner(tiny_causal, tuning, GenerativeConfig(against=against))
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        loss = module.task("answer").loss(module.tower, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_untrained_it_says_what_the_model_says(tiny_causal: str, batch: JointPromptBatch) -> None:
    module = tuner(tiny_causal).eval()
    predictions = module.task("answer").predict(module.tower, batch)
    tokenizer = AutoTokenizer.from_pretrained(tiny_causal)
    yes, no = (tokenizer(answer)["input_ids"][0] for answer in (" Yes", " No"))
    plain = AutoModelForCausalLM.from_pretrained(tiny_causal).eval()
    for prompt, probability in zip(PROMPTS, predictions.probabilities, strict=True):
        with torch.inference_mode():
            last = plain(**tokenizer(prompt, return_tensors="pt")).logits[0, -1]
        expected = last[[yes, no]].softmax(dim=0)[0]
        torch.testing.assert_close(probability, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("tuning", [LoraTuning(rank=4), FullTuning()])
def test_a_run_reports_and_writes_a_model_that_answers_alike(
    tiny_causal: str, batch: JointPromptBatch, tuning: TuningConfig, tmp_path: Path
) -> None:
    module = tuner(tiny_causal, tuning)
    loader: DataLoader[JointPromptBatch] = DataLoader([batch], batch_size=None)
    trainer = Trainer(
        max_epochs=3,
        default_root_dir=tmp_path,
        callbacks=[ModelFolderWriter()],
        enable_checkpointing=False,
        **QUIET,
    )
    trainer.fit(module, loader, loader)
    assert {"train/loss", "val/loss", "val/auc", "val/accuracy"} <= set(trainer.callback_metrics)
    figures = trainer.test(module, loader, verbose=False)[0]
    assert {"test/loss", "test/auc", "test/precision/0"} <= set(figures)
    merged = tuner(str(tmp_path / "merged")).eval()
    tuned = module.eval().task("answer").predict(module.tower, batch).probabilities
    again = merged.task("answer").predict(merged.tower, batch).probabilities
    torch.testing.assert_close(again, tuned, atol=1e-5, rtol=0)


def test_a_tower_without_head_is_refused(tiny_causal: str) -> None:
    tower = TowerConfig(model=tiny_causal).build()
    with pytest.raises(ValueError, match=r"set model\.init_args\.tower\.language_head to true"):
        GenerativeTaskConfig().build(tower, CATALOG)


def test_an_answer_of_several_tokens_is_refused(tiny_causal: str) -> None:
    with pytest.raises(ValueError, match=r"the answer ' Certainly' is .* tokens"):
        tuner(tiny_causal, head=GenerativeConfig(yes=" Certainly"))


def test_prompts_of_two_texts_are_refused(tiny_causal: str) -> None:
    tower = TowerConfig(model=tiny_causal, language_head=True).build()
    with pytest.raises(ValueError, match=r"set data\.init_args\.prompt\.template"):
        GenerativeTaskConfig().build(tower, CATALOG._replace(prompt_texts=2))
