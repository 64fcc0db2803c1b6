"""From photos to captions: encoder, decoder, search and vocabulary in one call."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Protocol, TypeVar, overload

import numpy as np
from PIL import Image

from captioner.ahead import ahead
from captioner.config import DecodingConfig
from captioner.cores import available_cores
from captioner.data.photos import PhotoError, open_photo, preprocess
from captioner.decoding.captions import Network, generate
from captioner.runtime.caption import Candidate, Caption
from captioner.text import Vocabulary

Photo = str | Path | bytes | np.ndarray | Image.Image
"""A photo as `captioner.data.photos.open_photo` takes it: a path, a file's bytes, an array, a Pillow image."""

AnyPhoto = TypeVar("AnyPhoto", bound=Photo)

AHEAD = 2
"""Photos that are being read or wait for their turn to be returned, a core."""


class Encoder(Protocol):
    """A network that reads images, in LiteRT (`LiteRTEncoder`) or in Keras."""

    image_size: int

    def __call__(self, image: np.ndarray, among_others: bool = False) -> np.ndarray:
        """Read an image (S, S, 3) in [-1, 1] -> features (L, D); see `LiteRTEncoder`."""
        ...


class Captioner:
    """A captioning model ready for use.

    A photo's caption depends on the photo alone, not on those before or beside it.

    Args:
        vocabulary: the words behind the decoder's numbers.
        encoder: images to features.
        network: the decoder.
        decoding: how to search; the beam is as wide as captions are asked for, at least.
        num_captions: candidates a photo.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        encoder: Encoder,
        network: Network,
        decoding: DecodingConfig,
        num_captions: int = 1,
    ) -> None:
        self.vocabulary = vocabulary
        self.encoder = encoder
        self.network = network
        self.decoding = replace(decoding, beam_width=max(decoding.beam_width, num_captions))
        self.num_captions = num_captions

    @overload
    def __call__(self, photos: Photo) -> Caption: ...  # type: ignore[overload-overlap]  # a str is a sequence of str
    @overload
    def __call__(self, photos: Sequence[Photo]) -> list[Caption]: ...
    def __call__(self, photos: Photo | Sequence[Photo]) -> Caption | list[Caption]:
        """Caption a photo, or a list: of paths, bytes of files, Pillow images or arrays.

        Raises:
            PhotoError: a photo cannot be opened; `stream` goes on with the others.
        """
        if isinstance(photos, str | Path | bytes | np.ndarray | Image.Image):
            return self._describe(photos, among_others=False)
        found = []
        for _, result in self.stream(photos):
            if isinstance(result, PhotoError):
                raise result
            found.append(result)
        return found

    def stream(self, photos: Iterable[AnyPhoto]) -> Iterator[tuple[AnyPhoto, Caption | PhotoError]]:
        """Caption photos side by side, a core each; give each, in order, with its caption or what is wrong with it.

        Only a few photos are in memory at a time, however many there are.
        """
        photos = iter(photos)
        first, second = next(photos, None), next(photos, None)
        if first is None:
            return
        if second is None:
            yield first, self._attempt(first, among_others=False)
            return
        cores = available_cores()
        yield from ahead(
            lambda photo: (photo, self._attempt(photo, among_others=True)),
            chain([first, second], photos),
            threads=cores,
            lead=cores * (1 + AHEAD),
        )

    def _attempt(self, photo: Photo, among_others: bool) -> Caption | PhotoError:
        try:
            return self._describe(photo, among_others)
        except PhotoError as error:
            return error

    def _describe(self, photo: Photo, among_others: bool) -> Caption:
        image = preprocess(open_photo(photo), self.encoder.image_size)
        features = self.encoder(image, among_others)
        (beam,) = generate(self.network, features[None], self.decoding)
        candidates = tuple(
            Candidate(tuple(self.vocabulary.decode(each.tokens)), each.score, np.asarray(each.attention))
            for each in beam[: self.num_captions]
        )
        return Caption(candidates[0].words, candidates[0].score, candidates[0].attention, candidates)
