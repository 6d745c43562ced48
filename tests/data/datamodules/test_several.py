from pathlib import Path

import pytest

from xrec_lightning.batches import PairBatch, PromptBatch
from xrec_lightning.data.datamodules.instruction import InstructionDataModule
from xrec_lightning.data.datamodules.labeled_texts import LabeledTextDataModule
from xrec_lightning.data.datamodules.pairs import PairDataModule
from xrec_lightning.data.datamodules.several import SeveralDataModule
from xrec_lightning.data.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.*num_workers")


def click_part(dataset: Path, model: str) -> InstructionDataModule:
    return InstructionDataModule(dataset, model, batch_size=8, train_prompts=32, held_out=0.3)


def pair_part(dataset: Path, model: str) -> PairDataModule:
    return PairDataModule(
        dataset, model, batch_size=8, pairs_per_epoch=64, min_count=1, min_lift=0.0
    )


def test_an_epoch_has_a_batch_of_each_part_until_the_longest_ends(
    tiny_dataset: Path, tiny_language: str
) -> None:
    parts = {
        "click": click_part(tiny_dataset, tiny_language),
        "pairs": pair_part(tiny_dataset, tiny_language),
    }
    data = SeveralDataModule(parts)
    data.setup("fit")
    batches = [batch for batch, _, _ in data.train_dataloader()]
    assert len(batches) == max(len(part.train_dataloader()) for part in parts.values())
    assert all(isinstance(batch["click"], PromptBatch) for batch in batches)
    assert all(isinstance(batch["pairs"], PairBatch) for batch in batches)
    for loaders in (data.val_dataloader(), data.test_dataloader()):
        kinds = [type(next(iter(loader))) for loader in loaders]
        assert kinds == [PromptBatch, PairBatch]
    assert isinstance(next(iter(data.predict_dataloader())), PromptBatch)


def test_one_part_is_served_as_it_is(tiny_dataset: Path, tiny_language: str) -> None:
    data = SeveralDataModule({"click": click_part(tiny_dataset, tiny_language)})
    data.setup("fit")
    assert isinstance(next(iter(data.train_dataloader())), PromptBatch)


def test_parts_of_different_data_are_refused(tiny_dataset: Path, tiny_language: str) -> None:
    click = click_part(tiny_dataset, tiny_language)
    pairs = pair_part(tiny_dataset, tiny_language)
    pairs.catalog = pairs.catalog._replace(fingerprint="other")
    with pytest.raises(InputError, match="click and pairs are of different data sets"):
        SeveralDataModule({"click": click, "pairs": pairs})


def test_no_parts_are_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        SeveralDataModule({})


def test_each_task_learns_what_its_own_data_know(tiny_dataset: Path, tiny_language: str) -> None:
    brands = LabeledTextDataModule(tiny_dataset, tiny_language, "brand", min_count=1)
    parts = {"click": click_part(tiny_dataset, tiny_language), "brand": brands}
    catalog = SeveralDataModule(parts).catalog
    assert catalog.of("brand").classes == ("brand 0", "brand 1", "brand 2")
    assert catalog.of("click").classes == ()
    with pytest.raises(ValueError, match=r"tasks\.clicks: .*parts has click, brand; call task and"):
        catalog.of("clicks")
