"""Batches of images, each with several of its captions, so that one encoding of the image serves them all."""

from collections.abc import Iterator, Sequence

import numpy as np

from captioner.ahead import ahead
from captioner.data.feature_parts import FeatureParts
from captioner.text import Vocabulary

Batch = tuple[dict[str, np.ndarray], np.ndarray]

BUCKET_BATCHES = 16
"""Batches that are filled together from one shuffled lot, sorted by length: less padding, still a random order."""


class CaptionBatches:
    """Features and encoded captions of one split, as batches for `CaptionModel`.

    A batch is `({"features", "tokens", "positions"}, targets)`: features float16 (B, L, D); tokens int32 (B, K, T), the
    start token and all words but the last; positions int32 (N,) of the N real words in the flattened (B*K*T,); targets
    int32 (N,), the word that follows at each position. An image's captions stand longest first. T is the batch's
    longest caption, rounded up to even, so that few different shapes are traced. With teachers the inputs also have
    `taught_words` (N, C) and `taught` (N, C), what they say at each position.

    Args:
        features: (N, L, D), a row for each view of a photo, as an array or what gives rows as one does.
        rows: the first rows of the images of this split, M of them.
        captions: of each of these images, its captions as `Vocabulary.encode` gives them.
        batch_size: images a batch (B).
        captions_per_image: captions an image brings (K); of more, others are drawn each epoch, of fewer, rows stay
            empty.
        views: rows of an image (V), of which one is drawn each epoch.
        taught: what teachers say of these captions in each row, see `captioner.training.teachers.ask`.
        least: images of the smallest batch; where fewer are left, some stand in it more than once.
    """

    def __init__(
        self,
        features: np.ndarray | FeatureParts,
        rows: Sequence[int] | np.ndarray,
        captions: Sequence[Sequence[Sequence[int]]],
        batch_size: int,
        captions_per_image: int = 5,
        views: int = 1,
        taught: np.ndarray | None = None,
        least: int = 1,
    ) -> None:
        self.features = features
        self.rows = np.asarray(rows)
        self.captions = captions
        self.batch_size = batch_size
        self.views = views
        self.taught = taught
        self.least = least
        self.captions_per_image = min(captions_per_image, max(map(len, captions)))

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return -(-len(self.captions) // self.batch_size)

    def shuffled(self, seed: int, epoch: int) -> Iterator[Batch]:
        """Return the batches of one epoch in an order that depends on `seed` and `epoch` alone."""
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(self.captions))
        # By the longest caption, and among equals by the next: both decide how much of a batch is padding.
        lengths = [sorted(map(len, captions), reverse=True) for captions in self.captions]
        first_two = np.array([[*each, 0][:2] for each in lengths])  # (M, 2)
        longest = first_two @ [1 + first_two.max(), 1]  # (M,)
        batches: list[np.ndarray] = []
        lot = BUCKET_BATCHES * self.batch_size
        for first in range(0, len(order), lot):
            some = order[first : first + lot]
            some = some[np.argsort(longest[some], kind="stable")]
            batches += [some[at : at + self.batch_size] for at in range(0, len(some), self.batch_size)]
        return self._made_ahead([batches[number] for number in rng.permutation(len(batches))], rng)

    def in_order(self) -> Iterator[Batch]:
        """Return the batches in the order of the rows, each image with its first captions."""
        order = np.arange(len(self.captions))
        return self._made_ahead(
            [order[at : at + self.batch_size] for at in range(0, len(order), self.batch_size)], None
        )

    def _made_ahead(self, batches: list[np.ndarray], rng: np.random.Generator | None) -> Iterator[Batch]:
        return ahead(lambda images: self._batch(images, rng), batches)

    def _batch(self, images: np.ndarray, rng: np.random.Generator | None) -> Batch:
        images = np.resize(images, max(len(images), self.least))
        of_images = [self.captions[image] for image in images]
        chosen = [longest_first(captions, self._choose(len(captions), rng)) for captions in of_images]
        picked = [[captions[number] for number in some] for captions, some in zip(of_images, chosen, strict=True)]
        inputs, targets = pack(picked, self.captions_per_image)
        rows = self.rows[images]
        if rng is not None:
            rows = rows + rng.integers(self.views, size=len(rows))
        if self.taught is not None:
            of_words, places = word_places(of_images, chosen)
            said = self.taught[rows[of_words], places]  # (N, C)
            inputs |= {"taught_words": said["word"].astype(np.int32), "taught": said["probability"]}
        return {"features": self.features[rows], **inputs}, targets

    def _choose(self, captions: int, rng: np.random.Generator | None) -> Sequence[int]:
        """Return the numbers of the captions that an image with so many brings."""
        if rng is None or captions <= self.captions_per_image:
            return range(min(captions, self.captions_per_image))
        return rng.choice(captions, self.captions_per_image, replace=False).tolist()


def longest_first(captions: Sequence[Sequence[int]], numbers: Sequence[int]) -> list[int]:
    """Sort the numbers of captions by their length, as `pack` wants them."""
    return sorted(numbers, key=lambda number: len(captions[number]), reverse=True)


def word_places(
    captions: Sequence[Sequence[Sequence[int]]], chosen: Sequence[Sequence[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Tell where the words of the chosen captions of each image stand when all of them are laid end to end.

    Args:
        captions: of each of B images, all its captions.
        chosen: the numbers of some, in the order that they are packed in.

    Returns:
        for each of N words its image, and its place among the words of the image, int (N,).
    """
    images: list[np.ndarray] = []
    places: list[np.ndarray] = []
    for image, (each, numbers) in enumerate(zip(captions, chosen, strict=True)):
        starts = np.cumsum([0, *map(len, each)])
        for number in numbers:
            words = np.arange(starts[number], starts[number + 1])
            images.append(np.full(len(words), image))
            places.append(words)
    return np.concatenate(images), np.concatenate(places)


def pack(captions: Sequence[Sequence[Sequence[int]]], captions_per_image: int) -> Batch:
    """Lay out encoded captions as `CaptionBatches` describes it, without features: those of an image longest first."""
    longest = max(len(caption) for each in captions for caption in each)
    shape = (len(captions), captions_per_image, longest + longest % 2)
    tokens = np.full(shape, Vocabulary.pad, np.int32)  # (B, K, T)
    targets = np.full(shape, Vocabulary.pad, np.int32)
    for place, each in enumerate(captions):
        for number, caption in enumerate(each):
            tokens[place, number, : len(caption)] = [Vocabulary.start, *caption[:-1]]
            targets[place, number, : len(caption)] = caption
    positions = np.flatnonzero(targets).astype(np.int32)  # padding is 0, and no target
    return {"tokens": tokens, "positions": positions}, targets.reshape(-1)[positions]
