from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

from xrec_lightning.callbacks.model_folder import ModelFolderWriter
from xrec_lightning.data.datamodules.knowledge import KnowledgeDataModule
from xrec_lightning.modules.pretrain import KnowledgePretrainer

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
pytestmark = pytest.mark.filterwarnings("ignore:.*(num_workers|LeafSpec|batch_idx)")


@pytest.fixture
def datamodule(tiny_dataset: Path, tiny_language: str) -> KnowledgeDataModule:
    return KnowledgeDataModule(
        tiny_dataset, tiny_language, batch_tokens=100, mask_share=0.3, held_out=0.5
    )


def pretrainer(datamodule: KnowledgeDataModule, model: str) -> KnowledgePretrainer:
    torch.manual_seed(0)
    optimizer = partial(torch.optim.AdamW, lr=5e-3)
    return KnowledgePretrainer(datamodule.catalog, model, optimizer=optimizer)


def test_it_learns_logs_by_domain_and_writes_a_folder_others_load(
    datamodule: KnowledgeDataModule, tiny_language: str, tmp_path: Path
) -> None:
    module = pretrainer(datamodule, tiny_language)
    trainer = Trainer(
        max_epochs=8,
        default_root_dir=tmp_path,
        callbacks=[ModelFolderWriter()],
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        **QUIET,
    )
    before = trainer.validate(module, datamodule, verbose=False)[0]
    trainer.fit(module, datamodule)
    after = trainer.callback_metrics
    assert after["val/loss"] < before["val/loss"] - 0.5
    assert set(before) == {
        "val/loss",
        "val/perplexity",
        "val/masked_accuracy",
        "val/perplexity/tea",  # no text of the other domain is held out
    }
    tested = trainer.test(module, datamodule, verbose=False)[0]
    assert {"test/loss", "test/masked_accuracy", "test/perplexity/tea"} <= set(tested)

    folder = str(tmp_path / "model")
    text = AutoTokenizer.from_pretrained(folder)(["green tea 3 [MASK]"], return_tensors="pt")
    ours = module.language_model.model.eval()
    theirs = AutoModelForMaskedLM.from_pretrained(folder).eval()
    torch.testing.assert_close(theirs(**text).logits, ours(**text).logits)
    encoder = AutoModel.from_pretrained(folder).eval()
    expected = ours.base_model(**text).last_hidden_state
    torch.testing.assert_close(encoder(**text).last_hidden_state, expected)


def test_the_loss_is_that_of_the_masked_positions(
    datamodule: KnowledgeDataModule, tiny_language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = pretrainer(datamodule, tiny_language).eval()
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    datamodule.setup("fit")
    batch = next(iter(datamodule.train_dataloader()))
    full = module.language_model.model(
        input_ids=batch.token_ids,
        attention_mask=batch.attention_mask.long(),
        labels=batch.labels,
    )
    torch.testing.assert_close(module.training_step(batch, 0), full.loss)


def test_frozen_embeddings_do_not_move(
    datamodule: KnowledgeDataModule, tiny_language: str, tmp_path: Path
) -> None:
    module = KnowledgePretrainer(datamodule.catalog, tiny_language, freeze_embeddings=True)
    embeddings = module.language_model.model.get_input_embeddings().weight
    before = embeddings.detach().clone()
    Trainer(max_steps=2, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET).fit(
        module, datamodule
    )
    assert torch.equal(embeddings, before)


def test_a_checkpoint_loads_with_weights_only(
    datamodule: KnowledgeDataModule, tiny_language: str, tmp_path: Path
) -> None:
    module = pretrainer(datamodule, tiny_language)
    trainer = Trainer(max_steps=1, default_root_dir=tmp_path, **QUIET)
    trainer.fit(module, datamodule)
    path = tmp_path / "last.ckpt"
    trainer.save_checkpoint(path)
    torch.load(path, weights_only=True)
    again = KnowledgePretrainer.load_from_checkpoint(
        path, catalog=datamodule.catalog, weights_only=True
    )
    for name, weight in module.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name
