import torch
import torch.nn.functional as F

from xrec_lightning.models.sequence.gru4rec import GRU4RecConfig


def test_an_untrained_state_is_the_normalized_input() -> None:
    inputs, times = torch.randn(2, 5, 8), torch.zeros(2, 5, dtype=torch.int64)
    states = GRU4RecConfig(embed_dim=8).build().eval()(inputs, times)
    torch.testing.assert_close(states, F.layer_norm(inputs, (8,)))


def test_a_state_is_a_step_of_the_gates_from_the_one_before() -> None:
    torch.manual_seed(0)
    encoder = GRU4RecConfig(embed_dim=4).build().eval()
    torch.nn.init.normal_(encoder.output.weight)
    inputs, times = torch.randn(1, 5, 4), torch.zeros(1, 5, dtype=torch.int64)
    gru, hidden = encoder.layers, torch.zeros(4)
    for place in range(5):
        left = gru.weight_ih_l0 @ inputs[0, place] + gru.bias_ih_l0
        right = gru.weight_hh_l0 @ hidden + gru.bias_hh_l0
        reset = torch.sigmoid(left[:4] + right[:4])
        update = torch.sigmoid(left[4:8] + right[4:8])
        candidate = torch.tanh(left[8:] + reset * right[8:])
        hidden = (1 - update) * candidate + update * hidden
        expected = F.layer_norm(inputs[0, place] + encoder.output.weight @ hidden, (4,))
        torch.testing.assert_close(encoder(inputs, times)[0, place], expected)
