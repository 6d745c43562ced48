from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from xrec_lightning.callbacks.model_folder import ModelFolderWriter
from xrec_lightning.data.datamodules.knowledge import KnowledgeDataModule
from xrec_lightning.data.text.objectives import CausalObjective, MaskedObjective
from xrec_lightning.data.text.train_tokenizer import TokenizerConfig
from xrec_lightning.models.language.scratch import NewModelConfig
from xrec_lightning.models.language.views import ViewsConfig
from xrec_lightning.modules.pretrain import KnowledgePretrainer

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 130,
}
pytestmark = pytest.mark.filterwarnings("ignore:.*(num_workers|LeafSpec|batch_idx)")


def texts(dataset: Path, model: str | TokenizerConfig, **options: Any) -> KnowledgeDataModule:
    return KnowledgeDataModule(
        dataset,
        model,
        **{
            "objective": MaskedObjective(share=0.3),
            "batch_tokens": 100,
            "max_tokens": 64,
            "held_out": 0.5,
            **options,
        },
    )


def pretrainer(
    datamodule: KnowledgeDataModule, model: str | NewModelConfig, **options: Any
) -> KnowledgePretrainer:
    torch.manual_seed(0)
    optimizer = partial(torch.optim.AdamW, lr=5e-3)
    return KnowledgePretrainer(datamodule.catalog, model, optimizer=optimizer, **options)


def trainer(folder: Path, **options: Any) -> Trainer:
    defaults: dict[str, Any] = {
        "enable_checkpointing": False,
        "num_sanity_val_steps": 0,
        "accelerator": "cpu",
        **QUIET,
    }
    return Trainer(default_root_dir=folder, **{**defaults, **options})


@pytest.fixture
def datamodule(tiny_dataset: Path, tiny_language: str) -> KnowledgeDataModule:
    return texts(tiny_dataset, tiny_language)


def test_it_learns_logs_by_domain_and_writes_a_folder_others_load(
    datamodule: KnowledgeDataModule, tiny_language: str, tmp_path: Path
) -> None:
    module = pretrainer(datamodule, tiny_language, evaluate_before=True)
    run = trainer(tmp_path, max_epochs=8, callbacks=[ModelFolderWriter()])
    untrained = run.validate(module, datamodule, verbose=False)[0]
    run.fit(module, datamodule)
    figures = run.callback_metrics
    assert figures["val/loss"] < figures["val/before_loss"] - 0.5
    names = ("perplexity", "masked_accuracy")
    by_domain = {f"val/{name}/{domain}" for name in names for domain in ("tea", "pots")}
    assert set(untrained) == {"val/loss", *(f"val/{name}" for name in names), *by_domain}
    for key, value in untrained.items():
        assert figures[key.replace("val/", "val/before_")].item() == pytest.approx(value, rel=1e-6)
    tested = run.test(module, datamodule, verbose=False)[0]
    assert tested["test/perplexity/tea"] < tested["test/before_perplexity/tea"]

    folder = str(tmp_path / "model")
    text = AutoTokenizer.from_pretrained(folder)(["green tea 3 [MASK]"], return_tensors="pt")
    ours = module.language_model.model.eval()
    theirs = AutoModelForMaskedLM.from_pretrained(folder).eval()
    torch.testing.assert_close(theirs(**text).logits, ours(**text).logits)
    encoder = AutoModel.from_pretrained(folder).eval()
    expected = ours.base_model(**text).last_hidden_state
    torch.testing.assert_close(encoder(**text).last_hidden_state, expected)


def test_a_causal_model_learns(tiny_dataset: Path, tiny_causal: str, tmp_path: Path) -> None:
    datamodule = texts(tiny_dataset, tiny_causal, objective=CausalObjective(), block_size=64)
    module = pretrainer(datamodule, tiny_causal)
    run = trainer(tmp_path, max_epochs=8, callbacks=[ModelFolderWriter()])
    before = run.validate(module, datamodule, verbose=False)[0]
    run.fit(module, datamodule)
    assert run.callback_metrics["val/loss"] < before["val/loss"] - 0.5
    assert "val/next_token_accuracy/tea" in before
    folder = str(tmp_path / "model")
    tokens = AutoTokenizer.from_pretrained(folder)(["green tea"], return_tensors="pt")["input_ids"]
    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    ours = module.language_model.model.eval()
    torch.testing.assert_close(theirs(tokens).logits, ours(tokens).logits)


@pytest.mark.parametrize("kind", ["roberta", "llama"])
def test_a_new_model_with_a_new_tokenizer_learns(
    kind: str, tiny_dataset: Path, tmp_path: Path
) -> None:
    objective = MaskedObjective(share=0.3) if kind == "roberta" else CausalObjective()
    datamodule = texts(tiny_dataset, TokenizerConfig(vocab_size=120), objective=objective)
    module = pretrainer(datamodule, NewModelConfig(config={"model_type": kind, **SIZES}))
    run = trainer(tmp_path, max_epochs=6, callbacks=[ModelFolderWriter()])
    before = run.validate(module, datamodule, verbose=False)[0]
    run.fit(module, datamodule)
    assert run.callback_metrics["val/loss"] < before["val/loss"] - 0.2
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path / "model"))
    model = AutoModel.from_pretrained(str(tmp_path / "model"))
    assert model.get_input_embeddings().num_embeddings == len(tokenizer) <= 120
    tokens = tokenizer(["green tea"], return_tensors="pt")["input_ids"]
    assert model(input_ids=tokens).last_hidden_state.shape == (1, tokens.size(1), 16)


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


