"""Read captions as words for training, and count those that cannot be used whole."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

from captioner.config.decoding import DecodingConfig
from captioner.data.data_issues import printable
from captioner.data.dataset import Example
from captioner.text import is_unspaced, normalise

CHARACTERS_A_WORD = 2
"""Of a word in a script without spaces, about."""

log = logging.getLogger(__name__)


def read_captions(examples: Iterable[Example]) -> list[list[list[str]]]:
    """Return the captions of each photo as lists of words; those without a word are left out and logged."""
    read = []
    without: list[str] = []
    for example in examples:
        sentences = []
        for caption in example.captions:
            words = normalise(caption)
            if words:
                sentences.append(words)
            else:
                without.append(f"{example.image.name}: {caption!r}")
        read.append(sentences)
    if without:
        many = "1 caption" if len(without) == 1 else f"{len(without)} captions"
        log.warning("left out: %s without a word, such as %s", many, printable(without[0]))
    return read


def log_cut_captions(sentences: Sequence[Sequence[str]], max_length: int) -> None:
    """Log how many captions are cut at `max_length` tokens, their end counted, and what length would keep them."""
    cut = sum(len(words) >= max_length for words in sentences)
    if cut:
        lengths = sorted(len(words) + 1 for words in sentences)
        nearly_all, longest = lengths[len(lengths) * 99 // 100], lengths[-1]
        enough = (
            f"{longest} keeps all"
            if nearly_all <= max_length or nearly_all == longest
            else f"{nearly_all} keeps 99%, {longest} all"
        )
        log.info(
            "%d of %d captions are longer than --max-length %d, and are cut: %s",
            cut,
            len(sentences),
            max_length,
            enough,
        )


def log_left_captions(captions: Sequence[Sequence[object]], captions_per_image: int) -> None:
    """Log how many photos have more captions than a step learns from, if some have."""
    most = max(map(len, captions))
    if more := sum(len(each) > captions_per_image for each in captions):
        log.info(
            "%d of %d photos have more than --captions-per-image %d captions, up to %d; each epoch draws others",
            *(more, len(captions), captions_per_image, most),
        )


def fitted(decoding: DecodingConfig, sentences: Sequence[Sequence[str]]) -> DecodingConfig:
    """Return search settings that fit the captions: characters of unspaced scripts repeat even in good sentences.

    Where most tokens are such characters, the default length of phrases that must not repeat is counted in them; a
    single one may come again after another.
    """
    words_in_a_row = DecodingConfig().no_repeat_ngram_size
    characters = sum(is_unspaced(word) for words in sentences for word in words)
    if decoding.no_repeat_ngram_size != words_in_a_row or 2 * characters <= sum(map(len, sentences)):
        return decoding
    return replace(decoding, no_repeat_ngram_size=CHARACTERS_A_WORD * words_in_a_row)
