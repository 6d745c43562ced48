"""Texts to vectors: the settings of an encoder, its batches, and one process that runs it."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrec_lightning.batches import TextBatch
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.text.tokenize import TokenizedTexts
from xrec_lightning.models.language.pooling import Pooling
from xrec_lightning.models.language.quantize import quantize
from xrec_lightning.models.language.tower import DEFAULT_MODEL, TowerConfig

Ints = NDArray[np.integer]
Precision = Literal["fp32", "int8", "bf16"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Which model makes vectors of texts, and how."""

    model: str = DEFAULT_MODEL
    """Folder, ``.gguf`` file, Hugging Face name, or ``package:NAME/…``."""
    adapter: Path | None = None
    """Folder of a trained adapter of that model."""
    pooling: Pooling = "mean"
    """How the hidden states of a text's tokens become its vector: their mean, the first (CLS), the
    last, or the mean weighted by position (causal models)."""
    precision: Precision = "fp32"
    """Numbers that the model computes with: int8 is about twice as fast on a CPU, where it always
    runs; bf16 is for GPUs."""
    dim: int | None = None
    """Leading numbers of each vector that are kept and scaled to length 1, for models trained that
    way (Matryoshka, Kusupati et al., 2022, arXiv:2205.13147); all by default."""
    normalize: bool = False
    """Scale all vectors to length 1."""


class TextEncoder:
    """A language model that makes vectors of tokens.

    Args:
        config: Which model.
        device: Where it runs.

    Raises:
        InputError: If it does not fit the config.
    """

    def __init__(self, config: EncoderConfig, device: torch.device) -> None:
        adapter = None if config.adapter is None else str(config.adapter)
        tower = TowerConfig(model=config.model, adapter=adapter, pooling=config.pooling).build()
        if config.dim is not None and not 0 < config.dim <= tower.dim:
            raise InputError(
                f"dim: {config.dim}: the vectors of {config.model} are {tower.dim} wide"
            )
        self.config = config
        self.device = device
        self.fingerprint = tower.fingerprint()
        """Hash of the weights before they became integers."""
        if config.precision == "int8":
            quantize(tower.model)
        elif config.precision == "bf16":
            tower.to(torch.bfloat16)
            if device.type == "cpu":
                logger.warning("precision: bf16 is slow on a CPU; set int8 or fp32")
        self.tower = tower.to(device).eval()
        self.dim = config.dim or tower.dim
        """Width of the vectors."""

    @torch.inference_mode()
    def encode(self, token_ids: Ints) -> Tensor:
        """Return the vectors of texts of one length, float32 on the CPU, shape ``(B, dim)``.

        Args:
            token_ids: Shape ``(B, L)``; vectors of no tokens are zero.

        Raises:
            ValueError: If the model cannot read them.
        """
        tokens = torch.from_numpy(token_ids.astype(np.int64))
        if not tokens.numel():
            return torch.zeros(len(tokens), self.dim)
        batch = TextBatch(tokens, torch.ones_like(tokens, dtype=torch.bool))
        self.tower.limits.check(batch)
        batch = TextBatch(*(each.to(self.device) for each in batch))
        vectors = self.tower(batch)[:, : self.dim]
        if self.config.normalize or self.config.dim is not None:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        return vectors.cpu()


def choose_device(precision: Precision, number: int = 0) -> torch.device:
    """Return where an encoder runs: on a GPU, if there is one.

    Args:
        precision: Integers are multiplied on the CPU.
        number: Of the process among those of this machine.
    """
    if precision == "int8" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", number % torch.cuda.device_count())


def equal_length_batches(lengths: Ints, batch_tokens: int) -> list[Ints]:
    """Split texts, shortest first, into batches of one length, at most ``batch_tokens`` each.

    No batch has padding, so no attention needs a mask, and a vector hardly depends on the others
    of its batch. Texts of equal length keep their order; a text that is longer than the budget is a
    batch of its own.

    Example:
        >>> [rows.tolist() for rows in equal_length_batches(np.array([2, 1, 2, 2]), 4)]
        [[1], [0, 2], [3]]
    """
    batches: list[Ints] = []
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        size = max(1, batch_tokens // max(1, int(length)))
        batches += [rows[start : start + size] for start in range(0, len(rows), size)]
    return batches


def token_block(tokens: TokenizedTexts, rows: Ints) -> Ints:
    """Return the tokens of texts of one length, int32, shape ``(B, L)``."""
    length = int(tokens.lengths[rows[0]])
    return tokens.token_ids[tokens.offsets[rows][:, None] + np.arange(length)]
