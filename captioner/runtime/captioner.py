"""From photos to captions: encoder, decoder, search and vocabulary in one call."""

import copy
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, Self, TypeGuard, TypeVar, cast, overload

import numpy as np
from PIL import Image

from captioner.config.decoding import DecodingConfig, SamplingConfig, WordingConfig
from captioner.decoding.captions import Network, generate, sample
from captioner.decoding.consensus import chosen
from captioner.decoding.hypothesis import Hypothesis
from captioner.decoding.wording import worded
from captioner.errors import PhotoError
from captioner.model_files.calibration import Calibration
from captioner.model_files.ngram_regression import NgramRegression
from captioner.photos.opening import open_photo
from captioner.photos.preprocessing import scale
from captioner.photos.process import PhotoOpener, shared_opener
from captioner.runtime.caption import Candidate, Caption
from captioner.runtime.uniforms import photo_key, uniforms
from captioner.system.cores import available_cores, one_blas_thread
from captioner.system.prefetch import prefetch_map
from captioner.text import Vocabulary

Photo = str | Path | bytes | np.ndarray | Image.Image | BinaryIO
"""A photo as `captioner.photos.opening.open_photo` takes it: a path, a file's bytes, an array, a Pillow image; or
an open binary file, which is read from where it stands to its end."""

AnyPhoto = TypeVar("AnyPhoto", bound=Photo)

AT_ONCE = 24
"""Photos whose captions are searched together at most: the decoder's weights are fetched from memory once for all."""

FEW_AT_ONCE = 8
"""Photos that are searched together at first. Each search takes an eighth of what is done, or nobody would read photos
while the last are searched."""


class Encoder(Protocol):
    """A network that reads images, in LiteRT (`LiteRTEncoder`) or in Keras."""

    image_size: int

    def __call__(self, image: np.ndarray, single_threaded: bool = False) -> np.ndarray:
        """Read an image (S, S, 3) in [-1, 1] -> features (L, D); see `LiteRTEncoder`."""
        ...


class _Reading(NamedTuple):
    """What was read of a photo: its features (L, D), and the key of its pixels if captions are drawn."""

    features: np.ndarray
    key: bytes


