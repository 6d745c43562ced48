from collections import Counter
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoTokenizer

from xrec_lightning.batches import TokenBatch
from xrec_lightning.data.datamodules.knowledge import KnowledgeDataModule
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.text.masking import IGNORED
from xrec_lightning.data.text.objectives import CausalObjective, MaskedObjective
from xrec_lightning.data.text.train_tokenizer import TokenizerConfig


def knowledge(
    dataset: Path, model: str | TokenizerConfig, **options: object
) -> KnowledgeDataModule:
    given = {
        "batch_tokens": 40,
        "held_out": 0.5,
        "objective": MaskedObjective(share=0.3),
        **options,
    }
    datamodule = KnowledgeDataModule(dataset, model, **given)  # type: ignore[arg-type]  # of a test
    datamodule.setup("fit")
    return datamodule


@pytest.fixture
def datamodule(tiny_dataset: Path, tiny_language: str) -> KnowledgeDataModule:
    return knowledge(tiny_dataset, tiny_language)


def originals(batch: TokenBatch) -> list[tuple[int, ...]]:
    """Return the texts of a masked batch as they were."""
    tokens = torch.where(batch.labels != IGNORED, batch.labels, batch.token_ids)
    rows = torch.arange(len(tokens))[:, None].expand_as(tokens)
    segments = (rows if batch.segments is None else batch.segments)[batch.attention_mask]
    real = tokens[batch.attention_mask]
    return [tuple(real[segments == text].tolist()) for text in range(len(batch.domain_ids))]


def test_splits_share_no_text(datamodule: KnowledgeDataModule) -> None:
    loaders = (
        datamodule.train_dataloader(),
        datamodule.val_dataloader(),
        datamodule.test_dataloader(),
    )
    splits = [{text for batch in loader for text in originals(batch)} for loader in loaders]
    assert all(splits)
    assert len(set.union(*splits)) == sum(map(len, splits)) == 29 + 2  # items and domains


def test_training_masks_change_and_validation_masks_are_fixed(
    datamodule: KnowledgeDataModule,
) -> None:
    val = datamodule.val_dataloader()
    for first, again in zip(val, val, strict=True):
        assert torch.equal(first.token_ids, again.token_ids)
        assert torch.equal(first.labels, again.labels)
    train, hidden = datamodule.train_dataloader(), []
    for epoch in range(2):
        train.sampler.set_epoch(epoch)  # type: ignore[attr-defined]  # ours
        labels = {}
        for batch in train:
            labels |= zip(batch.text_ids.tolist(), (batch.labels >= 0).sum(dim=1), strict=True)
        hidden.append(labels)
    assert hidden[0].keys() == hidden[1].keys()
    assert hidden[0] != hidden[1]


def test_batches_stay_within_the_token_budget(datamodule: KnowledgeDataModule) -> None:
    for batch in datamodule.train_dataloader():
        assert batch.token_ids.numel() <= 40 or len(batch.token_ids) == 1
        assert batch.domain_ids.shape == (len(batch.token_ids),)


def test_tokens_are_cached_beside_the_prepared_folder(datamodule: KnowledgeDataModule) -> None:
    cached = datamodule.prepared.folder.parent / "tokens"
    assert [path for path in cached.iterdir() if path.name.startswith(".")] == []
    assert list(cached.glob("*/token_ids.npy"))


def test_blocks_hold_the_same_texts(tiny_dataset: Path, tiny_language: str) -> None:
    rows = knowledge(tiny_dataset, tiny_language)
    blocks = knowledge(tiny_dataset, tiny_language, block_size=128, batch_tokens=128)
    texts = [
        Counter(text for batch in each.train_dataloader() for text in originals(batch))
        for each in (rows, blocks)
    ]
    assert texts[0] == texts[1]
    for batch in blocks.train_dataloader():
        assert batch.segments is not None
        assert batch.token_ids.size(1) <= 128
    assert next(iter(blocks.val_dataloader())).segments is None


def test_views_hide_other_tokens_of_the_same_texts(tiny_dataset: Path, tiny_language: str) -> None:
    datamodule = knowledge(tiny_dataset, tiny_language, views=2, batch_tokens=80)
    differ = 0
    for batch in datamodule.train_dataloader():
        left, right = batch.text_ids.chunk(2)
        assert torch.equal(left, right)
        texts = originals(batch)
        assert texts[: len(left)] == texts[len(left) :]
        labels = batch.labels.chunk(2)
        differ += int((labels[0] != labels[1]).sum())
    assert differ > 0
    assert datamodule.catalog.texts is not None
    assert datamodule.catalog.texts.views == 2


def test_held_out_texts_are_measured_as_often_as_asked(
    tiny_dataset: Path, tiny_language: str
) -> None:
    once = list(knowledge(tiny_dataset, tiny_language).val_dataloader())
    thrice = list(knowledge(tiny_dataset, tiny_language, held_out_masks=3).val_dataloader())
    assert len(thrice) == 3 * len(once)
    assert all(torch.equal(a.labels, b.labels) for a, b in zip(once, thrice, strict=False))
    assert any(
        not torch.equal(a.labels, b.labels) for a, b in zip(once, thrice[len(once) :], strict=False)
    )


