import pytest
import torch

from xrec_lightning.models.heads.rating import RatingConfig


@pytest.mark.parametrize("texts", [1, 2])
@pytest.mark.parametrize("hidden_dim", [0, 12])
def test_a_rating_head_starts_at_the_mean_and_learns(texts: int, hidden_dim: int) -> None:
    torch.manual_seed(0)
    head = RatingConfig(hidden_dim=hidden_dim, dropout=0.0).build(6, texts)
    vectors = torch.nn.functional.normalize(torch.randn(texts, 32, 6), dim=2)
    ratings = 3 * vectors[-1, :, 0]
    assert torch.equal(head(*vectors), torch.zeros(32))
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(head(*vectors), ratings)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.01
