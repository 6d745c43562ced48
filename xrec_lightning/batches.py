"""The tensors that data makes and models read."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from torch import Tensor

from xrec_lightning.histories import TrainingHistories

FINGERPRINT = "catalog_fingerprint"
"""Key of a checkpoint with `Catalog.fingerprint`."""


class RatingScale(NamedTuple):
    """Where ratings lie, in the units of the data."""

    mean: float
    """Mean of the training ratings."""
    deviation: float
    """Their standard deviation; 1 where all are equal."""


class TextSource(NamedTuple):
    """The texts that a language model is pre-trained on, as far as the model must know."""

    tokenizer: str
    """The model whose tokenizer made the tokens: a folder, a name, or ``package:NAME/FOLDER``."""
    max_tokens: int
    """Longest text, in tokens."""
    objective: Literal["mlm", "clm"]
    """`mlm`: hidden tokens are predicted; `clm`: each next token is."""
    views: int = 1
    """How often a training batch holds each of its texts, with other tokens hidden."""


class Catalog(NamedTuple):
    """What the data knows and the models need: domains, items, counts, knowledge.

    Shapes: N items, D the width of the knowledge vectors, S slices. Index 0 is padding.
    """

    fingerprint: str
    """Hash of the prepared data and of the knowledge; a checkpoint refuses another one."""
    domains: tuple[str, ...]
    """Names of the domains; domain index ``i`` is ``domains[i - 1]``."""
    slices: tuple[str, ...]
    """Names of the columns of `SequenceBatch.slice_mask`."""
    num_users: int
    num_items: int
    train_counts: Tensor
    """Training events of each item, int64, shape ``(N + 1,)``."""
    candidates: tuple[Tensor, ...]
    """Sorted item indices of each domain, int64, one tensor a domain, in the order of `domains`."""
    vectors: Tensor | None = None
    """Knowledge vectors, float32, shape ``(N + 1, D)``; zero for padding and items without text."""
    histories: Callable[[], TrainingHistories] | None = None
    """Reads the training events; what is large is read at each call, and only if a model calls."""
    tags: Callable[[], Mapping[str, Tensor]] | None = None
    """Reads what items are tagged with: edges by their kind, such as `item_tag`, as pairs of nodes,
    int64, shape ``(E, 2)``; items are the nodes ``1..N``, tags, brands and entities follow."""
    user_vectors: Callable[[], Tensor] | None = None
    """Reads the knowledge vectors of profiles, float32, shape ``(U + 1, D)``; zero without one."""
    modalities: Mapping[str, Callable[[], Tensor]] | None = None
    """Reads other vectors of the items, by their name, float32, shape ``(N + 1, width)``."""
    protocol: str = ""
    """Hash of what defines the evaluation; it stands beside the figures of a test."""
    ties: str = "shuffle"
    """`file`: the order of the file within equal times is believed."""
    test_history: str = ""
    """What a test shows of histories, where it is not what the model was trained on."""
    corruption: str = ""
    """What a test replaced in its input on purpose, such as `events=0.1`."""
    test_negatives: int = 0
    """Sampled items that a test ranks each target among; 0: all candidates."""
    prompt_texts: int = 2
    """Texts of a prompt: 2 for `PromptBatch`, 1 for `JointPromptBatch`."""
    references: tuple[str, ...] = ()
    """Names of the columns of `PromptBatch.references`: `text_knn` for choices, `bias` for
    ratings."""
    ratings: RatingScale | None = None
    """Where prompts ask for ratings: their scale."""
    classes: tuple[str, ...] = ()
    """Where texts have classes: their names, in the order of `LabeledTextBatch.labels`."""
    class_counts: tuple[int, ...] = ()
    """Training texts of each class."""
    texts: TextSource | None = None
    """Where a language model is pre-trained: its texts."""
    parts: "Mapping[str, Catalog] | None" = None
    """Of several datamodules at once: what each of them knows, by the name of its task."""

    def of(self, task: str) -> "Catalog":
        """Return what the data of one task knows.

        Raises:
            ValueError: If no data were given for it.
        """
        if self.parts is None:
            return self
        if task not in self.parts:
            raise ValueError(
                f"model.init_args.tasks.{task}: data.init_args.parts has {', '.join(self.parts)}; "
                "call task and part the same"
            )
        return self.parts[task]

    @property
    def test_stage(self) -> str:
        """What keys of test figures begin with: `test`, and what is unusual about it.

        For example ``test[ties=file,history=others]``, lest one forgets.
        """
        unusual = [f"ties={self.ties}"] if self.ties != "shuffle" else []
        if self.test_history:
            unusual.append(f"history={self.test_history}")
        if self.corruption:
            unusual.append(self.corruption)
        if self.test_negatives:
            unusual.append(f"negatives={self.test_negatives}")
        return f"test[{','.join(unusual)}]" if unusual else "test"


class SequenceBatch(NamedTuple):
    """Histories and the targets to be predicted from them.

    Shapes: B histories, L history length, P targets of a history, K ids, S slices. A target is
    predicted from the state at its ``state_positions``, that of the last event strictly earlier.
    """

    user_ids: Tensor
    """User indices, shape ``(B,)``."""
    item_ids: Tensor
    """Histories, oldest first, right-padded with 0, shape ``(B, L)``."""
    domain_ids: Tensor
    """Domains of the histories' interactions, right-padded with 0, shape ``(B, L)``."""
    times: Tensor
    """Times of the histories' interactions in seconds, shape ``(B, L)``."""
    target_ids: Tensor
    """Items to be predicted, 0 where there is none, shape ``(B, P)``."""
    target_domain_ids: Tensor
    """Domains of the targets: their candidates, shape ``(B, P)``."""
    target_weights: Tensor
    """Weight of each target in the training loss, 0 where there is none, float32, ``(B, P)``."""
    state_positions: Tensor
    """Position of the last strictly earlier interaction, -1: there is none, shape ``(B, P)``."""
    disliked_ids: Tensor
    """Items that the user does not want, right-padded with 0, shape ``(B, K)``; training only."""
    seen_ids: Tensor
    """Items that are no candidates, right-padded with 0, shape ``(B, K)``; evaluation only."""
    slice_mask: Tensor
    """Membership of the (single) target in each slice, shape ``(B, S)``; evaluation only."""
    row_ids: Tensor
    """Row of the target file that each history belongs to, shape ``(B,)``; evaluation only."""


