"""Our split for peers: `python export_split.py DATA.yaml FILE.npz`, in our own environment.

The file holds the training events, and the validation and test targets with what each of them sees.
It is read with numpy alone, in any environment; `quality.py` tells what the arrays are.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from xrec_lightning.batches import SequenceBatch
from xrec_lightning.data.datamodules.behavior import BehaviorDataModule

SLICES = ("warm", "cold", "tail", "mid", "head")


def main(dataset: Path, path: Path) -> None:
    """Write the arrays."""
    data = BehaviorDataModule(dataset, eval_batch_size=2**20)
    histories, catalog = data.histories, data.catalog
    is_train = np.zeros(len(histories.item_ids), dtype=bool)
    for start, end in zip(histories.offsets[:-1], histories.train_ends, strict=True):
        is_train[start:end] = True
    users = np.repeat(np.arange(catalog.num_users), np.diff(histories.offsets))
    is_candidate = np.zeros((len(catalog.domains) + 1, catalog.num_items + 1), dtype=bool)
    for index, item_ids in enumerate(catalog.candidates, start=1):
        is_candidate[index, item_ids.numpy()] = True
    arrays = {
        "train_users": users[is_train],
        "train_items": histories.item_ids[is_train],
        "is_candidate": is_candidate,
        "slices": np.array([*catalog.domains, *SLICES]),
    }
    for split, loader in (("val", data.val_dataloader()), ("test", data.test_dataloader())):
        (batch,) = loader
        for name, values in _targets(batch, catalog.domains, catalog.slices).items():
            arrays[f"{split}_{name}"] = values
    np.savez_compressed(path, **arrays)


def _targets(
    batch: SequenceBatch, domains: tuple[str, ...], slices: tuple[str, ...]
) -> dict[str, np.ndarray]:
    domain_ids = batch.target_domain_ids[:, 0]
    masks = [domain_ids == index for index in range(1, len(domains) + 1)]
    masks += [batch.slice_mask[:, slices.index(name)] for name in SLICES]
    return {
        "histories": batch.item_ids.numpy(),
        "seen": batch.seen_ids.numpy(),
        "items": batch.target_ids[:, 0].numpy(),
        "domains": domain_ids.numpy(),
        "slices": torch.stack(masks, dim=1).numpy(),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
