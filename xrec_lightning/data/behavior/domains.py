"""Which domains are trained on, shown and tested: the cross-domain modes of a behavior log.

| mode | settings |
|---|---|
| joint | none |
| single-domain twin of `a` | ``train_domains: [a], history_domains: [a]`` |
| source to target: `b` predicted from all that was done | ``train_domains: [b]`` |
| `b` left out, without its history (zero-shot) | ``train_domains: [a], history_domains: [a],
  eval_domains: [b]`` |
| `b` left out, its history shown at test | the same and ``test_history: all`` |
| source hidden at test | ``test_history: target_domain`` |
| target's history hidden at test | ``test_history: others`` |
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from xrec_lightning.data.behavior.augment import Augmentation, Events, Ints, Mask, select
from xrec_lightning.data.behavior.sequences import Histories
from xrec_lightning.data.errors import InputError, suggest

TestHistory = Literal["trained", "all", "target_domain", "others"]


class DomainModes(NamedTuple):
    """Which domains are trained on, shown and tested, each a mask of shape ``(D + 1,)``.

    Index 0, of padding, is always False.
    """

    is_target: Mask
    """Their events are targets of the training."""
    is_history: Mask
    """Their events stand in histories."""
    is_tested: Mask
    """Their targets are tested."""
    test_history: TestHistory = "trained"
    """What the histories of a test show."""

    @property
    def is_kept(self) -> Mask:
        """Domains whose events the training sees at all, shape ``(D + 1,)``."""
        mask: Mask = self.is_target | self.is_history
        return mask

    @property
    def is_limited(self) -> bool:
        """Whether the training leaves any event out."""
        return not self.is_kept[1:].all()

    def shown_in_training(self) -> Mask:
        """Return which event domains a target of each domain sees, shape ``(D + 1, D + 1)``."""
        return np.broadcast_to(self.is_history, (len(self.is_history),) * 2)

    def shown_in_test(self) -> Mask:
        """Return which event domains a tested target of each domain sees, ``(D + 1, D + 1)``."""
        is_own = np.eye(len(self.is_history), dtype=bool)
        if self.test_history == "all":
            return np.ones_like(is_own)
        if self.test_history == "trained":
            return self.shown_in_training()
        shown: Mask = self.is_history & (
            is_own if self.test_history == "target_domain" else ~is_own
        )
        return shown

    @property
    def test_label(self) -> str:
        """What keys of test figures say of the histories; empty where they are the usual ones."""
        is_usual = (self.shown_in_test() == self.shown_in_training())[1:, 1:].all()
        return "" if is_usual else self.test_history


def choose_domains(
    names: Sequence[str],
    train: Sequence[str] | None,
    history: Sequence[str] | None,
    tested: Sequence[str] | None,
    test_history: TestHistory = "trained",
) -> DomainModes:
    """Return the modes of the settings of a datamodule; ``None`` leaves all domains in.

    Targets of ``train`` are tested where ``tested`` is not given.

    Raises:
        InputError: If a list is empty or names no domain of the data.
    """
    is_target = _mask("train_domains", train, names)
    return DomainModes(
        is_target=is_target,
        is_history=_mask("history_domains", history, names),
        is_tested=is_target if tested is None else _mask("eval_domains", tested, names),
        test_history=test_history,
    )


def keep_domains(histories: Histories, is_kept: Mask) -> Histories:
    """Return the interactions of some domains, those of each user still in order of time."""
    mask = is_kept[histories.domain_ids]
    places = np.concatenate([[0], mask.cumsum()])
    return replace(
        histories,
        offsets=places[histories.offsets],
        item_ids=histories.item_ids[mask],
        domain_ids=histories.domain_ids[mask],
        times=histories.times[mask],
        train_ends=places[histories.train_ends],
        weights=None if histories.weights is None else histories.weights[mask],
    )


def skip_users_without(histories: Histories, is_target: Mask) -> Histories:
    """Return the interactions such that users without a training target have none to train on."""
    places = np.concatenate([[0], is_target[histories.domain_ids].cumsum()])
    starts = histories.offsets[:-1]
    has_target = places[histories.train_ends] > places[starts]
    return replace(histories, train_ends=np.where(has_target, histories.train_ends, starts))


def count_items(histories: Histories, num_items: int) -> Ints:
    """Return how often each item occurs in the training interactions, shape ``(N + 1,)``."""
    positions = np.arange(len(histories.item_ids))
    users = np.searchsorted(histories.offsets, positions, side="right") - 1
    is_training = positions < histories.train_ends[users]
    counts: Ints = np.bincount(histories.item_ids[is_training], minlength=num_items + 1)
    return counts


def show_domains(is_history: Mask) -> Augmentation:
    """Return what hides the events of the other domains from the targets of a batch."""

    def show(events: Events, generator: np.random.Generator) -> Events:
        return select(events, is_history[events.domain_ids])

    return show


def _mask(setting: str, chosen: Sequence[str] | None, names: Sequence[str]) -> Mask:
    mask = np.zeros(len(names) + 1, dtype=bool)
    if chosen is not None and not chosen:
        raise InputError(f"data.init_args.{setting} is empty: name a domain, or leave it out")
    for name in names if chosen is None else chosen:
        if name not in names:
            raise InputError(
                f"data.init_args.{setting}: no domain is {name}; {suggest(name, names)}"
            )
        mask[names.index(name) + 1] = True
    return mask
