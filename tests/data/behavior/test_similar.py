import numpy as np
import pytest
import torch

from xrec_lightning.batches import Catalog
from xrec_lightning.data.behavior.augment import NEVER, Events
from xrec_lightning.data.behavior.similar import InsertConfig, SubstituteConfig
from xrec_lightning.data.errors import InputError

# Items 1, 2, 3 point one way, 4 and 5 another; 3 and 5 are of domain 2, and 6 is cold and nearest.
VECTORS = torch.tensor(
    [[0, 0], [1, 0], [1, 0.1], [1, 0.01], [0, 1], [0.1, 1], [1, 0], [0, 0]], dtype=torch.float32
)
CATALOG = Catalog(
    fingerprint="seven",
    domains=("books", "films"),
    slices=(),
    num_users=1,
    num_items=7,
    train_counts=torch.tensor([0, 1, 1, 1, 1, 1, 0, 1]),
    candidates=(torch.tensor([1, 2, 4, 6, 7]), torch.tensor([3, 5])),
    vectors=VECTORS,
)


def events_of(item_ids: list[int], domain_ids: list[int]) -> Events:
    """Return one history; its last event is padding when its item is 0."""
    items = np.array([item_ids])
    times = np.where(items > 0, 10 * np.arange(1, len(item_ids) + 1), 0)
    origins = np.where(items > 0, np.arange(len(item_ids)), NEVER)
    return Events(items, np.array([domain_ids]), times, origins)


def outcomes(config: SubstituteConfig | InsertConfig, events: Events) -> set[tuple[int, ...]]:
    """Return all rows of items that forty draws give."""
    augmentation = config.build(CATALOG)
    rows = (augmentation(events, np.random.default_rng(seed)).item_ids[0] for seed in range(40))
    return {tuple(row.tolist()) for row in rows}


def test_an_item_is_replaced_by_one_near_it_in_its_domain() -> None:
    config = SubstituteConfig(share=1.0, rate=1.0, nearest=1)
    assert outcomes(config, events_of([1, 0], [1, 0])) == {(2, 0)}
    assert outcomes(config, events_of([3, 0], [2, 0])) == {(5, 0)}


def test_an_item_may_be_replaced_by_one_of_another_domain_that_brings_its_domain() -> None:
    config = SubstituteConfig(share=1.0, rate=1.0, nearest=1, same_domain=False)
    augmented = config.build(CATALOG)(events_of([1, 0], [1, 0]), np.random.default_rng(0))
    assert augmented.item_ids.tolist() == [[3, 0]]
    assert augmented.domain_ids.tolist() == [[2, 0]]
    assert augmented.times.tolist() == [[10, 0]]


def test_the_item_is_drawn_from_the_nearest_ones() -> None:
    config = SubstituteConfig(share=1.0, rate=1.0, nearest=2, same_domain=False)
    assert outcomes(config, events_of([1], [1])) == {(3,), (2,)}


def test_no_item_of_the_history_is_drawn() -> None:
    config = SubstituteConfig(share=1.0, rate=1.0, nearest=1)
    assert outcomes(config, events_of([1, 2], [1, 1])) == {(1, 2)}


def test_an_item_without_text_stays() -> None:
    assert outcomes(SubstituteConfig(share=1.0, rate=1.0), events_of([7], [1])) == {(7,)}
    assert outcomes(InsertConfig(share=1.0, rate=1.0), events_of([7], [1])) == {(7,)}


def test_a_similar_item_is_put_before_at_the_same_time() -> None:
    config = InsertConfig(share=1.0, rate=1.0, nearest=1)
    augmented = config.build(CATALOG)(events_of([4, 3, 0], [1, 2, 0]), np.random.default_rng(0))
    # 2 is the only other item with text near 4 in books.
    assert augmented.item_ids[0, :5].tolist() == [2, 4, 5, 3, 0]
    assert augmented.domain_ids[0, :5].tolist() == [1, 1, 2, 2, 0]
    assert augmented.times[0, :5].tolist() == [10, 10, 20, 20, 0]
    assert augmented.origins[0, :5].tolist() == [0, 0, 1, 1, NEVER]


def test_the_rate_is_the_share_of_touched_events() -> None:
    config = SubstituteConfig(share=1.0, rate=0.3, nearest=1, same_domain=False)
    single = events_of([1], [1])
    events = Events(*(np.repeat(each, 2000, axis=0) for each in single))
    augmented = config.build(CATALOG)(events, np.random.default_rng(0))
    assert (augmented.item_ids == 3).mean() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("config", [SubstituteConfig(), InsertConfig()])
def test_without_knowledge_the_remedy_is_named(config: SubstituteConfig) -> None:
    with pytest.raises(InputError, match=r"needs knowledge vectors.*data.init_args.knowledge"):
        config.build(CATALOG._replace(vectors=None))


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="nearest is 0"):
        InsertConfig(nearest=0)
    with pytest.raises(InputError, match="rate is -1"):
        SubstituteConfig(rate=-1)
