import pytest
import torch

from xrec_lightning.models.heads.multiclass import MulticlassConfig


@pytest.mark.parametrize("hidden_dim", [0, 12])
def test_a_class_head_learns_the_largest_entry(hidden_dim: int) -> None:
    torch.manual_seed(0)
    head = MulticlassConfig(hidden_dim=hidden_dim, dropout=0.0).build(6, 3)
    vectors = torch.randn(48, 6)
    labels = vectors[:, :3].argmax(dim=1)
    assert torch.equal(head(vectors), torch.zeros(48, 3))
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(head(vectors), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2
