from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from sklearn.metrics import ndcg_score, roc_auc_score

from xrec_lightning.data.datamodules.instruction import InstructionDataModule
from xrec_lightning.data.text.labels import LabelConfig
from xrec_lightning.data.text.templates import PromptConfig
from xrec_lightning.models.heads.ranking import PairwiseConfig
from xrec_lightning.models.language.tower import TowerConfig
from xrec_lightning.models.language.tuning.full import FullTuning
from xrec_lightning.modules.finetune import LanguageFineTuner
from xrec_lightning.modules.tasks.ranking import RankingTaskConfig, pairs_of_groups

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
pytestmark = pytest.mark.filterwarnings("ignore:.*(num_workers|LeafSpec|batch_idx)")


@pytest.fixture(params=[None, "had {history}; wants {candidate}"], ids=["two", "joint"])
def datamodule(
    tiny_dataset: Path, tiny_language: str, request: pytest.FixtureRequest
) -> InstructionDataModule:
    return InstructionDataModule(
        tiny_dataset,
        tiny_language,
        PromptConfig(template=request.param),
        batch_size=8,
        train_prompts=32,
        negatives=3,
        held_out=0.3,
    )


def tuner(
    datamodule: InstructionDataModule, model: str, config: RankingTaskConfig
) -> LanguageFineTuner:
    torch.manual_seed(0)
    return LanguageFineTuner(
        datamodule.catalog,
        TowerConfig(model=model),
        FullTuning(),
        {"ranking": config},
        optimizer=partial(torch.optim.AdamW, lr=1e-3),
    )


@pytest.mark.parametrize("pairwise", [PairwiseConfig(), PairwiseConfig(loss="hinge", margin=1)])
def test_it_learns_to_put_choices_first(
    datamodule: InstructionDataModule, tiny_language: str, pairwise: PairwiseConfig
) -> None:
    module = tuner(datamodule, tiny_language, RankingTaskConfig(pairwise=pairwise))
    module.tower.eval()
    datamodule.setup("fit")
    batch = next(iter(datamodule.train_dataloader()))
    chosen, other = pairs_of_groups(batch)
    assert batch.group_ids[chosen].tolist() == batch.group_ids[other].tolist()
    assert batch.labels[chosen].min() == 1
    assert batch.labels[other].max() == 0
    assert len(chosen) == 2 * 3
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
    task = module.task("ranking")
    for _ in range(60):
        optimizer.zero_grad()
        task.loss(module.tower, batch).backward()
        optimizer.step()
    scores = task(module.tower, batch)
    assert (scores[chosen] > scores[other]).all()


def test_figures_are_those_of_the_scores(
    datamodule: InstructionDataModule, tiny_language: str, tmp_path: Path
) -> None:
    module = tuner(datamodule, tiny_language, RankingTaskConfig(top_k=4))
    trainer = Trainer(max_epochs=1, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET)
    trainer.fit(module, datamodule)
    figures = trainer.test(module, datamodule, verbose=False)[0]
    predictions = trainer.predict(module, datamodule)
    assert predictions is not None
    scores = torch.cat([each.scores for each in predictions]).view(-1, 4).double()
    differences = scores[:, :1] - scores[:, 1:]
    labels = np.tile([1, 0, 0, 0], len(scores))
    by_hand = {
        "loss": torch.nn.functional.softplus(-differences).mean().item(),
        "pairwise_accuracy": (differences > 0).double().mean().item(),
        "auc": roc_auc_score(labels, scores.flatten()),
        "ndcg@4": ndcg_score(labels.reshape(-1, 4), scores),
    }
    assert {name: figures[f"test/{name}"] for name in by_hand} == pytest.approx(by_hand, abs=1e-6)
    of_domains = {"pairwise_accuracy", "auc", "ndcg@4", "auc_popularity"}
    names = {name + suffix for name in of_domains for suffix in ("", "/tea", "/pots")}
    assert set(figures) == {f"test/{name}" for name in names | {"loss"}}


def test_prompts_for_ratings_are_refused(rated_dataset: Path, tiny_language: str) -> None:
    rated = InstructionDataModule(rated_dataset, tiny_language, labels=LabelConfig(answer="rating"))
    tower = TowerConfig(model=tiny_language).build()
    with pytest.raises(ValueError, match="learns choices"):
        RankingTaskConfig().build(tower, rated.catalog)
