import math

import pytest
import torch

from xrec_lightning.metrics.language import TokenMetrics


def test_figures_equal_those_worked_by_hand() -> None:
    metrics = TokenMetrics(["books", "films", "games"])
    # Probabilities of the right token: 3/4 (books), 1/4 (films), and 1/2 (no domain).
    losses = torch.tensor([4 / 3, 4.0]).log()
    metrics.update(losses, torch.tensor([True, False]), torch.tensor([1, 2]))
    metrics.update(torch.tensor([math.log(2)]), torch.tensor([True]), torch.tensor([0]))
    figures = {name: value.item() for name, value in metrics.compute().items()}
    loss = (math.log(4 / 3) + math.log(4) + math.log(2)) / 3
    assert figures == pytest.approx(
        {
            "loss": loss,
            "perplexity": math.exp(loss),
            "masked_accuracy": 2 / 3,
            "perplexity/books": 4 / 3,
            "perplexity/films": 4.0,
            "masked_accuracy/books": 1.0,
            "masked_accuracy/films": 0.0,
        },
        rel=1e-6,
    )


def test_accuracy_is_called_as_asked() -> None:
    metrics = TokenMetrics(["books"], accuracy="next_token_accuracy")
    metrics.update(torch.zeros(2), torch.tensor([True, False]), torch.tensor([1, 1]))
    assert metrics.compute()["next_token_accuracy/books"].item() == 0.5