class TokenBatch(NamedTuple):
    """Token blocks with the tokens to be predicted. Shapes: B blocks, L tokens, T texts.

    A block is one text, or holds several where there are `segments`. With `TextSource.views` of 2
    the second half of the texts are those of the first half.
    """

    token_ids: Tensor
    """What the model reads, right-padded, shape ``(B, L)``."""
    attention_mask: Tensor
    """True at real tokens, shape ``(B, L)``."""
    labels: Tensor
    """Token that the state at a position predicts, -100 where none, shape ``(B, L)``."""
    domain_ids: Tensor
    """Domain of each text, 0 for text of no domain, shape ``(T,)``."""
    text_ids: Tensor
    """Which text it is, to tell equal ones, shape ``(T,)``."""
    segments: Tensor | None = None
    """Text of each token, counted from 0, -1 at padding, shape ``(B, L)``; None: block ``i`` is
    text ``i``."""


class TextBatch(NamedTuple):
    """Tokenized texts. Shapes: B texts, L tokens."""

    token_ids: Tensor
    """Tokens, right-padded, shape ``(B, L)``."""
    attention_mask: Tensor
    """True at real tokens, shape ``(B, L)``."""


class PairBatch(NamedTuple):
    """Pairs of texts that belong together. B pairs."""

    left: TextBatch
    right: TextBatch
    left_ids: Tensor
    """Item indices, shape ``(B,)``; equal items are no negatives of each other."""
    right_ids: Tensor
    """Item indices, shape ``(B,)``."""
    left_log_q: Tensor
    """Logarithm of the share of draws whose left side this is, float32, shape ``(B,)``."""
    right_log_q: Tensor
    """Logarithm of the share of draws whose right side this is, float32, shape ``(B,)``."""


