"""Linear layers that multiply 8-bit integers, two to three times as fast on a CPU."""

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D
from typing_extensions import override

LEVELS = 255
"""Steps between the least and the largest number that 8 bits tell apart."""
_ZERO = 128
_SMALLEST_RANGE = 1e-6


class Int8Linear(nn.Module):
    """A frozen linear layer on 8-bit integers.

    Each output has its own scale of weights, symmetric; each token its own scale and zero of
    inputs, found on the fly. A token's output thus depends on no other token of its batch, and the
    sums of products are exact: neither padding nor batches change a bit of it.

    Shapes: K inputs, N outputs.

    Args:
        weight: Shape ``(N, K)``.
        bias: Shape ``(N,)``, or none.
    """

    levels: Tensor
    scale: Tensor
    bias: Tensor
    sums: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        wide = weight.detach().float()
        largest = wide.abs().amax(dim=1).clamp_min(_SMALLEST_RANGE)
        scale = largest / (_ZERO - 1)
        levels = (wide / scale[:, None]).round().to(torch.int8)
        self.register_buffer("levels", levels.T)  # (K, N)
        self.register_buffer("scale", scale)
        self.register_buffer("sums", levels.sum(dim=1, dtype=torch.int64).float())
        own = torch.zeros(len(wide)) if bias is None else bias.detach().float().clone()
        self.register_buffer("bias", own)

    @override
    def forward(self, inputs: Tensor) -> Tensor:
        rows = inputs.reshape(-1, inputs.size(-1))  # (M, K)
        # Zero is among what can be told exactly, and keeps the scale from running off.
        least = rows.amin(dim=1, keepdim=True).clamp_max_(0.0)
        step = rows.amax(dim=1, keepdim=True).clamp_min_(0.0)
        step = step.sub_(least).clamp_min_(_SMALLEST_RANGE).div_(LEVELS)
        inverse = step.reciprocal()
        shift = least * inverse + _ZERO
        levels = (rows * inverse).sub_(shift).round_().to(torch.int8)
        outputs = torch._int_mm(levels, self.levels).float()  # (M, N)
        outputs.addcmul_(shift, self.sums).mul_(step)
        torch.addcmul(self.bias, outputs, self.scale, out=outputs)
        return outputs.view(*inputs.shape[:-1], outputs.size(1))


def quantize(model: nn.Module) -> nn.Module:
    """Replace every linear layer of a model by an `Int8Linear`, in place, and return the model.

    Embeddings, norms and attention stay as they are.
    """
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.Linear):
                setattr(module, name, Int8Linear(layer.weight, layer.bias))
            elif isinstance(layer, Conv1D):  # GPT-2's, with inputs first
                setattr(module, name, Int8Linear(layer.weight.T, layer.bias))
    return model
