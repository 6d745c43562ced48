"""What every test shares: no network, and one small data set in two domains."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.prepare import prepare
from xrec_lightning.knowledge.store import StoreSpec
from xrec_lightning.knowledge.writer import StoreBuild, encode_work

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")


NUM_USERS = 24
NUM_ITEMS = 30


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Give every test the same random numbers, whatever ran before it in its process."""
    torch.manual_seed(0)


def tiny_log(seed: int = 0) -> pl.DataFrame:
    """Return a log of 24 users, 30 items in two domains and days with several purchases."""
    generator = np.random.default_rng(seed)
    rows = []
    for user in range(NUM_USERS):
        taken = generator.permutation(NUM_ITEMS)[: generator.integers(8, 14)]
        days = np.sort(generator.integers(0, 6, len(taken)))
        days[-1], days[-2] = 9, 8  # at least three distinct times
        rows += [
            (f"u{user:02}", f"i{item:02}", "tea" if item < 15 else "pots", int(day) * 86400)
            for item, day in zip(taken, days, strict=True)
        ]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "domain", "timestamp"], orient="row")


def tiny_items() -> pl.DataFrame:
    """Return the catalog of `tiny_log`; item i29 has no title."""
    ids = range(NUM_ITEMS)
    kinds = ["green tea", "black tea", "mint tea", "iron pot", "clay pot", "tea pot"]
    return pl.DataFrame(
        {
            "item_id": [f"i{item:02}" for item in ids],
            "domain": ["tea" if item < 15 else "pots" for item in ids],
            "title": [f"{kinds[i // 5]} {i % 5}" if i < NUM_ITEMS - 1 else None for i in ids],
            "brand": [f"brand {item % 3}" for item in ids],
        }
    )


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data YAML of `tiny_log`, prepared."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny_log().write_csv(folder / "log.csv")
    tiny_items().write_csv(folder / "items.csv")
    path = folder / "tiny.yaml"
    path.write_text(
        f"""
interactions: {{path: {folder}/log.csv}}
items: {{path: {folder}/items.csv, title: title, text: [title], brand: brand}}
output: {folder}/prepared
"""
    )
    prepare(load_config(path))
    return path


@pytest.fixture(scope="session")
def rated_dataset(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data YAML of `tiny_log` with ratings of 1 to 5, prepared."""
    folder = tmp_path_factory.mktemp("rated")
    log = pl.read_csv(tiny_dataset.parent / "log.csv")
    user, item = (pl.col(name).str.slice(1).cast(pl.Int64) for name in ("user_id", "item_id"))
    log.with_columns(rating=1 + (user + 2 * item) % 5).write_csv(folder / "log.csv")
    path = folder / "rated.yaml"
    path.write_text(
        f"""
interactions: {{path: {folder}/log.csv}}
items: {{path: {tiny_dataset.parent}/items.csv, title: title, text: [title], brand: brand}}
output: {folder}/prepared
"""
    )
    prepare(load_config(path))
    return path


@pytest.fixture(scope="session")
def full_dataset(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data YAML of `tiny_log` with all that may be known, and cold items, prepared.

    User u23 has no profile, and item i00 no image.
    """
    folder = tmp_path_factory.mktemp("full")
    tags = [f"{'hot' if item % 2 else 'cold'},size {item % 4}" for item in range(NUM_ITEMS)]
    tiny_items().with_columns(tags=pl.Series(tags)).write_csv(folder / "items.csv")
    names = [f"u{user:02}" for user in range(NUM_USERS)]
    profiles = [f"likes kind {user % 5}" if user < 23 else None for user in range(NUM_USERS)]
    pl.DataFrame({"user_id": names, "profile": profiles}).write_csv(folder / "users.csv")
    triples = (
        "head,relation,tail\ni01,from,Kyoto\ni20,from,Kyoto\nKyoto,in,Japan\ni02,goes with,i21\n"
    )
    (folder / "triples.csv").write_text(triples)
    images = np.random.default_rng(0).standard_normal((NUM_ITEMS, 5)).astype(np.float32)
    images[0] = 0.0
    np.save(folder / "images.npy", images)
    path = folder / "full.yaml"
    path.write_text(
        f"""
interactions: {{path: {tiny_dataset.parent}/log.csv}}
items: {{path: {folder}/items.csv, title: title, text: [title], brand: brand, tags: [tags],
        vectors: {{image: {folder}/images.npy}}}}
users: {{path: {folder}/users.csv, text: [profile]}}
knowledge: {{path: {folder}/triples.csv}}
split: {{cold_items: 0.1}}
output: {folder}/prepared
"""
    )
    prepare(load_config(path))
    return path


@pytest.fixture(scope="session")
def tiny_store(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A knowledge store of random vectors, 8 wide, for the items with text."""
    return random_store(tmp_path_factory.mktemp("knowledge") / "store", item_texts())


@pytest.fixture(scope="session")
def full_store(full_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A knowledge store of random vectors, 8 wide, for items and users with text."""
    users = pl.read_csv(full_dataset.parent / "users.csv").drop_nulls()
    texts = users.select(pl.lit("user").alias("kind"), id="user_id", text="profile")
    folder = tmp_path_factory.mktemp("full_knowledge") / "store"
    return random_store(folder, pl.concat([item_texts(), texts]))


def item_texts() -> pl.DataFrame:
    """Return the texts of `tiny_items`, as a store wants them."""
    kind, item_id = pl.lit("item").alias("kind"), pl.col("item_id").alias("id")
    return tiny_items().select(kind, item_id, text="title")


def random_store(folder: Path, entries: pl.DataFrame) -> Path:
    """Write a knowledge store of random vectors, 8 wide, equal for equal texts."""
    encoded: dict[str, torch.Tensor] = {}
    generator = torch.Generator().manual_seed(0)
    spec = StoreSpec(model="random", adapter=None, weights="0", pooling="mean", max_tokens=8)

    def encode(
        texts: Sequence[str], _: NDArray[np.bool_]
    ) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
        vectors = [encoded.setdefault(t, torch.randn(8, generator=generator)) for t in texts]
        yield np.arange(len(texts)), torch.stack(vectors)

    build = StoreBuild(folder, entries, spec)
    encode_work(build.shards, build.work(), spec.dtype, encode)
    build.finish()
    return folder


@pytest.fixture(scope="session")
def tiny_language(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a random BERT, 16 wide, whose word pieces fit `tiny_items`."""
    folder = tmp_path_factory.mktemp("language") / "bert"
    words = ["tea", "pot", "green", "black", "mint", "iron", "clay", "brand", "history"]
    words += ["candidate", "none", "##s", "##y", ".", ",", ":", ";", *"0123456789"]
    words += [*"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghijklmnopqrtuvwxz")]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    tokenizer = BertTokenizer(vocab={token: index for index, token in enumerate(tokens)})
    tokenizer.save_pretrained(str(folder))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(str(folder))
    return str(folder)


@pytest.fixture(scope="session")
def tiny_causal(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a random LLaMA, 16 wide, with its head; " Yes" and " No" are one token each."""
    folder = tmp_path_factory.mktemp("language") / "llama"
    titles = [title for title in tiny_items()["title"] if title is not None]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=alphabet, special_tokens=["<end>"], show_progress=False
    )
    tokenizer.train_from_iterator([f"{title} Yes No brand history" for title in titles], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    fast.save_pretrained(str(folder))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=32,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
        initializer_range=0.3,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(str(folder))
    return str(folder)
