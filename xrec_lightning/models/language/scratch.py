"""New language models, made from a Hugging Face config."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from xrec_lightning.pretrained import resolve_pretrained

_ROLES = ("pad", "bos", "eos", "cls", "sep", "mask")


@dataclass(frozen=True, kw_only=True)
class NewModelConfig:
    """A new model with random weights, whose vocabulary is that of the data's tokenizer."""

    config: str | dict[str, Any]
    """Folder or Hugging Face name whose ``config.json`` is taken, or its content: ``model_type``
    and the sizes that differ from those of the type."""

    def build(
        self, tokenizer: PreTrainedTokenizerBase, objective: Literal["mlm", "clm"]
    ) -> PreTrainedModel:
        """Return the model.

        Args:
            tokenizer: Whose tokens it reads.
            objective: What it is for.

        Raises:
            ValueError: If the config is of no known type, has an unknown key, or is of a type that
                is not for the objective.
        """
        config = self._load()
        config.vocab_size = len(tokenizer)
        for role in _ROLES:
            if hasattr(config, f"{role}_token_id"):
                setattr(config, f"{role}_token_id", getattr(tokenizer, f"{role}_token_id"))
        causal = objective == "clm"
        mapping = MODEL_FOR_CAUSAL_LM_MAPPING if causal else MODEL_FOR_MASKED_LM_MAPPING
        reads_both_ways = type(config) in MODEL_FOR_MASKED_LM_MAPPING
        if type(config) not in mapping or (causal and reads_both_ways and not config.is_decoder):
            raise ValueError(
                f"model.config: model_type {config.model_type} has no "
                f"{'causal' if causal else 'masked'} language model; choose "
                f"{'gpt2 or llama' if causal else 'bert or roberta'}, or another objective"
            )
        auto_class = AutoModelForCausalLM if causal else AutoModelForMaskedLM
        return auto_class.from_config(config, dtype=torch.float32).train()  # type: ignore[no-untyped-call]  # not ours

    def _load(self) -> PreTrainedConfig:
        if isinstance(self.config, str):
            name = resolve_pretrained(self.config)
            folder = Path(name)
            if folder.is_dir() and not (folder / "config.json").is_file():
                raise ValueError(f"{self.config}: no config.json in this folder")
            return AutoConfig.from_pretrained(name)
        return _from_keys(self.config)


torch.serialization.add_safe_globals([NewModelConfig])


def _from_keys(keys: Mapping[str, Any]) -> PreTrainedConfig:
    sizes = dict(keys)
    model_type = str(sizes.pop("model_type", None))
    if model_type not in CONFIG_MAPPING:
        raise ValueError(
            f"model.config.model_type: {model_type} is not known; {_nearest(model_type)}"
        )
    plain = AutoConfig.for_model(model_type)
    for key in sizes:
        if not hasattr(plain, key):
            nearest = get_close_matches(key, list(plain.to_dict()), n=1)
            remedy = f"did you mean `{nearest[0]}`?" if nearest else "remove it"
            raise ValueError(f"model.config.{key}: {model_type} has no such key; {remedy}")
    return AutoConfig.for_model(model_type, **sizes)


def _nearest(model_type: str) -> str:
    nearest = get_close_matches(model_type, list(CONFIG_MAPPING), n=1)
    return f"did you mean `{nearest[0]}`?" if nearest else "such as bert, roberta, gpt2 or llama"