@pytest.mark.parametrize("count", [2, 3, 40])
def test_processes_share_the_held_out_batches(datamodule: KnowledgeDataModule, count: int) -> None:
    alone = [batch.text_ids.tolist() for batch in datamodule.val_dataloader()]
    shared = []
    for rank in range(count):
        datamodule.trainer = SimpleNamespace(world_size=count, global_rank=rank)  # type: ignore[assignment]  # enough of one
        own = [batch.text_ids.tolist() for batch in datamodule.val_dataloader()]
        assert own
        shared += [batch for batch in own if batch]
    assert sorted(shared) == sorted(alone)


def test_causal_texts_predict_their_end(tiny_dataset: Path, tiny_causal: str) -> None:
    datamodule = knowledge(tiny_dataset, tiny_causal, objective=CausalObjective(), batch_tokens=90)
    end = AutoTokenizer.from_pretrained(tiny_causal).eos_token_id
    for batch in datamodule.train_dataloader():
        lengths = batch.attention_mask.sum(dim=1)
        rows = torch.arange(len(lengths))
        assert (batch.labels[rows, lengths - 2] == end).all()
        assert torch.equal((batch.labels >= 0).sum(dim=1), lengths - 1)
    assert datamodule.catalog.texts is not None
    assert datamodule.catalog.texts.objective == "clm"


def test_a_new_tokenizer_learns_from_the_training_texts(tiny_dataset: Path) -> None:
    config = TokenizerConfig(vocab_size=150)
    datamodule = knowledge(tiny_dataset, config)
    assert datamodule.catalog.texts is not None
    folder = datamodule.catalog.texts.tokenizer
    assert Path(folder).parent.name == "tokenizers"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    (text, *_) = datamodule.rows.filter(split="train")["text"]
    assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"]
    assert knowledge(tiny_dataset, config).tokenizer_name == folder
    assert len(list(datamodule.train_dataloader())) > 0


def test_tails_of_triples_are_predicted(
    tiny_dataset: Path, tiny_language: str, tmp_path: Path
) -> None:
    folder = copytree(locate(tiny_dataset), tmp_path / "known")
    entities = [
        (1, "clay", None),
        (2, "iron", None),
        *((i, f"i{i:02}", i - 2) for i in range(3, 9)),
    ]
    edges = [(head, "made_of", 1 + head % 2, "tea") for head in range(3, 9)]
    names = ("head_index", "relation", "tail_index", "domain")
    pl.DataFrame(edges, schema=names, orient="row").write_parquet(
        folder / "graph/entity_entity.parquet"
    )
    schema = {"entity_index": None, "name": None, "item_index": pl.Int32}
    pl.DataFrame(entities, schema=schema, orient="row").write_parquet(
        folder / "graph/entities.parquet"
    )
    datamodule = knowledge(folder, tiny_language, triples="tails")
    tokenizer = AutoTokenizer.from_pretrained(tiny_language)
    loaders = ("train_dataloader", "val_dataloader", "test_dataloader")
    tails = [
        tokenizer.decode(labels[labels != IGNORED])
        for loader in loaders
        for batch in getattr(datamodule, loader)()
        for labels, text in zip(batch.labels, originals(batch), strict=True)
        if "made of" in tokenizer.decode(text)
    ]
    assert sorted(tails) == ["clay"] * 3 + ["iron"] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_size": 64}, r"block_size: 64 is less than max_tokens, 128"),
        ({"views": 3}, "views: 3 is not from 1 to 2"),
        ({"held_out_masks": 0}, "held_out_masks: 0 is not from 1 to 999"),
        ({"views": 2, "objective": CausalObjective()}, "views: 2 is for masked texts"),
        ({"held_out": 0.0}, r"held_out is 0\.0, which leaves 31 texts to train on, 0 to validate"),
        ({"held_out": 1.0}, r"held_out is 1\.0, which leaves 0 texts to train on"),
    ],
)
def test_what_cannot_be_is_refused(
    tiny_dataset: Path, tiny_language: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        knowledge(tiny_dataset, tiny_language, **options)


def test_a_tokenizer_without_a_mask_is_refused(tiny_dataset: Path, tiny_causal: str) -> None:
    with pytest.raises(ValueError, match="has no mask token"):
        knowledge(tiny_dataset, tiny_causal)


def test_small_domains_are_served_more_often(tiny_dataset: Path, tiny_language: str) -> None:
    datamodule = knowledge(tiny_dataset, tiny_language, domain_power=0.0)
    tokens = np.zeros(3)
    for batch in datamodule.train_dataloader():
        tokens += np.bincount(batch.domain_ids, batch.attention_mask.sum(dim=1), minlength=3)
    assert tokens[1] == pytest.approx(tokens[2], rel=0.2)