class NextItemBatch(NamedTuple):
    """Histories and the items that followed, each distinct text once.

    Shapes: B histories, H newest items of a history, S items of it, T texts. Items of equal text
    are one: the first of them stands for all in ids.
    """

    user_ids: Tensor
    """User indices, shape ``(B,)``."""
    texts: TextBatch
    """Distinct texts of histories and targets, T of them."""
    text_domain_ids: Tensor
    """Domain of each text's items, 0 where they are of several, shape ``(T,)``."""
    history_rows: Tensor
    """Texts of the newest items, newest first, any where there is none, shape ``(B, H)``."""
    history_weights: Tensor
    """Weights of those texts in the history's mean, 0 where there is none, float32, ``(B, H)``."""
    seen_ids: Tensor
    """Items of the histories, newest first, 0 where there is none, shape ``(B, S)``."""
    target_rows: Tensor
    """Texts of the targets, shape ``(B,)``."""
    target_ids: Tensor
    """Items to be found, shape ``(B,)``."""
    target_domain_ids: Tensor
    """Domains of the targets, shape ``(B,)``."""
    target_log_q: Tensor
    """Logarithm of the share of draws whose target this is, float32, shape ``(B,)``."""


class ItemTextBatch(NamedTuple):
    """Texts of items that are ranked, or looked up in histories. T distinct texts, M items."""

    texts: TextBatch
    text_ids: Tensor
    """First item of each text, shape ``(T,)``."""
    item_ids: Tensor
    """All items of these texts, and items without text, shape ``(M,)``."""
    leader_ids: Tensor
    """First item of each item's text, 0 for items without text, shape ``(M,)``."""
    is_candidate: Tensor
    """Whether each item is ranked, shape ``(M,)``."""
    sample_size: int = 0
    """How many candidates of each domain were drawn, 0: all of them are ranked."""


class WeightedTargets(NamedTuple):
    """Targets to be ranked by a weighted mean of their histories. B targets, L history length."""

    sequences: SequenceBatch
    """Histories with one target each."""
    weights: Tensor
    """Weight of each history item, 0 where there is none, float32, shape ``(B, L)``."""


class PromptBatch(NamedTuple):
    """History and candidate, each as a text, with the answer. B prompts."""

    history: TextBatch
    candidate: TextBatch
    labels: Tensor
    """1 where the user chose the candidate, else 0; or the user's rating, ``(B,)``, float32."""
    user_ids: Tensor
    """User indices, shape ``(B,)``."""
    item_ids: Tensor
    """Candidate item indices, shape ``(B,)``."""
    domain_ids: Tensor
    """Domain of the candidates, shape ``(B,)``."""
    group_ids: Tensor
    """Equal for a choice and its negatives, which are never torn apart, shape ``(B,)``."""
    references: Tensor | None = None
    """What models say that are not trained here, as `Catalog.references` names them, float32, shape
    ``(B, R)``, in evaluation only."""


class JointPromptBatch(NamedTuple):
    """History and candidate as one text, with the answer; fields as in `PromptBatch`. B prompts."""

    prompt: TextBatch
    labels: Tensor
    user_ids: Tensor
    item_ids: Tensor
    domain_ids: Tensor
    group_ids: Tensor
    references: Tensor | None = None


class LabeledTextBatch(NamedTuple):
    """Texts with their classes. B texts."""

    text: TextBatch
    labels: Tensor
    """Class indices from 0, shape ``(B,)``, int64."""
    user_ids: Tensor
    """Users whose histories the texts are, 0 for texts of items, shape ``(B,)``."""
    item_ids: Tensor
    """Items whose texts they are, 0 for texts of users, shape ``(B,)``."""
    domain_ids: Tensor
    """Domain of the texts, shape ``(B,)``."""
