"""Knowledge vectors of items, users and domains, from a language model into a knowledge store."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.corpus import knowledge_texts
from xrec_lightning.data.text.tokenize import (
    Tokenizer,
    length_batches,
    load_tokenizer,
    pad_id,
    tokenize,
)
from xrec_lightning.knowledge.store import KINDS, Kind, StoreSpec, digest
from xrec_lightning.knowledge.writer import build_store
from xrec_lightning.models.language.pooling import Pooling
from xrec_lightning.models.language.tower import DEFAULT_MODEL, LanguageTower, TowerConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EmbedConfig:
    """What is embedded by which model."""

    dataset: Path
    """Prepared folder or data YAML."""
    output: Path
    """Folder of the knowledge store."""
    model: str = DEFAULT_MODEL
    """Folder, Hugging Face name, or ``package:NAME/FOLDER``."""
    adapter: Path | None = None
    """Folder of a trained adapter of that model."""
    pooling: Pooling = "mean"
    """How the hidden states of a text's tokens become its vector."""
    kinds: tuple[Kind, ...] = KINDS
    """Whose texts are embedded."""
    max_tokens: int = 128
    """Longest text, in tokens; the rest is cut off."""
    batch_tokens: int = 2048
    """Padded tokens of a batch."""
    shard_texts: int = 1024
    """Texts between two writes; a killed run repeats at most these."""
    dtype: Literal["float32", "float16"] = "float32"
    """Number format of the stored vectors."""


def embed(config: EmbedConfig) -> Path:
    """Write the knowledge store of a prepared data set and return its folder.

    Only texts that the store does not hold under this very model are encoded; a killed run goes on
    where it stopped.
    """
    entries = knowledge_texts(Prepared.open(locate(config.dataset)))
    entries = entries.filter(pl.col("kind").is_in(config.kinds))
    tokenizer = load_tokenizer(config.model)
    adapter = None if config.adapter is None else str(config.adapter)
    tower = TowerConfig(model=config.model, adapter=adapter, pooling=config.pooling).build()
    tower.to(torch.device("cuda" if torch.cuda.is_available() else "cpu")).eval()
    spec = StoreSpec(
        model=config.model,
        adapter=adapter,
        weights=digest([tower.fingerprint(), _tokenizer_state(tokenizer)]),
        pooling=config.pooling,
        max_tokens=config.max_tokens,
        dtype=config.dtype,
    )
    total = entries["text"].drop_nulls().n_unique()
    with _progress() as progress:
        bar = progress.add_task("embed texts", total=total)
        store = build_store(
            config.output,
            entries,
            spec,
            lambda texts: encode_texts(texts, tower, tokenizer, config),
            shard_texts=config.shard_texts,
            on_progress=lambda count: progress.advance(bar, count),
        )
    logger.info("%s: %d texts, width %d", config.output, total, store.dim)
    return config.output


@torch.inference_mode()
def encode_texts(
    texts: Sequence[str],
    tower: LanguageTower,
    tokenizer: Tokenizer,
    config: EmbedConfig,
) -> Tensor:
    """Return the vectors of ``texts``, float32 on the CPU, shape ``(texts, dim)``."""
    device = next(tower.parameters()).device
    tokenized = tokenize(texts, tokenizer, config.max_tokens)
    vectors = torch.empty(len(texts), tower.dim)
    for rows in length_batches(tokenized.lengths, config.batch_tokens):
        batch = tokenized.batch(rows, pad_id(tokenizer))
        vectors[torch.from_numpy(rows)] = tower(type(batch)(*(t.to(device) for t in batch))).cpu()
    return vectors


def _tokenizer_state(tokenizer: Tokenizer) -> str:
    return digest(f"{token} {index}" for token, index in sorted(tokenizer.get_vocab().items()))


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
