"""Item texts to vectors by MiniLM: ours in fp32 and int8, and sentence-transformers.

Each runs in a process of its own, on one thread, in turn; the model is loaded before the clock
starts. The texts are those of complete_journey: each distinct one once, then the whole catalog,
where texts repeat. XREC_BENCH_SENTENCE_TRANSFORMERS names a Python that has the peer; with it, the
vectors are compared, and folders that we export are loaded by the peer and compared too.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from measuring import FOLDER, ONE_THREAD, Contestant, run, table
from transformers import LlamaConfig, LlamaModel, PreTrainedModel

from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.prepare import prepare
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.tokenize import load_tokenizer, tokenize
from xrec_lightning.inference.encoding import EncoderConfig, TextEncoder, token_block
from xrec_lightning.models.language.folder import save_model
from xrec_lightning.models.language.pooling import Pooling
from xrec_lightning.models.language.tower import DEFAULT_MODEL, load_encoder

_PEERS = FOLDER / "peers"
_PEER = "XREC_BENCH_SENTENCE_TRANSFORMERS"
_DATA = FOLDER.parents[1] / "configs" / "data" / "complete_journey.yaml"
_EXPORT_TOKENS = 12
EXPORTS: tuple[tuple[str, Pooling], ...] = (
    ("MiniLM", "mean"),
    ("MiniLM", "first"),
    ("causal", "last"),
    ("causal", "weighted"),
)


def make_texts(folder: Path, num_texts: int | None) -> None:
    """Write ``distinct.json`` and ``catalog.json``, the rows with one of these texts."""
    os.chdir(FOLDER.parents[1])
    texts = Prepared.open(prepare(load_config(_DATA))).items()["text"].drop_nulls().to_list()
    distinct = list(dict.fromkeys(texts))
    order = np.random.default_rng(0).permutation(len(distinct))[:num_texts]
    chosen = [distinct[row] for row in order]
    kept = set(chosen)
    catalog = [text for text in texts if text in kept]
    for name, rows in (("distinct", chosen), ("catalog", catalog)):
        (folder / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")


def contestants(folder: Path) -> Iterator[Contestant]:
    """Yield ours and the peer, for the distinct texts and for the catalog."""
    python = os.environ.get(_PEER)
    for texts in ("distinct", "catalog"):
        source = str(folder / f"{texts}.json")
        for precision in ("fp32", "int8"):
            target = str(folder / f"{texts}-{precision}.npy")
            words = [str(_PEERS / "ours_encode.py"), DEFAULT_MODEL, source, target, precision]
            yield Contestant(f"{texts} {precision}", [sys.executable, *words])
        words = [DEFAULT_MODEL, source, str(folder / f"{texts}-peer.npy")]
        command = [str(python), str(_PEERS / "peer_sentence_transformers.py"), *words]
        yield Contestant(f"{texts} peer", command if python else None)


def verdict(entries: Sequence[Contestant], folder: Path) -> Iterator[str]:
    """Yield texts per CPU second, their ratio to the peer's, and how near the vectors are."""
    for texts, (fp32, int8, peer) in zip(
        ("distinct", "catalog"), (entries[:3], entries[3:]), strict=True
    ):
        rates = [each.median("texts") / each.median("cpu_s") for each in (fp32, int8, peer)]
        yield (
            f"{texts}: texts per CPU second fp32 {rates[0]:.0f}, int8 {rates[1]:.0f}, peer "
            f"{rates[2]:.0f}; ratio fp32 {rates[0] / rates[2]:.2f}, int8 {rates[1] / rates[2]:.2f}"
        )
    exact = np.load(folder / "distinct-fp32.npy")
    cosines = (exact * np.load(folder / "distinct-int8.npy")).sum(axis=1)
    yield f"int8 to fp32: cosine mean {cosines.mean():.5f}, least {cosines.min():.5f}"
    if peer.runs:
        off = np.abs(exact - np.load(folder / "distinct-peer.npy")).max()
        yield f"fp32 to peer: largest difference {off:.1e}"


def export(folder: Path, kind: str, pooling: Pooling) -> EncoderConfig:
    """Write a model as we export it, and return how we read it."""
    torch.manual_seed(0)
    model: PreTrainedModel = load_encoder(DEFAULT_MODEL)
    if kind == "causal":
        words = len(load_tokenizer(DEFAULT_MODEL))
        shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
        model = LlamaModel(LlamaConfig(vocab_size=words, num_attention_heads=4, **shape))
    save_model(
        folder,
        model,
        DEFAULT_MODEL,
        pooling=pooling,
        max_tokens=_EXPORT_TOKENS,
        keep_end=kind == "causal",
        normalize=pooling != "first",
    )
    return EncoderConfig(model=str(folder), pooling=pooling, normalize=pooling != "first")


def check_exports(folder: Path) -> Iterator[str]:
    """Yield how far the peer's vectors are from ours when it loads the folders that we export."""
    texts = json.loads((folder / "distinct.json").read_text(encoding="utf-8"))[:64]
    (folder / "some.json").write_text(json.dumps(texts), encoding="utf-8")
    for kind, pooling in EXPORTS:
        place = folder / f"{kind}-{pooling}"
        config = export(place, kind, pooling)
        tokens = tokenize(
            texts, load_tokenizer(str(place)), _EXPORT_TOKENS, keep_end=kind == "causal"
        )
        encoder = TextEncoder(config, torch.device("cpu"))
        blocks = (token_block(tokens, np.array([row])) for row in range(len(texts)))
        ours = torch.cat([encoder.encode(block) for block in blocks]).numpy()
        target = folder / f"{kind}-{pooling}.npy"
        script = str(_PEERS / "peer_sentence_transformers.py")
        words = [script, str(place), str(folder / "some.json"), str(target)]
        peer = Contestant("export", [os.environ[_PEER], *words])
        run(peer, ONE_THREAD, folder)
        off = peer.trouble or f"{np.abs(ours - np.load(target)).max():.1e}"
        yield f"export of {kind}, {pooling}: largest difference {off}"


def main() -> None:
    """Print the table of one run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, help="distinct texts; all by default")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_texts(folder, args.texts)
        entries = list(contestants(folder))
        for _ in range(args.repeats):
            for each in entries:
                run(each, ONE_THREAD, folder)
        lines = [f"encode, {args.repeats} runs, ratios to distinct fp32"]
        lines += [*table(entries, entries[0]), *verdict(entries, folder)]
        if os.environ.get(_PEER):
            lines += check_exports(folder)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
