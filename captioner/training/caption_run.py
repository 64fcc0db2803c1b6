"""The configuration of a training on captions."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from captioner.config.model import COMPACT, ModelConfig
from captioner.config.training import FineTuningConfig, ImitationConfig, SelfCriticalConfig, TrainingConfig
from captioner.data.dataset import CaptionDataset
from captioner.training.precision import choose_precision

FROM_DATA = ("vocabulary_size", "locations", "channels")
"""Sizes of a decoder that follow from the data."""


@dataclass(frozen=True)
class Sources:
    """The inputs of a training besides its data set.

    Attributes:
        encoder_weights: a Keras weights file, or "imagenet".
        init_from: a model directory to start from; its sizes, vocabulary and weights are taken over.
        teachers: directories of trained models, whose words are learned beside people's; a compact model has one,
            whose encoder it imitates and with whose decoder it starts.
        features: what `bulk --features` wrote; without it they are made here.
    """

    encoder_weights: str = "imagenet"
    init_from: Path | None = None
    teachers: tuple[Path, ...] = ()
    features: Path | None = None


@dataclass(frozen=True)
class CaptionRun:
    """The configuration of a training on captions: data, model, output and stages.

    Attributes:
        dataset: photos and captions, with a train and a dev split.
        model: encoder layer, decoder sizes, longest caption; the sizes that follow from the data are filled in.
        output: the model directory to write.
        training: epochs, rates, seed.
        fine_tuning: what follows the cross-entropy on frozen features.
        self_critical: what follows that.
        imitation: what a compact model learns from a teacher.
        sources: weights, teachers, features.
        strategy: see `captioner.training.devices.choose_strategy`.
    """

    dataset: CaptionDataset
    model: ModelConfig
    output: Path
    training: TrainingConfig = field(default_factory=TrainingConfig)
    fine_tuning: FineTuningConfig = field(default_factory=FineTuningConfig)
    self_critical: SelfCriticalConfig = field(default_factory=SelfCriticalConfig)
    imitation: ImitationConfig = field(default_factory=ImitationConfig)
    sources: Sources = field(default_factory=Sources)
    strategy: str = "auto"

    def with_precision(self) -> "CaptionRun":
        """Return the configuration with "auto" replaced by the precision that is best here."""
        precision = choose_precision(self.training.precision)
        return dataclasses.replace(self, training=dataclasses.replace(self.training, precision=precision))

    def settings(self) -> dict[str, Any]:
        """Return the settings that decide the outcome in one dictionary, by the names that users know."""
        sizes, sources = dataclasses.asdict(self.model.decoder), self.sources
        teachers = [str(each) for each in sources.teachers]
        if self.model.encoder.network == COMPACT:
            own = dataclasses.asdict(self.imitation) | {"teacher": teachers[0] if teachers else None}
        else:
            own = dataclasses.asdict(self.fine_tuning) | dataclasses.asdict(self.self_critical)
            own |= {"features": sources.features and str(sources.features), "teachers": teachers}
        return {
            **dataclasses.asdict(self.model.encoder),
            **{name: value for name, value in sizes.items() if name not in FROM_DATA},
            "max_length": self.model.decoding.max_length,
            **dataclasses.asdict(self.training),
            "data": digest(self.dataset),
            "init_from": str(sources.init_from) if sources.init_from else None,
            **own,
        }


def digest(dataset: CaptionDataset) -> str:
    """Return a digest of the photos and captions of the train and dev splits."""
    content = {
        name: [(example.image.name, example.captions) for example in examples]
        for name, examples in dataset.splits.items()
        if name != "test"
    }
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=8).hexdigest()
