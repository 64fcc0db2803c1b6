"""Scores of a network on dev, the same way after each epoch."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from captioner.metrics.cider import CiderD
from captioner.metrics.score import score
from captioner.models.captioner import CaptionModel
from captioner.models.tuned_model import TunedModel
from captioner.text import join_words
from captioner.training.caption_loss import CaptionLoss, per_word
from captioner.training.context import Context
from captioner.training.evaluation import caption_split
from captioner.training.inputs.batches import CaptionBatches, caption_arrays
from captioner.training.inputs.feature_extractor import grid_extractor
from captioner.training.inputs.split import Split
from captioner.training.step import Batch, Step

EPOCH_BEAM_WIDTH = 3
"""Beam width of the scores between epochs: close to the final one, at less than its time."""


class Evaluator:
    """The evaluation of a network on dev: its loss, its captions of the photos, and their scores.

    Args:
        context: words, settings, search.
        network: what captions, in float32.
        read_dev: returns the dev split as the network reads it now.
    """

    def __init__(self, context: Context, network: CaptionModel, read_dev: Callable[[], Split]) -> None:
        self.context = context
        self.network = network
        self.read_dev = read_dev
        self._search = replace(context.decoding, beam_width=EPOCH_BEAM_WIDTH)
        self._measure = Step(CaptionLoss(network, context.training.label_smoothing), profile=context.profile)
        self._cider: CiderD | None = None

    @classmethod
    def of(cls, context: Context, network: CaptionModel | TunedModel) -> "Evaluator":
        """Return the evaluator of a network that reads the context's dev split: features, or grids of frozen layers."""
        if isinstance(network, CaptionModel):
            return cls(context, network, lambda: context.dev)
        extract = grid_extractor(network.layers_behind)
        return cls(context, network.captioner, lambda: extract(context.dev))

    def __call__(self) -> tuple[dict[str, float], list[str]]:
        """Return the figures, and some captions with the names of their photos."""
        dev, profile, training = self.read_dev(), self.context.profile, self.context.training
        rows = np.asarray(dev.rows)

        def with_features(number: int, batch: Batch) -> Batch:
            return {"features": dev.features[rows[batch["images"]]], **caption_arrays(batch)}

        batches = CaptionBatches(dev.tokens, training.batch_size, training.captions_per_image)
        losses = per_word(self._measure.over(batches.in_order(with_features)))
        figures = {f"dev_{name}": value for name, value in losses.items()}
        if not np.isfinite(figures["dev_loss"]):
            return figures, []
        with profile.phase("caption the dev photos"):
            beams = caption_split(self.network, dev, self._search)
            captions = [self.context.vocabulary.decode(beam[0].tokens) for beam in beams]
        with profile.phase("score the captions"):
            self._cider = self._cider or CiderD(dev.captions)
            figures |= score(captions, dev.captions, self._cider)
        figures["distinct_words"] = len({word for words in captions for word in words})
        figures["mean_length"] = float(np.mean([len(words) for words in captions]))
        return figures, [f"{dev.names[number]}: {join_words(captions[number])}" for number in samples(len(captions))]


def samples(count: int) -> list[int]:
    """Return the numbers of three photos, the same every epoch, spread over the split."""
    return sorted({0, count // 3, 2 * count // 3})
