"""RePlay: a CSV file to SasRec's first batch. `python peer_replay.py CSV FOLDER [tokenizer]`.

As its examples do: `LabelEncoder`, `LastNSplitter` twice, `groupby_sequences`, parquet files and a
`ParquetModule`; with `tokenizer` the older `SequenceTokenizer` and `SasRecTrainingDataset`.
Environment: `pip install "replay-rec[torch]==0.22.0"`.
"""

import sys
import warnings
from pathlib import Path

import polars as pl
import torch
from measure import measured
from replay.data import (
    Dataset,
    FeatureHint,
    FeatureInfo,
    FeatureSchema,
    FeatureSource,
    FeatureType,
)
from replay.data.nn import (
    ParquetModule,
    SequenceTokenizer,
    SequentialDataset,
    TensorFeatureInfo,
    TensorFeatureSource,
    TensorSchema,
)
from replay.data.nn.utils import groupby_sequences
from replay.models.nn.sequential.sasrec import SasRecTrainingDataset, SasRecValidationDataset
from replay.nn.transform.template import make_default_sasrec_transforms
from replay.preprocessing import LabelEncoder, LabelEncodingRule
from replay.splitters import LastNSplitter

USER, ITEM, TIME, TRUTH = "user_id", "item_id", "timestamp", "ground_truth"
LENGTH, BATCH_SIZE = 50, 256


def split(interactions: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return all but the last event of each user, and the last."""
    splitter = LastNSplitter(
        N=1,
        divide_column=USER,
        query_column=USER,
        item_column=ITEM,
        timestamp_column=TIME,
        drop_cold_users=True,
        drop_cold_items=True,
    )
    return splitter.split(interactions)


def tensor_schema(num_items: int | None) -> TensorSchema:
    """Return the schema of histories of items."""
    sources = [TensorFeatureSource(FeatureSource.INTERACTIONS, ITEM)]
    return TensorSchema(
        TensorFeatureInfo(
            name=ITEM,
            is_seq=True,
            padding_value=num_items or 0,
            cardinality=num_items,
            embedding_dim=64,
            feature_type=FeatureType.CATEGORICAL,
            feature_hint=FeatureHint.ITEM_ID,
            feature_sources=sources,
        )
    )


def write_histories(path: Path, events: pl.DataFrame, truth: pl.DataFrame | None = None) -> str:
    """Write one history a user, with the target where ``truth`` is given, and return the path."""
    histories = groupby_sequences(events, groupby_col=USER, sort_col=TIME)
    if truth is not None:
        targets = truth.select(USER, pl.concat_list(ITEM).alias(TRUTH))
        histories = histories.join(targets, on=USER)
    histories.write_parquet(path)
    return str(path)


def by_parquet(source: Path, folder: Path) -> None:
    """Prepare training and validation, and make the first batch."""
    interactions = pl.read_csv(source, columns=[USER, ITEM, TIME])
    encoder = LabelEncoder([LabelEncodingRule(USER), LabelEncodingRule(ITEM)])
    interactions = encoder.fit_transform(interactions)
    known, _ = split(interactions)
    train, val = split(known)
    schema = tensor_schema(len(encoder.mapping[ITEM]))
    column = {"padding": schema[ITEM].padding_value}
    truth = {"shape": 1, "padding": -1}
    module = ParquetModule(
        batch_size=BATCH_SIZE,
        metadata={
            "train": {USER: {}, ITEM: {"shape": LENGTH + 1, **column}},
            "validate": {USER: {}, ITEM: {"shape": LENGTH, **column}, TRUTH: truth},
        },
        transforms=make_default_sasrec_transforms(schema),
        train_path=write_histories(folder / "train.parquet", train),
        validate_path=write_histories(folder / "val.parquet", train, val),
    )
    module.setup("fit")
    loader = module.train_dataloader()
    batch = module.compiled_transforms["train"](next(iter(loader)))
    assert batch["feature_tensors"][ITEM].shape == (BATCH_SIZE, LENGTH)


def by_tokenizer(source: Path) -> None:
    """Prepare training and validation, and make the first batch."""
    interactions = pl.read_csv(source, columns=[USER, ITEM, TIME])
    known, _ = split(interactions)
    train, val = split(known)
    roles = ((USER, FeatureHint.QUERY_ID), (ITEM, FeatureHint.ITEM_ID))
    features = [
        *(FeatureInfo(name, FeatureType.CATEGORICAL, feature_hint=hint) for name, hint in roles),
        FeatureInfo(TIME, FeatureType.NUMERICAL, feature_hint=FeatureHint.TIMESTAMP),
    ]
    schema = FeatureSchema(features)
    train_set, val_set = (
        Dataset(schema, events, check_consistency=False) for events in (train, val)
    )
    tokenizer = SequenceTokenizer(tensor_schema(None), handle_unknown_rule="drop")
    histories = tokenizer.fit_transform(train_set)
    validation, truth = SequentialDataset.keep_common_query_ids(
        histories, tokenizer.transform(val_set, [ITEM])
    )
    SasRecValidationDataset(validation, truth, histories, max_sequence_length=LENGTH)
    dataset = SasRecTrainingDataset(histories, max_sequence_length=LENGTH)
    loader = torch.utils.data.DataLoader(dataset, BATCH_SIZE, shuffle=True)
    assert next(iter(loader))["positive_labels"].shape == (BATCH_SIZE, LENGTH)


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)
    with measured("replay-rec", "polars", "numpy", "torch"):
        if sys.argv[3:] == ["tokenizer"]:
            by_tokenizer(Path(sys.argv[1]))
        else:
            by_parquet(Path(sys.argv[1]), Path(sys.argv[2]))
