"""RecBole: its atomic file to SASRec's first batch. `python peer_recbole.py FILE.inter FOLDER`.

As `run_recbole` does until the model is made.
Environment: `pip install recbole==1.2.1 "numpy<2" "pandas<3" "setuptools<81"`.
"""

import os
import sys
from pathlib import Path

from measure import measured
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import init_seed


def main(source: Path, folder: Path) -> None:
    """Prepare training and validation, and make the first batch."""
    sys.argv = sys.argv[:1]  # Config reads the command line too
    settings = {
        "data_path": str(source.parent.parent),
        "checkpoint_dir": str(folder),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {
            "split": {"LS": "valid_and_test"},
            "group_by": "user",
            "order": "TO",
            "mode": "full",
        },
        "train_neg_sample_args": None,
        "MAX_ITEM_LIST_LENGTH": 50,
        "train_batch_size": 256,
        "use_gpu": False,
    }
    config = Config(model="SASRec", dataset=source.stem, config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    loader, _, _ = data_preparation(config, dataset)
    assert next(iter(loader))["item_id_list"].shape == (256, 50)


if __name__ == "__main__":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with measured("recbole", "pandas", "numpy", "torch"):
        main(Path(sys.argv[1]), Path(sys.argv[2]))
