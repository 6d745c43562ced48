import numpy as np
import pytest

from xrec_lightning.batches import JointPromptBatch, PromptBatch
from xrec_lightning.data.datamodules.prompt_set import PromptSet
from xrec_lightning.data.text.clicks import Examples
from xrec_lightning.data.text.prompt_texts import EncodedPrompts
from xrec_lightning.data.text.tokenize import TokenizedTexts

PADDING = 9


def prompt_set(texts: int, references: bool = False) -> PromptSet:
    """Return three groups of two prompts; text ``i`` is ``i + 1`` tokens ``i``."""
    ids = np.arange(1, 7)
    labels = np.tile(np.array([1, 0], dtype=np.float32), 3)
    examples = Examples(ids, ids + 10, ids + 20, ids - 1, ids, labels)
    tokens = TokenizedTexts(np.repeat(np.arange(6), ids).astype(np.int32), np.cumsum([0, *ids]))
    said = [f"text {row}" for row in range(6)]
    prompts = EncodedPrompts((said,) * texts, (tokens,) * texts)
    scores = np.linspace(0, 1, 6, dtype=np.float32)[:, None] if references else None
    return PromptSet(examples, prompts, PADDING, group_size=2, references=scores)


def test_a_batch_has_whole_groups() -> None:
    prompts = prompt_set(texts=2)
    assert len(prompts) == 3
    batch = prompts.__getitems__([2, 0])
    assert isinstance(batch, PromptBatch)
    assert batch.user_ids.tolist() == [5, 6, 1, 2]
    assert batch.item_ids.tolist() == [15, 16, 11, 12]
    assert batch.domain_ids.tolist() == [25, 26, 21, 22]
    assert batch.labels.tolist() == [1, 0, 1, 0]
    assert batch.group_ids.tolist() == [2, 2, 0, 0]
    assert batch.references is None
    assert batch.candidate.token_ids[2].tolist() == [0, *[PADDING] * 5]
    assert batch.history.attention_mask.sum(dim=1).tolist() == [5, 6, 1, 2]


def test_one_text_is_a_joint_batch_with_the_references() -> None:
    batch = prompt_set(texts=1, references=True).__getitems__([1])
    assert isinstance(batch, JointPromptBatch)
    assert batch.prompt.attention_mask.sum(dim=1).tolist() == [3, 4]
    assert batch.references is not None
    assert batch.references.flatten().tolist() == pytest.approx([0.4, 0.6])


def test_the_example_is_the_first_prompt_with_its_answer() -> None:
    assert prompt_set(texts=1).example() == "text 0\nanswer: 1"
    assert prompt_set(texts=2).example() == "history: text 0\ncandidate: text 0\nanswer: 1"
