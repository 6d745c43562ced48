import torch
import torch.nn.functional as F

from xrec_lightning.models.sequence.experts import DomainLinear
from xrec_lightning.models.sequence.sasrec import SASRecConfig


def test_experts_add_nothing_before_training() -> None:
    torch.manual_seed(0)
    plain = SASRecConfig(embed_dim=8).build(2).eval()
    torch.manual_seed(0)
    with_experts = SASRecConfig(embed_dim=8, domain_rank=2).build(2).eval()
    with_experts.load_state_dict(plain.state_dict(), strict=False)
    weights = torch.randn(8, 8)
    for encoder in (plain, with_experts):
        for block in encoder.blocks:
            block.attention_output.weight.data.copy_(weights)
    inputs, times = torch.randn(2, 5, 8), torch.zeros(2, 5, dtype=torch.int64)
    domain_ids = torch.tensor([[1, 2, 2, 1, 1]]).expand(2, -1)
    expected = plain(inputs, times, domain_ids)
    torch.testing.assert_close(with_experts(inputs, times, domain_ids), expected)
    torch.nn.init.normal_(with_experts.blocks[0].projection.up)
    assert not torch.allclose(with_experts(inputs, times, domain_ids), expected)


def test_every_domain_adds_its_own_matrix_of_low_rank() -> None:
    torch.manual_seed(0)
    layer = DomainLinear(4, 6, num_domains=3, rank=2)
    assert layer.down is not None
    assert layer.up is not None
    torch.nn.init.normal_(layer.up)
    inputs, domain_ids = torch.randn(2, 5, 4), torch.tensor([[1, 3, 0, 2, 2], [2, 1, 1, 3, 0]])
    outputs = layer(inputs, domain_ids)
    for place in [(row, column) for row in range(2) for column in range(5)]:
        matrix = layer.weight.clone()
        if (domain := int(domain_ids[place])) > 0:
            own = slice(2 * domain - 2, 2 * domain)
            matrix += layer.up[:, own] @ layer.down[own]
        torch.testing.assert_close(outputs[place], matrix @ inputs[place] + layer.bias)
    torch.testing.assert_close(layer(inputs), F.linear(inputs, layer.weight, layer.bias))


def test_only_the_domains_of_a_batch_are_trained() -> None:
    layer = DomainLinear(4, 6, num_domains=3, rank=2)
    layer(torch.randn(5, 4), torch.tensor([2, 0, 2, 2, 0])).sum().backward()
    assert layer.up is not None
    assert layer.up.grad is not None
    assert layer.up.grad.abs().sum(dim=0).gt(0).tolist() == [False, False, True, True, False, False]
