"""Two streams over one history: all domains, and the domain that is asked for."""

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from xrec_lightning.models.sequence.base import (
    EncoderConfig,
    History,
    Requests,
    SequenceEncoder,
    last_states,
)
from xrec_lightning.models.sequence.experts import DomainLinear
from xrec_lightning.models.sequence.masked import MaskedEncoder
from xrec_lightning.models.sequence.sasrec import SASRecConfig


@dataclass(frozen=True, kw_only=True)
class TwoStreamConfig(EncoderConfig):
    """Settings of a `TwoStreamEncoder`; width and longest history are those of both streams."""

    stream: EncoderConfig = field(default_factory=SASRecConfig)
    """The encoder of a stream, less its width and longest history."""
    share_streams: bool = True
    """Whether both streams have the same weights, to which domains add theirs in their own stream
    alone (``stream.init_args.domain_rank``)."""
    combine: Literal["gate", "concat"] = "gate"
    """How the streams become one state: a learned gate between them, or a projection of both."""
    adapt_rank: int = 0
    """Rank of what the domain that is asked for adds to the projection of the mixed stream."""

    @override
    def build(self, num_domains: int = 1) -> "TwoStreamEncoder":
        return TwoStreamEncoder(self, num_domains)


torch.serialization.add_safe_globals([TwoStreamConfig])


class TwoStreamEncoder(SequenceEncoder):
    """Encode the mixed history, and that of the target's domain by itself, into one state.

    As in "ABXI: Invariant Interest Adaptation for Task-Guided Cross-Domain Sequential
    Recommendation" (Bian et al., WWW 2025) one encoder serves all streams, domains add weights of
    low rank to it, and what the mixed stream knows is adapted to the domain that is asked for.
    Differs from the paper: the streams are combined by a gate or a projection that starts as their
    mean; no separate projections of domain-specific and invariant interests, and no alignment of
    users' times across domains.

    Shapes: B batch, L history length, P targets, D ``config.embed_dim``.

    Raises:
        ValueError: If the encoder of the streams is no causal one.
    """

    reads_target_domain = True

    def __init__(self, config: TwoStreamConfig, num_domains: int = 1) -> None:
        super().__init__()
        width = config.embed_dim
        stream = replace(config.stream, embed_dim=width, max_seq_len=config.max_seq_len)
        self.num_domains = num_domains
        self.mixed = stream.build(num_domains)
        if isinstance(self.mixed, MaskedEncoder) or self.mixed.reads_target_domain:
            raise ValueError(
                f"TwoStreamConfig.stream is {type(stream).__name__}: take an encoder that is "
                "causal and the same for every target, such as SASRecConfig"
            )
        self.own = None if config.share_streams else stream.build(num_domains)
        self.adapt = DomainLinear(width, width, num_domains, config.adapt_rank)
        nn.init.eye_(self.adapt.weight)
        nn.init.zeros_(self.adapt.bias)
        self.is_gated = config.combine == "gate"
        self.combine = nn.Linear(2 * width, width)
        nn.init.zeros_(self.combine.bias)
        nn.init.zeros_(self.combine.weight)  # a gate of one half
        if not self.is_gated:
            self.combine.weight.data.copy_(torch.eye(width).repeat(1, 2) / 2)

    @override
    def forward(self, inputs: Tensor, times: Tensor, domain_ids: Tensor | None = None) -> Tensor:
        """Return the states for items of each position's own domain; see `SequenceEncoder`."""
        domain_ids = torch.zeros_like(times) if domain_ids is None else domain_ids
        positions = torch.arange(inputs.size(1), device=inputs.device).expand(len(inputs), -1)
        return self.states(History(inputs, times, domain_ids), Requests(positions, domain_ids))

    @override
    def states(self, history: History, requests: Requests) -> Tensor:
        # In shared weights the mixed stream is what is common to all domains.
        everyone = torch.zeros_like(history.domain_ids) if self.own is None else history.domain_ids
        hidden = self.mixed(history.inputs, history.times, everyone)
        mixed = self.adapt(last_states(hidden, requests.positions), requests.domain_ids)
        own = self.own_states(history, requests)
        combined = self.combine(torch.cat([mixed, own], dim=-1))
        if self.is_gated:
            combined = torch.lerp(mixed, own, combined.sigmoid())
        return combined * (requests.positions >= 0)[..., None]

    def own_states(self, history: History, requests: Requests) -> Tensor:
        """Return the states of the streams of the domains that are asked for, ``(B, P, D)``.

        They see interactions of that domain alone, as if there were no others, and are zero where
        there is none.
        """
        encoder = self.mixed if self.own is None else self.own
        states = history.inputs.new_zeros(*requests.positions.shape, history.inputs.size(-1))
        for domain in range(1, self.num_domains + 1):
            is_here = history.domain_ids == domain
            length = max(1, int(is_here.sum(dim=1).max()))
            order = (~is_here).long().argsort(dim=1, stable=True)[:, :length]  # (B, l)
            is_real = is_here.gather(1, order)
            rows = torch.arange(len(order), device=order.device)[:, None]
            hidden = encoder(
                history.inputs[rows, order] * is_real[..., None],
                history.times[rows, order] * is_real,
                history.domain_ids[rows, order] * is_real,
            )
            last = is_here.cumsum(dim=1).gather(1, requests.positions.clamp_min(0)) - 1
            is_asked = (requests.domain_ids == domain) & (requests.positions >= 0)
            states = states + last_states(hidden, torch.where(is_asked, last, -1))
        return states
