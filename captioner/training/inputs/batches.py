"""Batches of images, each with several of its captions, so that one encoding of the image serves them all."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from captioner.system.prefetch import prefetch_map
from captioner.text import Vocabulary

Batch = dict[str, Any]

Prepare = Callable[[int, Batch], Batch]
"""What is done with a batch and its number, in a thread that works ahead: features are looked up, views drawn."""

BUCKET_BATCHES = 16
"""Batches that are filled together from shuffled images, sorted by length: less padding, still a random order."""


def caption_arrays(batch: Batch) -> Batch:
    """Return the arrays of the captions of a batch: `tokens`, `positions` and `targets`."""
    return {name: batch[name] for name in ("tokens", "positions", "targets")}


def unchanged(number: int, batch: Batch) -> Batch:
    """Return a batch as it is."""
    return batch


class CaptionBatches:
    """The captions of one split, encoded, as batches.

    A batch has `images` int (B,), the numbers of the images; `rows` int (B,), the row of each that is read; `tokens`
    int32 (B, K, T), the start token and all words but the last; `positions` int32 (N,) of the N real words in the
    flattened (B*K*T,); `targets` int32 (N,), the word that follows at each position; and `word_images` and
    `word_places`, both int (N,): the place in the batch of each word's image, and the word's place when all captions of
    that image are laid end to end. An image's captions stand longest first. T is the batch's longest caption, rounded
    up to even, so that few different shapes are compiled.

    Args:
        captions: of each of M images, its captions as `Vocabulary.encode` gives them.
        batch_size: images a batch (B).
        captions_per_image: the most captions that an image brings (K). Of more, others are drawn each epoch; of fewer,
            rows stay empty.
        rows: the first row of each image (M,); their numbers where it is not given.
        views: rows of an image (V), of which one is drawn each epoch.
        min_images: images of the smallest batch; where fewer are left, some stand in it more than once.
    """

    def __init__(
        self,
        captions: Sequence[Sequence[Sequence[int]]],
        batch_size: int,
        captions_per_image: int = 5,
        *,
        rows: Sequence[int] | np.ndarray | None = None,
        views: int = 1,
        min_images: int = 1,
    ) -> None:
        self.captions = captions
        self.batch_size = batch_size
        self.captions_per_image = min(captions_per_image, max(map(len, captions)))
        self.rows = np.arange(len(captions)) if rows is None else np.asarray(rows)
        self.views = views
        self.min_images = min_images

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return -(-len(self.captions) // self.batch_size)

    def shuffled(self, seed: int, epoch: int, prepare: Prepare = unchanged) -> Iterator[Batch]:
        """Return the batches of one epoch in an order that depends on `seed` and `epoch` alone."""
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(self.captions))
        # By the longest caption, and among equals by the next: both decide how much of a batch is padding.
        lengths = [sorted(map(len, captions), reverse=True) for captions in self.captions]
        first_two = np.array([[*each, 0][:2] for each in lengths])  # (M, 2)
        longest = first_two @ [1 + first_two.max(), 1]  # (M,)
        batches: list[np.ndarray] = []
        bucket = BUCKET_BATCHES * self.batch_size
        for first in range(0, len(order), bucket):
            some = order[first : first + bucket]
            some = some[np.argsort(longest[some], kind="stable")]
            batches += [some[at : at + self.batch_size] for at in range(0, len(some), self.batch_size)]
        return self._prefetched([batches[number] for number in rng.permutation(len(batches))], rng, prepare)

    def in_order(self, prepare: Prepare = unchanged) -> Iterator[Batch]:
        """Return the batches in the order of the images, each image with its first row and its first captions."""
        order = np.arange(len(self.captions))
        batches = [order[at : at + self.batch_size] for at in range(0, len(order), self.batch_size)]
        return self._prefetched(batches, None, prepare)

    def _prefetched(
        self, batches: list[np.ndarray], rng: np.random.Generator | None, prepare: Prepare
    ) -> Iterator[Batch]:
        return prefetch_map(lambda numbered: prepare(numbered[0], self._batch(numbered[1], rng)), enumerate(batches))

    def _batch(self, images: np.ndarray, rng: np.random.Generator | None) -> Batch:
        images = np.resize(images, max(len(images), self.min_images))
        captions = [self.captions[image] for image in images]
        chosen = [longest_first(each, self._choose(len(each), rng)) for each in captions]
        packed = [[each[number] for number in some] for each, some in zip(captions, chosen, strict=True)]
        batch = pack(packed, self.captions_per_image)
        batch["word_images"], batch["word_places"] = word_places(captions, chosen)
        rows = self.rows[images]
        if rng is not None:
            rows = rows + rng.integers(self.views, size=len(rows))
        return {"images": images, "rows": rows, **batch}

    def _choose(self, captions: int, rng: np.random.Generator | None) -> Sequence[int]:
        """Return the numbers of the captions that an image with so many brings."""
        if rng is None or captions <= self.captions_per_image:
            return range(min(captions, self.captions_per_image))
        return rng.choice(captions, self.captions_per_image, replace=False).tolist()


def longest_first(captions: Sequence[Sequence[int]], numbers: Sequence[int]) -> list[int]:
    """Sort the numbers of captions by their length, as `pack` expects them."""
    return sorted(numbers, key=lambda number: len(captions[number]), reverse=True)


def word_places(
    captions: Sequence[Sequence[Sequence[int]]], chosen: Sequence[Sequence[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the words of chosen captions when all captions of an image are laid end to end.

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
    """Lay out encoded captions, those of an image longest first, as `tokens`, `positions` and `targets` of a batch."""
    longest = max(len(caption) for each in captions for caption in each)
    shape = (len(captions), captions_per_image, longest + longest % 2)
    tokens = np.full(shape, Vocabulary.pad, np.int32)  # (B, K, T)
    targets = np.full(shape, Vocabulary.pad, np.int32)
    for place, each in enumerate(captions):
        for number, caption in enumerate(each):
            tokens[place, number, : len(caption)] = [Vocabulary.start, *caption[:-1]]
            targets[place, number, : len(caption)] = caption
    positions = np.flatnonzero(targets).astype(np.int32)  # padding is 0, and no target
    return {"tokens": tokens, "positions": positions, "targets": targets.reshape(-1)[positions]}
