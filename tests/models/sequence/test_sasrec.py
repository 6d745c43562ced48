import torch
import torch.nn.functional as F

from xrec_lightning.models.sequence.sasrec import SASRecConfig


def test_it_learns_to_recall_the_first_input() -> None:
    torch.manual_seed(0)
    encoder = SASRecConfig(embed_dim=16, max_seq_len=4, dropout=0.0).build()
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-2)
    inputs, times = torch.randn(32, 4, 16), torch.zeros(32, 4, dtype=torch.int64)
    wanted = F.layer_norm(inputs[:, 0], (16,))
    for _ in range(150):
        loss = F.mse_loss(encoder(inputs, times)[:, -1], wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2  # the variance of what is wanted is 1