def trained_weights(module: KnowledgePretrainer, data: KnowledgeDataModule, folder: Path) -> Any:
    torch.manual_seed(1)
    trainer(folder, max_epochs=1).fit(module, data)
    return [weight.detach().clone() for weight in module.parameters()]


@pytest.mark.parametrize(
    "options", [{"evaluate_before": True}, {"gradient_checkpointing": True}], ids=str
)
def test_what_saves_or_measures_changes_no_weight(
    datamodule: KnowledgeDataModule, tiny_language: str, tmp_path: Path, options: dict[str, bool]
) -> None:
    plain = trained_weights(pretrainer(datamodule, tiny_language), datamodule, tmp_path)
    other = pretrainer(datamodule, tiny_language, **options)
    for first, second in zip(plain, trained_weights(other, datamodule, tmp_path), strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=1e-7)


def test_checkpointing_computes_layers_again(
    datamodule: KnowledgeDataModule, tiny_language: str
) -> None:
    module = pretrainer(datamodule, tiny_language, gradient_checkpointing=True)
    calls = []
    layer = module.language_model.model.base_model.encoder.layer[0].intermediate
    layer.register_forward_hook(lambda *_: calls.append(1))
    datamodule.setup("fit")
    batch = next(iter(datamodule.train_dataloader()))
    module.language_model.loss(module.language_model.states(batch), batch).backward()
    assert len(calls) == 2


@pytest.mark.parametrize("views", [1, 2])
def test_views_of_a_text_come_together(
    tiny_dataset: Path, tiny_language: str, tmp_path: Path, views: int
) -> None:
    datamodule = texts(tiny_dataset, tiny_language, views=views, batch_tokens=200)
    module = pretrainer(datamodule, tiny_language, contrastive=ViewsConfig(weight=1.0))
    losses: list[float] = []
    log = module.log
    module.log = lambda name, value, **kwargs: (  # type: ignore[method-assign]  # listens
        losses.append(float(value.detach())) if name == "train/view_loss" else None,
        log(name, value, **kwargs),
    )
    trainer(tmp_path, max_epochs=10).fit(module, datamodule)
    third = len(losses) // 3
    assert sum(losses[-third:]) < 0.8 * sum(losses[:third])


def test_frozen_embeddings_do_not_move(
    datamodule: KnowledgeDataModule, tiny_language: str, tmp_path: Path
) -> None:
    module = KnowledgePretrainer(datamodule.catalog, tiny_language, freeze_embeddings=True)
    embeddings = module.language_model.model.get_input_embeddings().weight
    before = embeddings.detach().clone()
    trainer(tmp_path, max_steps=2).fit(module, datamodule)
    assert torch.equal(embeddings, before)


@pytest.mark.parametrize("new", [False, True])
def test_a_checkpoint_loads_with_weights_only(
    datamodule: KnowledgeDataModule, tiny_language: str, tmp_path: Path, new: bool
) -> None:
    model = NewModelConfig(config={"model_type": "bert", **SIZES}) if new else tiny_language
    module = pretrainer(datamodule, model, contrastive=ViewsConfig())
    run = trainer(tmp_path, max_steps=1)
    run.fit(module, datamodule)
    path = tmp_path / "last.ckpt"
    run.save_checkpoint(path)
    torch.load(path, weights_only=True)
    again = KnowledgePretrainer.load_from_checkpoint(
        path, catalog=datamodule.catalog, weights_only=True
    )
    for name, weight in module.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name


def test_data_without_texts_are_refused(
    datamodule: KnowledgeDataModule, tiny_language: str
) -> None:
    with pytest.raises(ValueError, match=r"choose\s+xrec_lightning\S+KnowledgeDataModule"):
        KnowledgePretrainer(datamodule.catalog._replace(texts=None), tiny_language)


def measure(dataset: Path, folder: Path, devices: int) -> None:
    """Write the test figures and the training texts of each process."""
    datamodule = texts(dataset, TokenizerConfig(vocab_size=120), batch_tokens=60, held_out_masks=2)
    module = pretrainer(datamodule, NewModelConfig(config={"model_type": "bert", **SIZES}))
    served: list[list[int]] = []
    module.on_train_batch_start = lambda batch, _: served.append(batch.text_ids.tolist())  # type: ignore[method-assign]  # listens
    strategy = "ddp_fork" if devices > 1 else "auto"  # a fork need not import all again
    run = trainer(folder, max_epochs=1, devices=devices, strategy=strategy)
    figures = run.test(module, datamodule, verbose=False)[0]

    def write(*_: Any) -> None:
        torch.save((figures, served), folder / f"{module.trainer.global_rank}.pt")

    module.on_fit_end = write  # type: ignore[method-assign]  # in the process that trained
    run.fit(module, datamodule)


@pytest.mark.parametrize("devices", [2])
def test_processes_measure_what_one_does_and_share_the_texts(
    tiny_dataset: Path, tmp_path: Path, devices: int
) -> None:
    folders = {count: tmp_path / str(count) for count in (1, devices)}
    for count, folder in folders.items():
        folder.mkdir()
        measure(tiny_dataset, folder, count)
    ((figures, served),) = [torch.load(path) for path in folders[1].iterdir()]
    ranks = [torch.load(folders[devices] / f"{rank}.pt") for rank in range(devices)]
    for theirs, _ in ranks:
        assert theirs == pytest.approx(figures, rel=1e-6)
    dealt = [batch for at in zip(*(each for _, each in ranks), strict=True) for batch in at]
    assert dealt[: len(served)] == served
    assert len(dealt) - len(served) < devices
