"""Which texts a language model can read."""

from typing import NamedTuple, cast

from torch import nn
from transformers import PreTrainedModel

from xrec_lightning.batches import TextBatch


class TextLimits(NamedTuple):
    """How long a text can be, and of which tokens."""

    model: str
    """The model's name, for the user."""
    max_tokens: int | None
    """Longest text in tokens; None where positions have no end."""
    num_tokens: int
    """Tokens of the vocabulary."""

    def check(self, text: TextBatch) -> None:
        """Refuse what the model cannot read.

        Raises:
            ValueError: If a text is too long, or of another tokenizer.
        """
        length = text.token_ids.size(1)
        if self.max_tokens is not None and length > self.max_tokens:
            raise ValueError(
                f"a text of {length} tokens, but {self.model} reads at most {self.max_tokens}: set "
                f"max_tokens of the data to {self.max_tokens} or less"
            )
        # Elsewhere than on a CPU this would wait for the device at every batch.
        if text.token_ids.is_cpu and text.token_ids.numel():
            largest = int(text.token_ids.max())
            if largest >= self.num_tokens:
                raise ValueError(
                    f"the tokenizer does not fit {self.model}: a text holds token {largest}, the "
                    f"model knows {self.num_tokens}; give the data the same `model` as the tower"
                )


def text_limits(model: nn.Module, name: str) -> TextLimits:
    """Return what ``model``, tuned or not, can read.

    Args:
        model: From `transformers`, or a tuned one.
        name: As the user calls it.
    """
    plain = cast("PreTrainedModel", model)  # what tuning adds still answers for the model
    embeddings = cast("nn.Embedding", plain.get_input_embeddings())
    return TextLimits(name, _position_limit(plain), embeddings.num_embeddings)


def _position_limit(model: PreTrainedModel) -> int | None:
    for name, module in model.named_modules():
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and padding is not None:
            # RoBERTa counts positions from the one after that of padding.
            return int(module.num_embeddings - padding - 1)
    limit = getattr(model.config, "max_position_embeddings", None)
    return int(limit) if limit and limit > 0 else None
