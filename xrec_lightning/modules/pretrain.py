"""Self-supervised training of a language model on the knowledge text."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities.seed import isolate_rng
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import AdamW
from typing_extensions import override

from xrec_lightning.batches import Catalog, TokenBatch
from xrec_lightning.metrics.language import TokenMetrics
from xrec_lightning.models.language.folder import save_model
from xrec_lightning.models.language.scratch import NewModelConfig
from xrec_lightning.models.language.token_model import TokenModel, build_token_model
from xrec_lightning.models.language.views import ViewsConfig, text_vectors, view_loss
from xrec_lightning.modules.optim import trainable, with_warmup_decay


class KnowledgePretrainer(LightningModule):
    """Masked or causal language modeling; the objective of the data says which.

    Args:
        catalog: What the data knows; linked from the datamodule.
        model: Folder, ``.gguf`` file, Hugging Face name, or ``package:NAME/…``; or the config of a
            new model.
        freeze_embeddings: Keep the token embeddings, and with them a tied decoder, as they are.
        gradient_checkpointing: Compute the layers twice, to hold the states of one at a time.
        contrastive: Draw two views of each text together, too.
        evaluate_before: Also measure the model as it was before training: ``val/before_…`` at the
            start of a fit, ``test/before_…`` in a test, on the same texts and masks as after it.
        optimizer: Optimizer of the trained weights.
        warmup_share: Share of the steps in which the learning rate rises; then it falls to 0.
    """

    def __init__(
        self,
        catalog: Catalog,
        model: str | NewModelConfig,
        freeze_embeddings: bool = False,
        gradient_checkpointing: bool = False,
        contrastive: ViewsConfig | None = None,
        evaluate_before: bool = False,
        optimizer: OptimizerCallable = AdamW,
        warmup_share: float = 0.1,
    ) -> None:
        super().__init__()
        if catalog.texts is None:
            raise ValueError(
                "data.class_path: these data have no texts for pre-training; choose "
                "xrec_lightning.data.datamodules.knowledge.KnowledgeDataModule"
            )
        self.save_hyperparameters(ignore=["catalog", "optimizer"])
        self.catalog = catalog
        self.texts = catalog.texts
        self.origin = model
        self.language_model = build_token_model(model, self.texts)
        if freeze_embeddings:
            embeddings = self.language_model.model.get_input_embeddings()
            embeddings.requires_grad_(requires_grad=False)
        if gradient_checkpointing:
            self.language_model.save_memory()
        self.contrastive = contrastive
        self.evaluate_before = evaluate_before
        self.optimizer = optimizer
        self.warmup_share = warmup_share
        accuracy = "next_token_accuracy" if self.language_model.causal else "masked_accuracy"
        self.before_metrics = TokenMetrics(catalog.domains, accuracy)
        self.val_metrics = TokenMetrics(catalog.domains, accuracy)
        self.test_metrics = TokenMetrics(catalog.domains, accuracy)
        self._untrained: list[TokenModel] = []  # in a list, it is no part of this module

    def export(self, folder: Path) -> None:
        """Write ``model``: all weights, head included, and the tokenizer, into ``folder``."""
        save_model(folder / "model", self.language_model.model, self.texts.tokenizer)

    @override
    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = self.optimizer(trainable(self))
        return with_warmup_decay(optimizer, self.trainer, self.warmup_share)

    @override
    def on_train_start(self) -> None:
        if self.evaluate_before and self.global_step == 0:
            # Neither drop-out nor loaders may take random numbers from the training.
            with isolate_rng(), self.trainer.precision_plugin.forward_context():
                self.language_model.eval()
                for batch in self._validation_batches():
                    self.before_metrics.update(*self.language_model(batch))
                self.language_model.train()
            self._log_metrics("val/before_", self.before_metrics)

    @override
    def training_step(self, batch: TokenBatch, batch_idx: int) -> Tensor:
        size = len(batch.domain_ids)
        states = self.language_model.states(batch)
        loss = self.language_model.loss(states, batch)
        self.log("train/loss", loss, batch_size=size, prog_bar=True)
        if self.contrastive is None:
            return loss
        term = self._view_loss(states, batch, self.contrastive.temperature)
        self.log("train/view_loss", term, batch_size=size)
        return loss + self.contrastive.weight * term

    @override
    def validation_step(self, batch: TokenBatch, batch_idx: int) -> None:
        self.val_metrics.update(*self.language_model(batch))

    @override
    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val/", self.val_metrics)

    @override
    def on_test_start(self) -> None:
        if self.evaluate_before:
            with isolate_rng():
                untrained = build_token_model(self.origin, self.texts)
            self._untrained.append(untrained.eval().to(self.device))

    @override
    def test_step(self, batch: TokenBatch, batch_idx: int) -> None:
        self.test_metrics.update(*self.language_model(batch))
        for untrained in self._untrained:
            self.before_metrics.update(*untrained(batch))

    @override
    def on_test_epoch_end(self) -> None:
        self._log_metrics("test/", self.test_metrics)
        if self._untrained:
            self._untrained.clear()
            self._log_metrics("test/before_", self.before_metrics)

    def _validation_batches(self) -> Iterator[Any]:
        loop = self.trainer.fit_loop.epoch_loop.val_loop
        loop.setup_data()  # does nothing after a sanity check
        loader = self.trainer.val_dataloaders
        if loader is not None:
            for batch in islice(iter(loader), int(loop.max_batches[0])):
                yield self.trainer.strategy.batch_to_device(batch, self.device)

    def _view_loss(self, states: Tensor, batch: TokenBatch, temperature: float) -> Tensor:
        vectors, text_ids = text_vectors(states, batch), batch.text_ids
        if self.texts.views == 1:
            other = text_vectors(self.language_model.states(batch), batch)
        else:
            vectors, other = vectors.chunk(2)
            text_ids = text_ids[: len(vectors)]
        return view_loss(vectors, other, text_ids, temperature)

    def _log_metrics(self, prefix: str, metrics: TokenMetrics) -> None:
        figures = {f"{prefix}{name}": value for name, value in metrics.compute().items()}
        self.log_dict(figures, sync_dist=True)  # they are equal already, which Lightning can't know
        metrics.reset()
