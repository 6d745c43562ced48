"""Writing models as folders that `transformers` and `peft` load."""

import shutil
from collections.abc import Callable
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedModel

from xrec_lightning.pretrained import locate_pretrained


def write_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a new folder and put it where ``folder`` is; a kill leaves no half one."""
    partial = folder.parent / f".{folder.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


def save_model(folder: Path, model: PreTrainedModel, tokenizer: str) -> None:
    """Write a model, and the tokenizer of the model named ``tokenizer``, for Hugging Face."""

    def write(partial: Path) -> None:
        model.save_pretrained(str(partial))
        place = locate_pretrained(tokenizer)
        AutoTokenizer.from_pretrained(place.name, **place.options).save_pretrained(str(partial))

    write_folder(folder, write)
