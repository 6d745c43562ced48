"""Writing models as folders that `transformers`, `peft` and `sentence-transformers` load."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from xrec_lightning.models.language.limits import text_limits
from xrec_lightning.models.language.pooling import Pooling
from xrec_lightning.pretrained import locate_pretrained

POOLING_KEYS: dict[Pooling, str] = {
    "mean": "pooling_mode_mean_tokens",
    "first": "pooling_mode_cls_token",
    "last": "pooling_mode_lasttoken",
    "weighted": "pooling_mode_weightedmean_tokens",
}
"""What `sentence-transformers` calls our poolings; all its versions read these keys."""
_MODULES = "sentence_transformers.models"


def write_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a new folder and put it where ``folder`` is; a kill leaves no half one."""
    partial = folder.parent / f".{folder.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


def save_model(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: str,
    *,
    pooling: Pooling = "mean",
    max_tokens: int | None = None,
    keep_end: bool = False,
    normalize: bool = False,
) -> None:
    """Write a model and its tokenizer for Hugging Face, ready to make vectors of texts.

    Args:
        folder: Replaced when it exists.
        model: With or without a head.
        tokenizer: Name of the model whose tokenizer it is.
        pooling: How `sentence-transformers` makes a vector of the states.
        max_tokens: Where it cuts off texts; by default what model and tokenizer can read.
        keep_end: Cut off the start instead of the end.
        normalize: Whether its vectors have length 1.
    """

    def write(partial: Path) -> None:
        model.save_pretrained(str(partial))
        place = locate_pretrained(tokenizer)
        side = "left" if keep_end else "right"  # written only if it was an argument
        words = AutoTokenizer.from_pretrained(place.name, truncation_side=side, **place.options)
        limits = (max_tokens, text_limits(model, tokenizer).max_tokens, words.model_max_length)
        words.model_max_length = min(limit for limit in limits if limit is not None)
        if words.pad_token is None:  # causal models have none, but batches need one
            words.pad_token = words.eos_token or words.unk_token
        words.save_pretrained(str(partial))
        _write_modules(partial, words, int(model.config.hidden_size), pooling, normalize=normalize)

    write_folder(folder, write)


def _write_modules(
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    dim: int,
    pooling: Pooling,
    *,
    normalize: bool,
) -> None:
    """Write what `sentence-transformers` reads: its modules and their settings."""
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    modules += [("2_Normalize", "Normalize")] if normalize else []
    described = [
        {"idx": number, "name": str(number), "path": path, "type": f"{_MODULES}.{kind}"}
        for number, (path, kind) in enumerate(modules)
    ]
    _write_json(folder / "modules.json", described)
    length = {"max_seq_length": tokenizer.model_max_length, "do_lower_case": False}
    _write_json(folder / "sentence_bert_config.json", length)
    for path, _ in modules[1:]:
        (folder / path).mkdir()
    modes = {key: key == POOLING_KEYS[pooling] for key in POOLING_KEYS.values()}
    _write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": dim, **modes})


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
