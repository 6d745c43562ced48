"""Loading of pre-trained language models, whatever the format of their weights."""

from pathlib import Path
from typing import Any

import transformers
from transformers import PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from xrec_lightning.pretrained import Pretrained, locate_pretrained

WEIGHTS = ("*.safetensors", "*.bin", "*.index.json")
"""Files that weights are in, or that say in which files they are."""


def load_pretrained(auto_class: Any, name: str) -> tuple[PreTrainedModel, list[str]]:
    """Return a float32 model, ready for training, and the names of weights that start at random.

    Args:
        auto_class: ``AutoModel``, ``AutoModelForCausalLM`` or another of `transformers`.
        name: Folder, ``.gguf`` file, Hugging Face name, or ``package:NAME/…``. The weights of a
            ``.gguf`` file are made floats; the model is then one like any other.

    Raises:
        FileNotFoundError: If there is a folder, but no model in it.
    """
    disable_progress_bar()  # type: ignore[no-untyped-call]  # not ours
    place = locate_pretrained(name)
    refuse_missing_weights(place, name)
    options: dict[str, Any] = dict(place.options)
    if options and hasattr(transformers, "GgufConfig"):  # older versions make floats anyway
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    model, info = auto_class.from_pretrained(
        place.name, dtype="float32", output_loading_info=True, **options
    )
    return model.train(), sorted(info["missing_keys"])


def refuse_missing_weights(place: Pretrained, name: str) -> None:
    """Raise a FileNotFoundError if ``place`` is a folder without config or without weights."""
    folder = Path(place.name)
    if place.options or not folder.is_dir():
        return
    gguf_files = sorted(path.name for path in folder.glob("*.gguf"))
    if gguf_files:
        remedy = f"name a file in it: {name.rstrip('/')}/{gguf_files[0]}"
    else:
        remedy = (
            "name the `model` folder of a pre-training run, the `merged` folder of a fine-tuning "
            "run, or download the model again"
        )
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{name}: no model in this folder (no config.json); {remedy}")
    if not any(path for pattern in WEIGHTS for path in folder.glob(pattern)):
        raise FileNotFoundError(
            f"{name}: a model folder without weights (no {' or '.join(WEIGHTS[:2])}); {remedy}"
        )
