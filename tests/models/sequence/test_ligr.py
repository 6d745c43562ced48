import torch
import torch.nn.functional as F

from xrec_lightning.models.sequence.ligr import LiGRBlock, LiGRConfig


def trained_block() -> LiGRBlock:
    torch.manual_seed(0)
    return LiGRBlock(LiGRConfig(embed_dim=8)).eval()


def test_a_block_adds_gated_attention_and_gated_swiglu() -> None:
    block = trained_block()
    hidden = torch.randn(2, 5, 8)
    attended = block.attention(block.projection(F.layer_norm(hidden, (8,))))
    gate = 1 / (1 + torch.exp(-block.attention_gate(hidden)))
    middle = hidden + block.attention_output(attended) * gate
    wide = block.feed_forward(F.layer_norm(middle, (8,)))
    left, right = wide[..., :32], wide[..., 32:]
    swiglu = block.feed_forward_output(left / (1 + torch.exp(-left)) * right)
    expected = middle + swiglu / (1 + torch.exp(-block.feed_forward_gate(middle)))
    torch.testing.assert_close(block(hidden), expected)


def test_closed_gates_let_nothing_through() -> None:
    block = trained_block()
    hidden = torch.randn(2, 5, 8)
    assert not torch.allclose(block(hidden), hidden)
    for gate in (block.attention_gate, block.feed_forward_gate):
        torch.nn.init.constant_(gate.bias, -60.0)
    torch.testing.assert_close(block(hidden), hidden)
