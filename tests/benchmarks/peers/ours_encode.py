"""Ours: the texts of a JSON file to vectors.

`python ours_encode.py MODEL TEXTS.json VECTORS.npy PRECISION [BATCH_TOKENS]`.
Each distinct text is encoded once, as `xrec embed` does; the model is loaded before.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from measure import measured

from xrec_lightning.data.text.tokenize import load_tokenizer
from xrec_lightning.inference.embed import EmbedConfig, Encoding
from xrec_lightning.inference.encoding import TextEncoder
from xrec_lightning.inference.workers import Ranks


def main(name: str, source: Path, target: Path, precision: str, batch_tokens: int | None) -> None:
    """Encode, measured, and write the vectors."""
    config = EmbedConfig(
        model=name,
        precision=precision,  # type: ignore[arg-type]  # from the command line
        normalize=True,
        max_tokens=256,
        batch_tokens=batch_tokens,
        dataset=source,
        output=target,
    )
    encoder, tokenizer = TextEncoder(config, torch.device("cpu")), load_tokenizer(name)
    encode = Encoding(config, encoder, tokenizer, Ranks(0, 1))
    texts = json.loads(source.read_text(encoding="utf-8"))
    list(encode(texts[:32], np.zeros(32, dtype=bool)))
    with measured("xrec-lightning", "transformers", "torch") as facts:
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        distinct = torch.empty(len(rows), encoder.dim)
        for positions, vectors in encode(list(rows), np.zeros(len(rows), dtype=bool)):
            distinct[torch.from_numpy(positions)] = vectors
        everything = distinct[torch.tensor([rows[text] for text in texts])]
        facts["texts"] = len(texts)
    np.save(target, everything.numpy())


if __name__ == "__main__":
    budget = int(sys.argv[5]) if sys.argv[5:] else None
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], budget)
