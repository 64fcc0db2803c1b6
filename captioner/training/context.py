"""The context that all stages of a training on captions share."""

from dataclasses import dataclass, field, replace
from typing import Any

from captioner.config.decoding import DecodingConfig
from captioner.config.training import TrainingConfig
from captioner.text import Vocabulary
from captioner.training.inputs.split import Split
from captioner.training.profile import Profile


@dataclass(frozen=True)
class Context:
    """Data, words and settings.

    Attributes:
        vocabulary: the words of the network.
        train: the training photos as the stage reads them, with their captions as tokens.
        dev: the photos that are scored after each epoch.
        training: batch size, seed, regularisation; a stage has its own epochs and rate.
        decoding: how captions are searched.
        profile: takes the time.
    """

    vocabulary: Vocabulary
    train: Split
    dev: Split
    training: TrainingConfig
    decoding: DecodingConfig
    profile: Profile = field(default_factory=Profile)

    def with_settings(self, **changes: Any) -> "Context":
        """Return the context with other settings of `training`."""
        return replace(self, training=replace(self.training, **changes))

    def with_data(self, train: Split, dev: Split) -> "Context":
        """Return the context with other splits, whose captions become tokens if they are not yet."""
        max_length = self.decoding.max_length
        train, dev = (each if each.tokens else each.encoded(self.vocabulary, max_length) for each in (train, dev))
        return replace(self, train=train, dev=dev)
