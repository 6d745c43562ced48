"""Knowledge vectors of items, users, domains, entities and histories, into a knowledge store."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from xrec_lightning.data.behavior.known import Until
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.corpus import knowledge_texts
from xrec_lightning.data.text.tokenize import Tokenizer, load_tokenizer, tokenize
from xrec_lightning.inference.encoding import (
    EncoderConfig,
    Ints,
    TextEncoder,
    choose_device,
    equal_length_batches,
    token_block,
)
from xrec_lightning.inference.histories import HISTORY_KIND, history_texts
from xrec_lightning.inference.workers import (
    Ranks,
    encode_apart,
    encode_here,
    joined_ranks,
    one_thread,
)
from xrec_lightning.knowledge.formats import VectorFormat
from xrec_lightning.knowledge.store import Kind, KnowledgeStore, StoreSpec, digest
from xrec_lightning.knowledge.writer import StoreBuild, encode_work, shards_of

logger = logging.getLogger(__name__)

TEXTS_FOR_A_PROCESS = 256
"""Fewer are encoded before a further process has loaded its model."""


@dataclass(frozen=True, kw_only=True)
class EmbedConfig(EncoderConfig):
    """What is embedded by which model."""

    dataset: Path
    """Prepared folder or data YAML."""
    output: Path
    """Folder of the knowledge store."""
    kinds: tuple[Kind, ...] = ("item", "user", "domain")
    """Whose texts are embedded: also entity, what triples name besides items, and history, one text
    a user of what the user took."""
    until: Until = "train"
    """Where history texts end: with the training part, strictly before the validation or test
    target, or now."""
    history_titles: int = 20
    """Newest titles of a history text."""
    max_tokens: int = 128
    """Longest text, in tokens; the rest is cut off, of histories the oldest titles."""
    batch_tokens: int | None = None
    """Tokens of a batch; by default 1,024 on a CPU, 512 with int8, and 16,384 on a GPU."""
    shard_texts: int = 1024
    """Texts between two writes; a killed run repeats at most these."""
    processes: int | None = None
    """Processes of this machine, of one thread each, whose number changes no byte; by default this
    one with all its threads. Under `torchrun` each rank encodes its share instead."""
    dtype: VectorFormat = "float32"
    """Number format of the stored vectors; int8 has a scale for each vector."""


def embed(config: EmbedConfig) -> Path:
    """Write the knowledge store of a prepared data set and return its folder.

    Only texts that the store does not hold under this very model are encoded; a killed run goes on
    where it stopped, to the same bytes.

    Raises:
        InputError: If a setting is out of range.
        StoreError: If ``config.output`` holds a broken store, or one of another model.
    """
    _refuse_bad_settings(config)
    tokenizer = load_tokenizer(config.model)
    with joined_ranks() as ranks, _threads(config):
        encoder = TextEncoder(_encoder_config(config), choose_device(config.precision, ranks.rank))
        encoding = Encoding(config, encoder, tokenizer, ranks)
        store = _write_store(config, encoding, _spec(config, encoder, tokenizer))
    logger.info("%s: %d texts, width %d", config.output, store.index["row"].n_unique(), store.dim)
    return config.output


class Encoding:
    """The texts of a store to their vectors, in as many processes as the config says.

    Args:
        config: What is embedded.
        encoder: The model.
        tokenizer: Of that model.
        ranks: This process encodes its share of the batches.
    """

    def __init__(
        self, config: EmbedConfig, encoder: TextEncoder, tokenizer: Tokenizer, ranks: Ranks
    ) -> None:
        self.config = config
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.ranks = ranks
        by_device = 16_384 if encoder.device.type == "cuda" else 1_024
        by_default = 512 if config.precision == "int8" else by_device
        self.batch_tokens = config.batch_tokens or by_default

    def __call__(
        self, texts: Sequence[str], is_done: NDArray[np.bool_]
    ) -> Iterator[tuple[Ints, Tensor]]:
        """Yield positions of texts and their vectors, batch by batch.

        Args:
            texts: All texts, which decide the batches.
            is_done: Batches of which all texts are done are left out, shape ``(texts,)``.
        """
        tokens = tokenize(texts, self.tokenizer, self.config.max_tokens)
        batches = equal_length_batches(tokens.lengths, self.batch_tokens)
        left = [rows for rows in batches if not is_done[rows].all()]
        left = left[self.ranks.rank :: self.ranks.size]
        blocks = (token_block(tokens, rows) for rows in left)
        worthwhile = 1 + sum(map(len, left)) // TEXTS_FOR_A_PROCESS
        processes = min(self.config.processes or 1, worthwhile)
        if processes > 1 and self.ranks.size == 1:
            vectors = encode_apart(self.encoder.config, blocks, processes)
        else:
            vectors = encode_here(self.encoder, blocks)
        yield from zip(left, vectors, strict=True)


def _write_store(config: EmbedConfig, encoding: Encoding, spec: StoreSpec) -> KnowledgeStore:
    """Let all ranks encode what is missing; rank 0 decides what that is, and puts it together."""
    ranks, build, work = encoding.ranks, None, None
    if ranks.rank == 0:
        build = StoreBuild(config.output, _entries(config, encoding.tokenizer), spec)
        work = build.work()
    work = ranks.share(work)
    with Progress(*_COLUMNS, console=Console(stderr=True), disable=build is None) as progress:
        missing = -(-int((~work.is_done).sum()) // ranks.size)
        bar = progress.add_task("embed texts", total=missing)
        encode_work(
            shards_of(config.output),
            work,
            spec.dtype,
            encoding,
            config.shard_texts,
            lambda count: progress.advance(bar, count),
        )
    ranks.wait()
    store = None if build is None else build.finish()
    ranks.wait()
    return store or KnowledgeStore.open(config.output)


_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeRemainingColumn(),
)


def _encoder_config(config: EmbedConfig) -> EncoderConfig:
    """Return the part of the config that a worker needs, which spares it the imports of data."""
    names = [field.name for field in fields(EncoderConfig)]
    return EncoderConfig(**{name: getattr(config, name) for name in names})


def _entries(config: EmbedConfig, tokenizer: Tokenizer) -> pl.DataFrame:
    prepared = Prepared.open(locate(config.dataset))
    entries = knowledge_texts(prepared).filter(pl.col("kind").is_in(config.kinds))
    if HISTORY_KIND not in config.kinds:
        return entries
    histories = history_texts(
        prepared, config.until, config.history_titles, tokenizer, config.max_tokens
    )
    return pl.concat([entries, histories])


def _spec(config: EmbedConfig, encoder: TextEncoder, tokenizer: Tokenizer) -> StoreSpec:
    return StoreSpec(
        model=config.model,
        adapter=None if config.adapter is None else str(config.adapter),
        weights=digest([encoder.fingerprint, _tokenizer_state(tokenizer)]),
        pooling=config.pooling,
        max_tokens=config.max_tokens,
        dtype=config.dtype,
        precision=config.precision,
        truncate_dim=config.dim,
        normalize=config.normalize,
        history_until=config.until if HISTORY_KIND in config.kinds else None,
    )


def _tokenizer_state(tokenizer: Tokenizer) -> str:
    return digest(f"{token} {index}" for token, index in sorted(tokenizer.get_vocab().items()))


def _threads(config: EmbedConfig) -> AbstractContextManager[None]:
    return nullcontext() if config.processes is None else one_thread()


def _refuse_bad_settings(config: EmbedConfig) -> None:
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, int) and not isinstance(value, bool) and value < 1:
            raise InputError(f"{field.name}: {value} is not positive")
    if not config.kinds:
        raise InputError("kinds: []: name at least one kind of texts")
