import math

import pytest
import torch

from xrec_lightning.metrics.language import MaskedTokenMetrics


def test_figures_equal_those_worked_by_hand() -> None:
    metrics = MaskedTokenMetrics(["books", "films", "games"])
    # Two tokens: probabilities of the right one 3/4 (books), 1/4 (films), and 1/2 (no domain).
    high, low, even = [math.log(3), 0.0], [0.0, math.log(3)], [0.0, 0.0]
    metrics.update(torch.tensor([high, low]), torch.tensor([0, 0]), torch.tensor([1, 2]))
    metrics.update(torch.tensor([even]), torch.tensor([0]), torch.tensor([0]))
    figures = {name: value.item() for name, value in metrics.compute().items()}
    loss = (math.log(4 / 3) + math.log(4) + math.log(2)) / 3
    assert figures == pytest.approx(
        {
            "loss": loss,
            "perplexity": math.exp(loss),
            "masked_accuracy": 2 / 3,
            "perplexity/books": 4 / 3,
            "perplexity/films": 4.0,
        },
        rel=1e-6,
    )
