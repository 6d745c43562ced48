"""Several datamodules as one, for a model that learns several tasks."""

from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import CombinedLoader
from torch.utils.data import DataLoader
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.data.errors import InputError


class SeveralDataModule(LightningDataModule):
    """Serve a batch of each part at once in training, and one part after another in evaluation.

    An epoch is as long as that of the longest part; shorter ones start again. A predict run serves
    the first part.

    Args:
        parts: Datamodules of one data set, by the names of the tasks they serve, in their order.

    Raises:
        InputError: If the parts are of different data.
    """

    def __init__(self, parts: dict[str, LightningDataModule]) -> None:
        super().__init__()
        if not parts:
            raise InputError("data.init_args.parts: {}: name at least one datamodule")
        self.parts = parts
        first, *_ = catalogs = {name: _catalog(part) for name, part in parts.items()}
        self.catalog = catalogs[first]
        """What the data knows and the module needs."""
        for name, catalog in catalogs.items():
            if catalog.fingerprint != self.catalog.fingerprint:
                raise InputError(
                    f"data.init_args.parts: {first} and {name} are of different data sets; give "
                    "all parts the same `dataset`"
                )
        self.catalog = self.catalog._replace(parts=catalogs)

    @override
    def prepare_data(self) -> None:
        for part in self.parts.values():
            part.prepare_data()

    @override
    def setup(self, stage: str) -> None:
        for part in self.parts.values():
            part.trainer = self.trainer
            part.setup(stage)

    @override
    def train_dataloader(self) -> CombinedLoader | DataLoader[object]:
        loaders = {name: part.train_dataloader() for name, part in self.parts.items()}
        if len(loaders) == 1:
            return next(iter(loaders.values()))
        return CombinedLoader(loaders, mode="max_size_cycle")

    @override
    def val_dataloader(self) -> list[DataLoader[object]]:
        return [part.val_dataloader() for part in self.parts.values()]

    @override
    def test_dataloader(self) -> list[DataLoader[object]]:
        return [part.test_dataloader() for part in self.parts.values()]

    @override
    def predict_dataloader(self) -> DataLoader[object]:
        return next(iter(self.parts.values())).predict_dataloader()


def _catalog(part: LightningDataModule) -> Catalog:
    catalog: Catalog = part.catalog  # type: ignore[attr-defined]  # each of ours has one
    return catalog
