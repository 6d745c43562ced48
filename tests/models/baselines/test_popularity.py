from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.popularity import PopularityConfig


def test_scores_are_training_counts_for_everyone(catalog: Catalog, batch: SequenceBatch) -> None:
    scores = PopularityConfig().build(catalog).scores(batch)
    assert scores.tolist() == [catalog.train_counts.tolist()] * 3
