"""RecTools: a CSV file to SASRec's first batch. `python peer_rectools.py CSV`.

As its guides do: `Dataset.construct`, `LastNSplitter` for the test events, and the preparator of
`SASRecModel` with `leave_one_out_mask` for the validation events.
Environment: `pip install "rectools[torch]==0.19.0"`.
"""

import sys
from pathlib import Path

import pandas as pd
from measure import measured
from rectools import Columns
from rectools.dataset import Dataset
from rectools.model_selection import LastNSplitter
from rectools.models import SASRecModel
from rectools.models.nn.transformers.utils import leave_one_out_mask


def main(source: Path) -> None:
    """Prepare training and validation, and make the first batch."""
    names = {"user_id": Columns.User, "item_id": Columns.Item, "timestamp": Columns.Datetime}
    interactions = pd.read_csv(source, usecols=list(names)).rename(columns=names)
    interactions[Columns.Datetime] = pd.to_datetime(interactions[Columns.Datetime], unit="s")
    interactions[Columns.Weight] = 1
    dataset = Dataset.construct(interactions)
    splitter = LastNSplitter(n=1, filter_already_seen=False)
    train_rows, _, _ = next(splitter.split(dataset.interactions))
    model = SASRecModel(
        session_max_len=50, batch_size=256, get_val_mask_func=leave_one_out_mask, n_factors=64
    )
    preparator = model.data_preparator
    preparator.process_dataset_train(dataset.filter_interactions(train_rows))
    loader = preparator.get_dataloader_train()
    preparator.get_dataloader_val()
    assert next(iter(loader))["x"].shape == (256, 50)


if __name__ == "__main__":
    with measured("rectools", "pandas", "numpy", "torch"):
        main(Path(sys.argv[1]))
