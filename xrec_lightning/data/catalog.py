"""What models need to know of a prepared data set that is read as text."""

import numpy as np
import polars as pl
import torch

from xrec_lightning.batches import Catalog
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.schema import DOMAINS, ITEM_INDEX, SLICES, TRAIN_COUNT


def read_catalog(prepared: Prepared) -> Catalog:
    """Return the catalog of a prepared data set, without knowledge vectors."""
    items = prepared.items()
    listed = items.select(ITEM_INDEX, DOMAINS).explode(DOMAINS)
    candidates = [
        listed.filter(pl.col(DOMAINS) == domain)[ITEM_INDEX].sort().to_numpy()
        for domain in prepared.domains
    ]
    counts = np.concatenate([[0], items[TRAIN_COUNT].to_numpy()]).astype(np.int64)
    return Catalog(
        fingerprint=str(prepared.manifest["hash"]),
        domains=prepared.domains,
        slices=SLICES,
        num_users=len(prepared.users()),
        num_items=len(items),
        train_counts=torch.from_numpy(counts),
        candidates=tuple(torch.from_numpy(rows.astype(np.int64)) for rows in candidates),
        protocol=prepared.protocol,
        ties=prepared.manifest["config"]["split"]["ties"],
    )
