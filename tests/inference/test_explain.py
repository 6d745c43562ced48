import polars as pl
import pytest
import torch

from xrec_lightning.batches import SequenceBatch
from xrec_lightning.inference.explain import reasons, short_titles
from xrec_lightning.models.channels.base import Phrase
from xrec_lightning.models.fusion import Explanation

NONE = torch.zeros(0)
SEQUENCE = Phrase("often follows", "often follows such a history")
KNOWLEDGE = Phrase("similar in meaning to", "similar in meaning to the history")


def explain(channel_scores: list[float], causes: list[int]) -> str:
    """Explain one item of one list, whose history is items 2 and 1, in kitchen."""
    batch = SequenceBatch(
        user_ids=torch.tensor([1]),
        item_ids=torch.tensor([[2, 1, 0]]),
        domain_ids=torch.tensor([[1, 1, 0]]),
        times=torch.tensor([[1, 2, 0]]),
        target_ids=torch.tensor([[0]]),
        target_domain_ids=torch.tensor([[2]]),
        target_weights=NONE,
        state_positions=torch.tensor([[1]]),
        disliked_ids=NONE,
        seen_ids=NONE,
        slice_mask=NONE,
        row_ids=NONE,
    )
    explanation = Explanation(
        channel_names=("sequence", "knowledge"),
        phrases=(SEQUENCE, KNOWLEDGE),
        channel_scores=torch.tensor([[channel_scores]]),
        causes=torch.tensor([[causes]]),
    )
    titles = pl.Series(["APPLE SAUCE", "PEAR"])
    return reasons(explanation, batch, titles, ("grocery", "kitchen")).item()


@pytest.mark.parametrize(
    ("channel_scores", "causes", "expected"),
    [
        ([1.0, 3.0], [0, 1], 'similar in meaning to "APPLE SAUCE" (knowledge 75 %)'),
        ([3.0, 1.0], [0, 1], 'often follows "PEAR" (sequence 75 %)'),
        ([3.0, -9.0], [0, -1], 'often follows "PEAR" (sequence 100 %)'),
        ([1.0, 3.0], [0, -1], "similar in meaning to the history (knowledge 75 %)"),
        ([-1.0, -3.0], [-1, -1], "best of what is left in kitchen"),
        ([0.0, 0.0], [1, 1], "popular in kitchen"),
    ],
)
def test_the_strongest_channel_and_its_own_cause_speak(
    channel_scores: list[float], causes: list[int], expected: str
) -> None:
    assert explain(channel_scores, causes) == expected


def test_titles_fall_back_to_text_and_id_and_are_short() -> None:
    items = pl.DataFrame(
        {
            "title": ["Soup \n of  the day", None, None, "x" * 59 + ", " + "y" * 9],
            "text": ["t", "A pan.", None, None],
            "item_id": ["1", "2", "3", "4"],
        }
    )
    assert short_titles(items).to_list() == ["Soup of the day", "A pan.", "3", "x" * 59 + "…"]


def test_items_that_share_a_title_are_called_by_their_texts() -> None:
    items = pl.DataFrame(
        {
            "title": ["SOUP", "SOUP", "SOUP", "PAN", None],
            "text": ["SOUP. Tomato", "SOUP. Onion", None, "PAN. Iron", None],
            "item_id": ["1", "2", "3", "4", "5"],
        }
    )
    assert short_titles(items).to_list() == ["SOUP. Tomato", "SOUP. Onion", "SOUP", "PAN", "5"]


def test_several_lists_come_row_by_row() -> None:
    batch = SequenceBatch(
        user_ids=torch.tensor([1, 2]),
        item_ids=torch.tensor([[1, 2], [2, 0]]),
        domain_ids=NONE,
        times=NONE,
        target_ids=NONE,
        target_domain_ids=torch.tensor([[1], [2]]),
        target_weights=NONE,
        state_positions=NONE,
        disliked_ids=NONE,
        seen_ids=NONE,
        slice_mask=NONE,
        row_ids=NONE,
    )
    scores = torch.tensor([[[1.0], [1.0]], [[1.0], [0.0]]])
    causes = torch.tensor([[0, 1], [0, 0]])[..., None]
    explanation = Explanation(("sequence",), (SEQUENCE,), scores, causes)
    sentences = reasons(explanation, batch, pl.Series(["a", "b"]), ("grocery", "kitchen"))
    assert [sentence.split(" (")[0] for sentence in sentences] == [
        'often follows "a"',
        'often follows "b"',
        'often follows "b"',
        "popular in kitchen",
    ]
