import pytest
import torch

from xrec_lightning.batches import Catalog
from xrec_lightning.models.channels.modality import ModalityChannelConfig


def test_keys_are_the_whitened_vectors_of_the_items(linked: Catalog) -> None:
    channel = ModalityChannelConfig(modality="image", dim=5).build(linked)
    assert channel.name == "modality:image"
    assert channel.phrase.with_cause == "similar in image to"
    assert linked.modalities is not None
    images = linked.modalities["image"]()
    trained = images[1:11].double()
    inverse = torch.linalg.inv(torch.cov(trained.T))
    centered = images.double() - trained.mean(dim=0)
    products = centered @ inverse @ centered.T  # whitening by any rotation gives these
    lengths = products.diagonal().sqrt()
    expected = (products / lengths[:, None] / lengths)[1:12, 1:12].float()
    keys = channel.keys()
    torch.testing.assert_close(keys[1:12] @ keys[1:12].T, expected, atol=1e-4, rtol=0)
    assert keys[[0, 12]].abs().sum() == 0


def test_an_unknown_modality_is_refused_with_those_there_are(linked: Catalog) -> None:
    with pytest.raises(ValueError, match="unknown modality `images`; valid: image"):
        ModalityChannelConfig(modality="images").build(linked)
    with pytest.raises(ValueError, match=r"the data set has none; name .* in items\.vectors"):
        ModalityChannelConfig(modality="image").build(linked._replace(modalities=None))
