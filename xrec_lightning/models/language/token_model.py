"""A language model that predicts tokens, with logits at predicted positions only."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedModel
from typing_extensions import override

from xrec_lightning.batches import TextSource, TokenBatch
from xrec_lightning.models.language.causal import load_causal
from xrec_lightning.models.language.isolation import isolated_inputs
from xrec_lightning.models.language.limits import text_limits
from xrec_lightning.models.language.mlm import Head, load_masked, masked_head, output_layer
from xrec_lightning.models.language.scratch import NewModelConfig
from xrec_lightning.models.language.token_loss import summed_loss, token_figures
from xrec_lightning.pretrained import locate_pretrained


class TokenPredictions(NamedTuple):
    """How well tokens are predicted. M predicted positions."""

    losses: Tensor
    """Cross-entropy, shape ``(M,)``."""
    is_correct: Tensor
    """Whether the token had the highest logit, shape ``(M,)``."""
    domain_ids: Tensor
    """Domain of the text of each position, shape ``(M,)``."""


class TokenModel(nn.Module):
    """Predict hidden tokens, or each next one.

    Shapes: B blocks, L tokens, D width, M predicted positions.

    Args:
        model: A masked or a causal language model.
        causal: Which of them it is.

    Raises:
        ValueError: If its logits are not a linear map of its states.
    """

    def __init__(self, model: PreTrainedModel, *, causal: bool) -> None:
        super().__init__()
        self.model = model
        self.causal = causal
        _refuse_other_heads(model, self.head)

    @property
    def head(self) -> Head:
        """What makes the logits; it belongs to the model."""
        if not self.causal:
            return masked_head(self.model)
        return Head(nn.Identity(), output_layer(self.model))

    def save_memory(self) -> None:
        """Compute the layers again for their gradients, rather than to store what is inside."""
        # Versions of `transformers` before 5.23 call it by its old name only.
        names = ("activation_checkpointing_enable", "gradient_checkpointing_enable")
        name = next(name for name in names if hasattr(self.model, name))
        getattr(self.model, name)({"use_reentrant": False})

    def states(self, batch: TokenBatch) -> Tensor:
        """Return the hidden states of all tokens, shape ``(B, L, D)``."""
        self._add_embedding_gradients_in_place()
        inputs = {"attention_mask": batch.attention_mask.long()}
        if batch.segments is not None:
            inputs = isolated_inputs(self.model, batch.segments, causal=self.causal)
        base = self.model.base_model
        options = {"use_cache": False} if self.causal else {}
        return base(input_ids=batch.token_ids, **inputs, **options).last_hidden_state

    def loss(self, states: Tensor, batch: TokenBatch) -> Tensor:
        """Return the mean loss of the predicted tokens, 0 if there is none.

        Args:
            states: Of all tokens, shape ``(B, L, D)``.
            batch: The same tokens.
        """
        is_predicted = batch.labels >= 0
        labels = batch.labels[is_predicted]
        transform, decoder = self.head
        return summed_loss(transform(states[is_predicted]), decoder, labels) / max(1, len(labels))

    @override
    def forward(self, batch: TokenBatch) -> TokenPredictions:
        """Return how well each token is predicted, without gradients."""
        with torch.no_grad():
            is_predicted = batch.labels >= 0
            transform, decoder = self.head
            states = transform(self.states(batch)[is_predicted])
            losses, is_correct = token_figures(states, decoder, batch.labels[is_predicted])
        return TokenPredictions(losses, is_correct, token_domains(batch)[is_predicted])

    def _add_embedding_gradients_in_place(self) -> None:
        """Spare a dense gradient of the embeddings beside the one that the tied decoder has.

        A sparse one is added to that in place. Without the decoder's it would stay sparse, which
        optimizers refuse.
        """
        embeddings = cast("nn.Embedding", self.model.get_input_embeddings())
        embeddings.sparse = embeddings.weight is self.head.decoder.weight


def token_domains(batch: TokenBatch) -> Tensor:
    """Return the domain of each token's text, any at padding, shape ``(B, L)``."""
    if batch.segments is None:
        return batch.domain_ids[:, None].expand_as(batch.token_ids)
    return batch.domain_ids[batch.segments.clamp(min=0)]


def build_token_model(model: str | NewModelConfig, texts: TextSource) -> TokenModel:
    """Return a model that fits the texts.

    Args:
        model: Name of a pre-trained model, or the config of a new one.
        texts: What it will read.

    Raises:
        ValueError: If tokenizer or texts do not fit the model.
        FileNotFoundError: If the model has no weights.
    """
    place = locate_pretrained(texts.tokenizer)
    tokenizer = AutoTokenizer.from_pretrained(place.name, **place.options)
    causal = texts.objective == "clm"
    if isinstance(model, NewModelConfig):
        built, name = model.build(tokenizer, texts.objective), "the new model"
    else:
        built, name = load_causal(model) if causal else load_masked(model), model
    limits = text_limits(built, name)
    if len(tokenizer) > limits.num_tokens:
        raise ValueError(
            f"the tokenizer of {texts.tokenizer} has {len(tokenizer)} tokens, but {name} has "
            f"{limits.num_tokens} embeddings; name the same model in `model` of data and model"
        )
    if limits.max_tokens is not None and texts.max_tokens > limits.max_tokens:
        raise ValueError(
            f"data.init_args.max_tokens: {texts.max_tokens} is more than the {limits.max_tokens} "
            f"positions of {name}; set it to that or less"
        )
    return TokenModel(built, causal=causal)


@torch.no_grad()
def _refuse_other_heads(model: PreTrainedModel, head: Head) -> None:
    """Compare logits of two tokens: some architectures scale theirs, or cap them."""
    is_training = model.training
    token_ids = torch.tensor([[0, 1]], device=model.device)
    model.train(mode=False)
    expected = model(input_ids=token_ids).logits
    states = model.base_model(input_ids=token_ids).last_hidden_state
    found = head.decoder(head.transform(states))
    model.train(is_training)
    if not torch.allclose(found, expected, rtol=1e-3, atol=1e-3):
        raise ValueError(
            f"{type(model).__name__}: its logits are more than a linear map of its states; choose "
            "another architecture"
        )
