import numpy as np
import torch
from sklearn.linear_model import Ridge

from xrec_lightning.models.ridge import ridge_map


def test_it_equals_scikit_learn_with_sample_weights() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(50, 4, generator=generator)
    outputs = torch.randn(50, 3, generator=generator)
    weights = torch.rand(50, generator=generator) + 0.1
    reference = Ridge(alpha=2.0, fit_intercept=False)
    reference.fit(inputs.numpy(), outputs.numpy(), sample_weight=weights.numpy())
    ours = ridge_map(inputs, outputs, weights, penalty=2.0)
    np.testing.assert_allclose(ours.numpy(), reference.coef_.T, atol=1e-4)
