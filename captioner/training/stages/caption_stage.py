"""The base of the stages that are scored by captions."""

from typing import ClassVar

from captioner.data.dataset import ENOUGH_PHOTOS
from captioner.training.context import Context
from captioner.training.evaluator import Evaluator
from captioner.training.loop import Row, Stage


class CaptionStage(Stage):
    """A stage whose epochs are compared by the captions of the dev photos.

    Args:
        context: what all stages share, with the epochs and the rate of this one.

    Attributes:
        by_loss: whether the loss says how good an epoch is.
        evaluator: scores the captions; each stage makes its own.
    """

    by_loss: ClassVar[bool] = True
    evaluator: Evaluator

    def __init__(self, context: Context) -> None:
        self.context = context
        self.epochs, self.patience = context.training.epochs, context.training.patience

    def evaluate(self) -> tuple[Row, list[str]]:
        """Return the losses and scores on dev, and some captions."""
        return self.evaluator()

    def quality(self, row: Row) -> tuple[float, ...]:
        """Compare by CIDEr-D on dev, then by the loss; on few photos, where CIDEr-D is chance, by the loss alone."""
        if self.by_loss and len(self.context.dev.rows) < ENOUGH_PHOTOS:
            return (-row["dev_loss"],)
        return row["cider"], -row["dev_loss"]

    def summary(self, row: Row) -> str:
        """Describe an epoch by its losses and scores."""
        trained = f"{self.monitor} {row[self.monitor]:.3f}, " if row["epoch"] else ""
        return (
            f"{trained}dev {row['dev_loss']:.3f}, "
            f"BLEU {row['bleu1']:.1f} {row['bleu2']:.1f} {row['bleu3']:.1f} {row['bleu4']:.1f}, "
            f"ROUGE-L {row['rouge_l']:.1f}, CIDEr-D {row['cider']:.1f}"
        )
