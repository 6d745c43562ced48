"""AdaLoRA: low-rank updates whose ranks are pruned while they train."""

from dataclasses import dataclass
from math import isinf
from typing import Any, cast

import torch
from peft import AdaLoraConfig, PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel
from typing_extensions import override

from xrec_lightning.models.language.tuning.base import TuningConfig
from xrec_lightning.models.language.tuning.peft_models import add_peft
from xrec_lightning.models.language.tuning.targets import find_linear

ALLOCATION = "rank_allocation"


@dataclass(frozen=True, kw_only=True)
class AdaLoraTuning(TuningConfig):
    """Train low-rank updates and give the ranks to the layers that need them.

    Zhang et al., 2023, arXiv:2303.10512. The ranks of all layers together fall from
    ``initial_rank`` each to ``target_rank`` each, by a cubic schedule over the run.
    """

    target_rank: int = 8
    """Mean rank of a layer at the end."""
    initial_rank: int = 12
    """Rank of every layer at the start."""
    alpha: int = 32
    """Updates are scaled by ``alpha / initial_rank``."""
    dropout: float = 0.0
    """Share of the updates' inputs that are dropped in training."""
    warmup_share: float = 0.1
    """Share of the run's steps before the first rank is pruned."""
    final_share: float = 0.3
    """Share of the run's steps after the last rank is pruned."""
    every_n_steps: int = 1
    """Steps between two prunings."""
    smoothing: float = 0.85
    """Decay of the running means of importance and of its uncertainty."""
    orthogonal_weight: float = 0.5
    """Weight in the loss of how far the updates' factors are from orthogonal."""
    target_modules: list[str] | None = None
    """Last parts of the names of the layers; by default every linear layer, whatever its name."""

    def __post_init__(self) -> None:
        if not 0 < self.target_rank < self.initial_rank:
            raise ValueError(
                f"tuning.init_args.target_rank: {self.target_rank} is not between 0 and "
                f"initial_rank {self.initial_rank}, so there is nothing to prune"
            )
        if self.warmup_share + self.final_share >= 1.0:
            raise ValueError(
                f"tuning.init_args: warmup_share {self.warmup_share} and final_share "
                f"{self.final_share} leave no step to prune; choose shares whose sum is below 1"
            )

    @override
    def apply(self, model: PreTrainedModel) -> nn.Module:
        config = AdaLoraConfig(
            target_r=self.target_rank,
            init_r=self.initial_rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            deltaT=self.every_n_steps,
            beta1=self.smoothing,
            beta2=self.smoothing,
            orth_reg_weight=self.orthogonal_weight,
            target_modules=self.target_modules or find_linear(model),
            total_step=1,  # `start` says how many
        )
        tuned = add_peft(model, config)
        # Made here and not in `start`: a resumed run fills it before it starts.
        tuned.add_module(ALLOCATION, RankAllocation(tuned))
        return tuned

    @override
    def start(self, model: nn.Module, total_steps: float) -> None:
        if isinf(total_steps):
            raise ValueError(
                "AdaLoraTuning prunes over the run and this one has no end; "
                "set trainer.max_epochs or trainer.max_steps"
            )
        config = cast("PeftModel", model).active_peft_config
        config.total_step = int(total_steps)
        config.tinit = int(self.warmup_share * total_steps)
        config.tfinal = int(self.final_share * total_steps)

    @override
    def after_step(self, model: nn.Module, step: int) -> None:
        tuned = cast("PeftModel", model)
        allocation = cast("RankAllocation", tuned.get_submodule(ALLOCATION))
        config = tuned.active_peft_config
        last_pruning = config.total_step - config.tfinal
        allocation.put_into(tuned)
        update: Any = tuned.base_model.update_and_allocate
        update(step)
        if step <= last_pruning:
            allocation.take_from(tuned)
        if step < last_pruning:
            # A pruned rank can still come back, so an adapter saved now must hold all.
            config.rank_pattern = None

    @override
    def penalty(self, model: nn.Module) -> Tensor | None:
        if self.orthogonal_weight == 0.0:
            return None
        distances = []
        for name, weight in model.named_parameters():
            if ".lora_A." in name or ".lora_B." in name:
                gram = weight @ weight.T if ".lora_A." in name else weight.T @ weight
                identity = torch.eye(len(gram), device=gram.device, dtype=gram.dtype)
                distances.append(torch.linalg.norm(gram - identity))
        return self.orthogonal_weight * torch.stack(distances).mean()


torch.serialization.add_safe_globals([AdaLoraTuning])


class RankAllocation(nn.Module):
    """The importance of every weight of the updates, and which ranks were kept at last.

    `peft` holds both outside of any module; as buffers they are part of a checkpoint.
    """

    def __init__(self, model: PeftModel) -> None:
        super().__init__()
        named = model.get_base_model().named_parameters()
        updates = {name: weight for name, weight in named if ".lora_" in name}
        self.names = [name for name, weight in updates.items() if weight.requires_grad]
        """The updates' weights, as the allocator of `peft` calls them."""
        for place, name in enumerate(self.names):
            weight = updates[name]
            self.register_buffer(f"importance_{place}", torch.zeros_like(weight))
            self.register_buffer(f"uncertainty_{place}", torch.zeros_like(weight))
            if ".lora_E." in name:
                self.register_buffer(f"kept_{place}", torch.ones(len(weight), dtype=torch.bool))

    def put_into(self, model: PeftModel) -> None:
        """Let the allocator of `peft` go on from here."""
        allocator: Any = model.base_model.rankallocator
        pattern: dict[str, list[bool]] = {}
        for place, name in enumerate(self.names):
            allocator.exp_avg_ipt[name] = self.get_buffer(f"importance_{place}")
            allocator.exp_avg_unc[name] = self.get_buffer(f"uncertainty_{place}")
            allocator.ipt[name] = allocator.exp_avg_ipt[name]  # replaced before it is read
            if ".lora_E." in name:
                pattern[name] = self.get_buffer(f"kept_{place}").tolist()
        model.active_peft_config.rank_pattern = pattern

    def take_from(self, model: PeftModel) -> None:
        """Hold what the allocator of `peft` came to."""
        allocator: Any = model.base_model.rankallocator
        pattern = model.active_peft_config.rank_pattern
        for place, name in enumerate(self.names):
            if name in allocator.exp_avg_ipt:  # forgotten after the last pruning
                self.get_buffer(f"importance_{place}").copy_(allocator.exp_avg_ipt[name])
                self.get_buffer(f"uncertainty_{place}").copy_(allocator.exp_avg_unc[name])
            if name in pattern:
                kept = self.get_buffer(f"kept_{place}")
                kept.copy_(torch.tensor(pattern[name], device=kept.device))
