import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from xrec_lightning.models.language.folder import save_model
from xrec_lightning.models.language.loading import load_pretrained

LAYER_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
OTHER_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}


def gguf_name(name: str) -> str:
    """Return what llama.cpp calls a weight of LLaMA."""
    name = name.removesuffix(".weight")
    if name in OTHER_NAMES:
        return f"{OTHER_NAMES[name]}.weight"
    layer, inside = name.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{LAYER_NAMES[inside]}.weight"


def rotated(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Return queries or keys in the order of llama.cpp, whose rotation pairs neighbors."""
    halves = weight.view(heads, 2, -1, weight.size(1))
    return halves.transpose(1, 2).reshape(weight.shape)


@pytest.fixture
def gguf_file(tiny_causal: str, tmp_path: Path) -> Path:
    """`tiny_causal` as llama.cpp keeps it."""
    gguf = pytest.importorskip("gguf")
    model = LlamaForCausalLM.from_pretrained(tiny_causal)
    tokenizer = AutoTokenizer.from_pretrained(tiny_causal)
    writer = gguf.GGUFWriter(str(tmp_path / "tiny.gguf"), "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(16)
    writer.add_block_count(2)
    writer.add_feed_forward_length(32)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(tokenizer))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))))
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(0)
    writer.add_pad_token_id(0)
    for name, weight in model.named_parameters():
        heads = {"q_proj.weight": 2, "k_proj.weight": 1}.get(".".join(name.split(".")[-2:]))
        stored = weight.detach() if heads is None else rotated(weight.detach(), heads)
        writer.add_tensor(gguf_name(name), stored.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "tiny.gguf"


def test_gguf_gives_the_model_and_the_tokens_it_was_made_of(
    gguf_file: Path, tiny_causal: str, tmp_path: Path
) -> None:
    model, missing = load_pretrained(AutoModelForCausalLM, str(gguf_file))
    assert missing == []
    assert model.training
    theirs = AutoModelForCausalLM.from_pretrained(tiny_causal)
    tokens = AutoTokenizer.from_pretrained(tiny_causal)("mint tea 3 Yes", return_tensors="pt")
    with torch.inference_mode():
        expected = theirs(**tokens).logits
        torch.testing.assert_close(model(**tokens).logits, expected, atol=1e-5, rtol=0)
    save_model(tmp_path / "exported", model, str(gguf_file))
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "exported")
    exported = AutoTokenizer.from_pretrained(tmp_path / "exported")
    assert exported("mint tea 3 Yes")["input_ids"] == tokens["input_ids"][0].tolist()
    with torch.inference_mode():
        torch.testing.assert_close(again(**tokens).logits, expected, atol=1e-5, rtol=0)


def test_gguf_gives_an_encoder_too(gguf_file: Path, tiny_causal: str) -> None:
    encoder, missing = load_pretrained(AutoModel, str(gguf_file))
    assert missing == []
    theirs = AutoModel.from_pretrained(tiny_causal)
    token_ids = torch.tensor([[3, 1, 4, 1, 5]])
    with torch.inference_mode():
        expected = theirs(token_ids).last_hidden_state
        torch.testing.assert_close(encoder(token_ids).last_hidden_state, expected)


def test_new_weights_are_named(tiny_language: str) -> None:
    assert load_pretrained(AutoModel, tiny_language)[1] == []
    missing = load_pretrained(AutoModelForCausalLM, tiny_language)[1]
    assert "cls.predictions.transform.dense.weight" in missing


def test_folder_without_weights_is_refused(tiny_language: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((Path(tiny_language) / "config.json").read_text())
    with pytest.raises(FileNotFoundError, match=r"without weights \(no .*safetensors.*; name the"):
        load_pretrained(AutoModel, str(tmp_path))


def test_folder_without_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model in this folder \(no config\.json\)"):
        load_pretrained(AutoModel, str(tmp_path))


def test_folder_of_gguf_files_asks_for_one_of_them(tmp_path: Path) -> None:
    (tmp_path / "small.gguf").touch()
    with pytest.raises(FileNotFoundError, match=r"name a file in it: .*/small\.gguf"):
        load_pretrained(AutoModel, str(tmp_path))
