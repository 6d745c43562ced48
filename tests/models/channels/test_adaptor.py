import torch
import torch.nn.functional as F

from xrec_lightning.models.channels.adaptor import MixtureAdaptor, MixtureAdaptorConfig


def trained_like(noise: bool = False) -> MixtureAdaptor:
    torch.manual_seed(0)
    adaptor = MixtureAdaptorConfig(num_experts=3, dropout=0.0, noise=noise).build(5, 4)
    for parameter in adaptor.parameters():
        torch.nn.init.normal_(parameter)
    return adaptor


def test_it_is_the_gated_sum_of_parametric_whitenings() -> None:
    adaptor, vectors = trained_like(), torch.randn(6, 5)
    gates = F.softmax(vectors @ adaptor.gates, dim=1)
    expected = torch.zeros(6, 4)
    for row in range(6):
        for expert in range(3):
            whitened = (vectors[row] - adaptor.means[expert]) @ adaptor.experts[expert]
            expected[row] += gates[row, expert] * whitened
    torch.testing.assert_close(adaptor(vectors), expected, atol=1e-5, rtol=1e-5)


def test_gates_are_noisy_in_training_alone() -> None:
    adaptor, vectors = trained_like(noise=True), torch.randn(6, 5)
    assert not torch.equal(adaptor(vectors), adaptor(vectors))
    adaptor.eval()
    assert torch.equal(adaptor(vectors), adaptor(vectors))
    assert sorted(dict(trained_like().named_parameters())) == ["experts", "gates", "means"]


def test_untrained_experts_are_averaged() -> None:
    adaptor = MixtureAdaptorConfig(num_experts=3).build(5, 4).eval()
    vectors = torch.randn(6, 5)
    torch.testing.assert_close(adaptor(vectors), vectors @ adaptor.experts.mean(dim=0))
