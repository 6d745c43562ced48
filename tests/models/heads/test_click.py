import pytest
import torch

from xrec_lightning.models.heads.click import ClickConfig, JointClickConfig


@pytest.mark.parametrize("hidden_dim", [0, 12])
def test_a_click_head_learns_what_the_cosine_does_not_tell(hidden_dim: int) -> None:
    torch.manual_seed(0)
    head = ClickConfig(hidden_dim=hidden_dim, dropout=0.0).build(6)
    history, candidate = torch.randn(2, 32, 6)
    labels = (candidate[:, 0] > candidate[:, 1]).float()
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        logits = head(history, candidate)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        loss.backward()
        optimizer.step()
    assert logits.shape == (32,)
    assert loss.item() < 0.1


def test_an_untrained_click_head_gives_the_scaled_cosine() -> None:
    history, candidate = (
        torch.tensor([[2.0, 0.0], [3.0, 4.0]]),
        torch.tensor([[0.0, 7.0], [6.0, 8.0]]),
    )
    head = ClickConfig(scale=4.0, threshold=0.25).build(2)
    torch.testing.assert_close(head(history, candidate), torch.tensor([-1.0, 3.0]))


@pytest.mark.parametrize("hidden_dim", [0, 12])
def test_a_joint_head_learns_from_one_vector(hidden_dim: int) -> None:
    torch.manual_seed(0)
    head = JointClickConfig(hidden_dim=hidden_dim, dropout=0.0).build(6)
    prompts = torch.randn(32, 6)
    labels = (prompts[:, 0] > prompts[:, 1]).float()
    assert torch.equal(head(prompts), torch.zeros(32))
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(head(prompts), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2
