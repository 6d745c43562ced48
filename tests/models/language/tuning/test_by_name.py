from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from torch import Tensor, nn
from transformers import PreTrainedModel

from xrec_lightning.models.language.tuning.adapters import load_adapter, save_adapter
from xrec_lightning.models.language.tuning.base import trainable_share
from xrec_lightning.models.language.tuning.by_name import BETTER, PeftTuning

Model = Callable[..., PreTrainedModel]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("loha", {"r": 2}),
        ("hra", {}),
        ("fourierft", {"n_frequency": 8}),
        ("oft", {"oft_block_size": 4, "r": 0}),
        ("trainable_tokens", {"token_indices": [5, 7]}),
        ("prompt_tuning", {"num_virtual_tokens": 3}),
        ("LORA", {"r": 2, "target_modules": "all-linear"}),
        ("lora", {"r": 2, "target_modules": r".*\.0\..*query"}),
    ],
)
def test_methods_without_a_class_of_ours_are_reached_by_name(
    method: str,
    options: dict[str, Any],
    tiny_model: Model,
    states: Callable[[nn.Module], Tensor],
    moved: Callable[[nn.Module], nn.Module],
    tmp_path: Path,
) -> None:
    tuned = moved(PeftTuning(method=method, options=options).apply(tiny_model()))
    assert 0.0 < trainable_share(tuned) < 0.5
    save_adapter(tuned, tmp_path)
    loaded = load_adapter(tiny_model(), tmp_path)
    torch.testing.assert_close(states(loaded), states(tuned), atol=1e-5, rtol=1e-5)


def test_attention_is_adapted_where_nothing_is_named(tiny_model: Model) -> None:
    tuned = PeftTuning(method="lora").apply(tiny_model("distilbert"))
    names = {n.split(".")[-4] for n, w in tuned.named_parameters() if w.requires_grad}
    assert names == {"q_lin", "k_lin", "v_lin"}


def test_an_unknown_method_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="'loraa' is no method of peft; did you mean 'LORA'"):
        PeftTuning(method="loraa")


def test_an_unknown_option_is_refused_with_the_nearest_and_all() -> None:
    with pytest.raises(ValueError, match=r"'rnk' .* of loha; did you mean 'r'.*: alpha, .*r, "):
        PeftTuning(method="loha", options={"rnk": 2})


def test_a_prompt_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="p_tuning needs num_virtual_tokens"):
        PeftTuning(method="p_tuning")


@pytest.mark.parametrize("method", BETTER)
def test_a_method_with_a_class_of_ours_names_it(method: str) -> None:
    assert method in {kind.value for kind in PEFT_TYPE_TO_CONFIG_MAPPING}
    with pytest.raises(ValueError, match=rf"set class_path: \S+\.{BETTER[method]}"):
        PeftTuning(method=method.lower())


def test_what_peft_cannot_adapt_is_refused_with_its_reason(tiny_model: Model) -> None:
    with pytest.raises(ValueError, match=r"hra does not work on GPT2Model: .*Conv1D"):
        PeftTuning(method="hra").apply(tiny_model("gpt2"))
    with pytest.raises(ValueError, match=r"cpt does not work on BertModel: .*CAUSAL_LM"):
        PeftTuning(method="cpt", options={"num_virtual_tokens": 2}).apply(tiny_model())
    with pytest.raises(ValueError, match="'q_proj' matches no module of BertModel"):
        PeftTuning(method="loha", options={"target_modules": ["q_proj"]}).apply(tiny_model())