class Captioner:
    """A captioning model ready for use.

    A photo's caption depends on the photo alone, not on those before or beside it, except for the rounding of a score.
    Captions that are drawn depend on the seed too.

    Attributes:
        on_note: takes a photo, as it was given, and a line about its file, where that is odd and was captioned all the
            same: a JPEG without its end marker. Called from several threads; None, as at first, for nobody.
        sampling: how captions are drawn at random; None, as at first, where they are searched for.
        wording: what captions must and must not say; nothing at first.
        calibration: how sure a caption is, and which photos are familiar; None, as at first, where nobody knows.
        ngram_regression: what people say of such photos, by which one of the captions found is chosen;
            None, as at first, for the network alone.

    Args:
        vocabulary: the words behind the decoder's numbers.
        encoder: images to features.
        network: the decoder.
        decoding: how to search; the beam is as wide as captions are asked for, at least.
        num_captions: candidates a photo; `with_settings` sets the rest.
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
        self.sampling: SamplingConfig | None = None
        self.wording = WordingConfig()
        self.calibration: Calibration | None = None
        self.ngram_regression: NgramRegression | None = None
        self._special, _ = worded(vocabulary, self.wording, decoding.max_length)
        self._opener: PhotoOpener | None = None
        self.on_note: Callable[[Photo, str], object] | None = None

    def with_settings(
        self,
        *,
        decoding: DecodingConfig | None = None,
        num_captions: int | None = None,
        wording: WordingConfig | None = None,
        sampling: SamplingConfig | None = None,
    ) -> Self:
        """Return a captioner with the same networks and other settings; those that are not given stay.

        Args:
            decoding: how to search; the beam is as wide as captions are asked for, at least.
            num_captions: candidates a photo.
            wording: the words that captions begin with, and those that none has.
            sampling: draw captions at random, and how. They come in the order in which they are drawn, and two may be
                equal; `beam_width` has no effect.

        Raises:
            CaptionerError: `begin` has unknown words or is too long, or an excluded word is not one word.
        """
        other = copy.copy(self)
        other.num_captions = num_captions or self.num_captions
        decoding = decoding or self.decoding
        other.decoding = replace(decoding, beam_width=max(decoding.beam_width, other.num_captions))
        other.wording = wording or self.wording
        other.sampling = sampling or self.sampling
        other._special, _ = worded(self.vocabulary, other.wording, other.decoding.max_length)
        return other

    @overload
    def __call__(self, photos: Photo) -> Caption: ...  # type: ignore[overload-overlap]  # a str is a sequence of str
    @overload
    def __call__(self, photos: Sequence[Photo]) -> list[Caption]: ...
    def __call__(self, photos: Photo | Sequence[Photo]) -> Caption | list[Caption]:
        """Caption a photo, or a list: of paths, bytes of files, open binary files, Pillow images or arrays.

        Raises:
            PhotoError: a photo cannot be opened; `stream` continues with the others.
            TypeError: something is no photo; of a list, it is said which, before any is captioned.
        """
        if _is_photo(photos):
            return self._describe(photos)
        if _is_file(photos) or isinstance(photos, bytearray | memoryview | Mapping) or not isinstance(photos, Iterable):
            raise TypeError(_no_photo("the photo", photos))
        items = cast("Iterable[Photo]", photos)
        if isinstance(photos, list | tuple):  # what can be known at once is not complained of after the work
            items = list(_checked(items))
        found = []
        for _, result in self.stream(items):
            if isinstance(result, PhotoError):
                raise result
            found.append(result)
        return found

    def stream(
        self, photos: Iterable[AnyPhoto], threads: int | None = None
    ) -> Iterator[tuple[AnyPhoto, Caption | PhotoError]]:
        """Caption photos in parallel, one core each; yield each, in order, with its caption or its error.

        Each is opened in a process that may be killed, under a budget of processor time and memory, so that no photo
        stops those behind it. Only a few are in memory at a time, however many there are.

        Args:
            photos: any number.
            threads: how many photos are read at once; not given, one for each core.

        Raises:
            TypeError: an item is no photo; its number is said.
        """
        checked = _checked(photos)
        begun = list(islice(checked, 2))
        if len(begun) < 2:
            for photo in begun:
                yield photo, self._attempt(photo)
            return
        with closing(self._seen(chain(begun, checked), threads)) as read:
            done = 0
            while group := list(islice(read, min(AT_ONCE, max(FEW_AT_ONCE, done // 8)))):
                yield from self._search(group)
                done += len(group)

    def features(
        self, photos: Iterable[AnyPhoto], threads: int | None = None
    ) -> Iterator[tuple[AnyPhoto, np.ndarray | PhotoError]]:
        """Yield each photo, in order, with its features (L, D) or its error; see `stream`.

        Args:
            photos: any number.
            threads: how many photos are read at once; not given, one for each core.

        Raises:
            TypeError: an item is no photo; its number is said.
        """
        with closing(self._seen(_checked(photos), threads)) as seen:
            for photo, read in seen:
                yield photo, read if isinstance(read, PhotoError) else read.features

    def _seen(
        self, photos: Iterable[AnyPhoto], threads: int | None
    ) -> Generator[tuple[AnyPhoto, _Reading | PhotoError], None, None]:
        if threads is not None and threads < 1:
            raise ValueError(f"threads: expected 1 or more, found {threads}")
        threads = threads or available_cores()
        stopped = threading.Event()
        return prefetch_map(
            lambda photo: (photo, self._read_single_threaded(photo, stopped)),
            photos,
            threads=threads,
            lead=AT_ONCE + 2 * threads,
            stop=stopped.set,
        )

    def _attempt(self, photo: Photo) -> Caption | PhotoError:
        try:
            return self._describe(photo)
        except PhotoError as error:
            return error

    def _describe(self, photo: Photo) -> Caption:
        pixels = open_photo(_read(photo), size=self.encoder.image_size, on_note=self._noting(photo))
        return self._captions([_Reading(self.encoder(scale(pixels)), self._key(pixels))])[0]

    def _read_single_threaded(self, photo: Photo, stopped: threading.Event) -> _Reading | PhotoError:
        """Return what the encoder sees in a photo."""
        try:
            pixels = open_photo(
                _read(photo),
                size=self.encoder.image_size,
                opener=self._opener or shared_opener(),
                cancelled=stopped,
                on_note=self._noting(photo),
            )
        except PhotoError as error:
            return error
        return _Reading(self.encoder(scale(pixels), single_threaded=True), self._key(pixels))

    def _key(self, pixels: np.ndarray) -> bytes:
        return photo_key(pixels) if self.sampling else b""

    def _noting(self, photo: Photo) -> Callable[[str], object] | None:
        return self.on_note and partial(self.on_note, photo)

    def _search(
        self, group: Sequence[tuple[AnyPhoto, _Reading | PhotoError]]
    ) -> Iterator[tuple[AnyPhoto, Caption | PhotoError]]:
        """Caption photos that were read, and pass errors on."""
        read = [found for _, found in group if not isinstance(found, PhotoError)]
        captions = iter(self._captions(read) if read else ())
        for photo, found in group:
            yield photo, found if isinstance(found, PhotoError) else next(captions)

    def _captions(self, read: Sequence[_Reading]) -> list[Caption]:
        """Find the captions of photos."""
        return [self._caption(*each) for each in zip(read, self._hypotheses(read), strict=True)]

    def _caption(self, read: _Reading, found: Sequence[Hypothesis]) -> Caption:
        """Put what was found for a photo in words, and say how far to trust it."""
        candidates = tuple(self._candidate(each) for each in found[: self.num_captions])
        familiar, doubtful, known = None, False, self.calibration
        if known:
            familiar = known.is_familiar(read.features)
            doubtful = not familiar or known.is_doubtful(candidates[0].confidence)
        return Caption(**vars(candidates[0]), candidates=candidates, familiar=familiar, doubtful=doubtful)

    def _candidate(self, found: Hypothesis) -> Candidate:
        words, attention = tuple(self.vocabulary.decode(found.tokens)), np.asarray(found.attention)
        probabilities = None if found.token_log_probs is None else np.exp(found.token_log_probs)
        confidence = self.calibration.confidence(found.log_prob, found.length) if self.calibration else None
        certainty = "" if self.calibration is None or confidence is None else self.calibration.certainty(confidence)
        return Candidate(
            words, found.score, attention, probabilities=probabilities, confidence=confidence, certainty=certainty
        )

    def _hypotheses(self, read: Sequence[_Reading]) -> list[list[Hypothesis]]:
        features = np.stack([each.features for each in read])  # (B, L, D)
        if self.sampling is None:
            return self.search(features)
        with one_blas_thread():
            keys = [each.key for each in read]
            numbers = uniforms(self.sampling.seed, keys, self.num_captions, self.decoding.max_length)
            return sample(self.network, features, self.decoding, self._special, self.sampling, numbers)

    def search(self, features: np.ndarray) -> list[list[Hypothesis]]:
        """Search for the captions of photos with features (B, L, D): for each, the best first.

        Raises:
            CaptionerError: the network gives no probabilities, or none to any word that is allowed.
        """
        with one_blas_thread():
            found = generate(self.network, features, self.decoding, self._special)
            regression = self.ngram_regression
            if regression is None or self.calibration is None:
                return found
            factors = regression.factors(self.calibration.standardised(features))
            return [chosen(*each, regression, self.vocabulary) for each in zip(found, factors, strict=True)]


def _is_photo(thing: object) -> TypeGuard[Photo]:
    """Return whether something has a type of `Photo`; a file that is open as text has not."""
    if isinstance(thing, str | Path | bytes | np.ndarray | Image.Image):
        return True
    return _is_file(thing) and not hasattr(thing, "encoding")


def _is_file(thing: object) -> bool:
    return callable(getattr(thing, "read", None))


def _checked(photos: Iterable[AnyPhoto]) -> Iterator[AnyPhoto]:
    """Yield the photos.

    Raises:
        TypeError: something is none, or there is one photo and not several.
    """
    if isinstance(photos, str | Path | bytes) or _is_file(photos):  # whose letters, numbers and lines are no photos
        raise TypeError(f"photos: expected a list or another iterable of photos, got {type(photos).__name__}")
    for number, photo in enumerate(photos):
        if not _is_photo(photo):
            raise TypeError(_no_photo(f"photos[{number}]", photo))
        yield photo


def _no_photo(name: str, thing: object) -> str:
    advice = "; open the file in binary mode" if _is_file(thing) else ""
    return (
        f"{name}: expected a path, the bytes of a file, an open binary file, a Pillow image or an array, got "
        f"{type(thing).__name__}{advice}"
    )


def _read(photo: Photo) -> str | Path | bytes | np.ndarray | Image.Image:
    """Return what `open_photo` takes.

    Raises:
        PhotoError: an open file cannot be read.
    """
    if isinstance(photo, str | Path | bytes | np.ndarray | Image.Image):
        return photo
    name = getattr(photo, "name", "the file")
    try:
        content = photo.read()
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise PhotoError(f"{name}: {error}") from error
    if not isinstance(content, bytes):
        raise TypeError(f"{name}: expected an open file that gives bytes, got {type(content).__name__}")
    return content
