"""From photos to captions with the Keras networks: encoder, decoder, search and vocabulary in one call."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from captioner.data.photos import PhotoError, open_photo, preprocess
from captioner.decoding.hypothesis import Hypothesis
from captioner.errors import CaptionerError
from captioner.models.directory import SavedModel, load_model
from captioner.models.encoder import build_encoder
from captioner.models.generate import generate


@dataclass(frozen=True)
class Candidate:
    """One caption of a photo.

    Attributes:
        caption: the words with spaces between.
        score: log-probability / length ** length_penalty, natural logarithm; higher is better.
        attention: (T, L), where the model looked before each word.
    """

    caption: str
    score: float
    attention: np.ndarray | None


class Describer:
    """A loaded captioning model with its encoder.

    Args:
        model: the model directory's content.
        encoder: images (B, size, size, 3) to features (B, L, D).
        num_captions: candidates a photo.
    """

    def __init__(self, model: SavedModel, encoder: keras.Model, num_captions: int = 1) -> None:
        decoding = model.config.decoding
        # A beam holds as many captions as it is wide.
        self.decoding = replace(decoding, beam_width=max(decoding.beam_width, num_captions))
        self.model = model
        self.encoder = encoder
        self.num_captions = num_captions

    @classmethod
    def load(
        cls,
        directory: Path,
        encoder_weights: str = "imagenet",
        *,
        beam_width: int | None = None,
        length_penalty: float | None = None,
        num_captions: int = 1,
    ) -> "Describer":
        """Load a model directory and the encoder's weights; settings that are not given are the model's own.

        Raises:
            CaptionerError: the directory or the weights cannot be used.
        """
        model = load_model(directory).with_decoding(beam_width, length_penalty)
        encoder = build_encoder(model.config.encoder, encoder_weights)
        expected = (model.config.decoder.locations, model.config.decoder.channels)
        if encoder.output_shape[1:] != expected:
            raise CaptionerError(
                f"{directory}: the decoder was made for features {expected}, but {model.config.encoder} gives "
                f"{encoder.output_shape[1:]}; config.json was changed by hand, restore it from where it came"
            )
        return cls(model, encoder, num_captions)

    def __call__(self, photos: Sequence[str | Path | bytes | np.ndarray]) -> list[tuple[Candidate, ...] | PhotoError]:
        """Describe photos together: for each its captions, best first, or why it cannot be opened."""
        size = self.model.config.encoder.image_size
        images: list[np.ndarray] = []
        errors: dict[int, PhotoError] = {}
        for number, photo in enumerate(photos):
            try:
                images.append(preprocess(open_photo(photo), size))
            except PhotoError as error:
                errors[number] = error
        beams = iter(self._search(np.stack(images)) if images else [])
        return [errors[number] if number in errors else self._candidates(next(beams)) for number in range(len(photos))]

    def _search(self, images: np.ndarray) -> list[list[Hypothesis]]:
        features = keras.ops.convert_to_numpy(self.encoder(images, training=False))
        return generate(self.model.network, features, self.decoding)

    def _candidates(self, beam: list[Hypothesis]) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(" ".join(self.model.vocabulary.decode(each.tokens)), each.score, each.attention)
            for each in beam[: self.num_captions]
        )
