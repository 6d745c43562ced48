import math

import numpy as np
import torch

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.bpr_mf import BPRMFConfig
from xrec_lightning.models.baselines.factors import INITIAL_SCALE


def test_one_step_moves_along_the_gradient_of_the_paper(
    catalog: Catalog, batch: SequenceBatch
) -> None:
    """Adam's first step is the sign of the gradient times the learning rate."""
    books, films = torch.tensor([1, 2]), torch.tensor([3])
    small = catalog._replace(num_users=1, num_items=3, candidates=(books, films))
    small = small._replace(train_counts=torch.tensor([0, 1, 0, 0]))
    model = BPRMFConfig(embed_dim=4, epochs=1, learning_rate=0.01, regularization=0.2).build(small)
    taken = batch._replace(
        user_ids=torch.tensor([1]), item_ids=torch.tensor([[1]]), domain_ids=torch.tensor([[1]])
    )
    model.observe(taken)
    model.finish()
    table = INITIAL_SCALE * torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).numpy()
    user, positive, negative = table[1], table[3], table[4]  # item 2 is the only negative
    slope = -1.0 / (1.0 + math.exp(user @ (positive - negative)))
    gradients = [
        slope * (positive - negative) + 0.2 * user,
        slope * user + 0.2 * positive,
        -slope * user + 0.2 * negative,
    ]
    expected = [
        start - 0.01 * np.sign(gradient)
        for start, gradient in zip((user, positive, negative), gradients, strict=True)
    ]
    state = model.state_dict()
    found = [state["user_vectors"][1], *state["item_vectors"][1:3]]
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-5)
    np.testing.assert_array_equal(state["item_vectors"][3].numpy(), table[5])
