"""Score a model on a split: captions found without any help from the references, then compared with them."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from captioner.config.decoding import DecodingConfig
from captioner.data.dataset import ENOUGH_PHOTOS
from captioner.decoding.captions import generate
from captioner.decoding.consensus import chosen
from captioner.decoding.hypothesis import Hypothesis, ranked
from captioner.metrics.bleu import BleuCounts, bleu_counts, bleu_of
from captioner.metrics.caption_statistics import caption_statistics
from captioner.metrics.cider import CiderD
from captioner.metrics.score import score
from captioner.model_files.directory import CaptionerDirectory
from captioner.models.captioner import CaptionModel
from captioner.system.files import write_text
from captioner.system.prefetch import prefetch_map
from captioner.system.progress import progress_bar
from captioner.text import Vocabulary, join_words
from captioner.training.devices import has_gpu, shard_count
from captioner.training.graph_search import graph_search
from captioner.training.inputs.split import Split

log = logging.getLogger(__name__)

BATCH_SIZE = 100
"""Images searched together by a thread: enough to fill the matrix products, little enough to fit any laptop."""

LENGTH_PENALTIES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
"""Those tried on dev."""


def caption_split(model: CaptionModel, split: Split, decoding: DecodingConfig) -> list[list[Hypothesis]]:
    """Search for captions of the photos of a split: for each, the hypotheses, best first; a GPU searches in a graph."""
    search = graph_search if has_gpu() else generate
    found: list[list[Hypothesis]] = []
    batches = [np.asarray(split.rows[at : at + BATCH_SIZE]) for at in range(0, len(split.rows), BATCH_SIZE)]
    with progress_bar(
        total=len(split.rows), desc=f"beam {decoding.beam_width}", unit="photo", delay=2, leave=False
    ) as bar:
        for beams in prefetch_map(lambda rows: search(model, split.features[rows], decoding), batches, shard_count()):
            found += beams
            bar.update(len(beams))
    return found


def with_consensus(
    directory: Path, vocabulary: Vocabulary, beams: Sequence[Sequence[Hypothesis]], split: Split
) -> list[list[str]] | None:
    """Return the captions of a split that are chosen by consensus; None where the model in `directory` chooses so none.

    Args:
        directory: of the model.
        vocabulary: the words behind the tokens.
        beams: what the search found for each photo of the split.
        split: with the features of the photos.

    Raises:
        CaptionerError: the model's files are damaged.
    """
    model = CaptionerDirectory.read(directory, quiet=True)
    regression, calibration = model.ngram_regression(), model.calibration()
    if regression is None or calibration is None:
        return None
    captions = []
    for row, beam in zip(split.rows, beams, strict=True):
        (factors,) = regression.factors(calibration.standardised(np.asarray(split.features[row])[None]))
        captions.append(vocabulary.decode(chosen(beam, factors, regression, vocabulary)[0].tokens))
    return captions


def tune_decoding(
    model: CaptionModel,
    vocabulary: Vocabulary,
    split: Split,
    decoding: DecodingConfig,
    beam_widths: Sequence[int] = (1, 2, 3, 4, 5, 6, 8),
    length_penalties: Sequence[float] = LENGTH_PENALTIES,
) -> tuple[DecodingConfig, list[list[str]]]:
    """Find the beam width and the length penalty with the best CIDEr-D + BLEU-4 on this split.

    The beam is pruned by plain log-probability and the penalty only ranks what it found, so one search a width serves
    all penalties. On fewer than `ENOUGH_PHOTOS` photos both stay as they are.

    Returns:
        `decoding` with the best two settings, and the captions found with them.
    """
    if len(split.rows) < ENOUGH_PHOTOS:
        log.info(
            "%d dev photos are too few to choose a search on; beam width %d and length penalty %g stay",
            *(len(split.rows), decoding.beam_width, decoding.length_penalty),
        )
        beams = caption_split(model, split, decoding)
        return decoding, [vocabulary.decode(beam[0].tokens) for beam in beams]
    log.info("choosing beam width and length penalty on dev")
    best_value, best = float("-inf"), (decoding, [[""]])
    cider = CiderD(split.captions)

    @cache  # for most photos, many penalties and widths choose the same caption
    def judge(number: int, words: tuple[str, ...]) -> tuple[float, BleuCounts]:
        return cider.score(number, words), bleu_counts(words, split.captions[number])

    for width in beam_widths:
        beams = caption_split(model, split, replace(decoding, beam_width=width, length_penalty=0.0))
        for penalty in length_penalties:
            captions = [vocabulary.decode(ranked(beam, penalty)[0].tokens) for beam in beams]
            ciders, counts = zip(*(judge(*each) for each in enumerate(map(tuple, captions))), strict=True)
            value = float(np.mean(ciders)) + bleu_of(counts)[3]
            if value > best_value:
                best_value = value
                best = replace(decoding, beam_width=width, length_penalty=penalty), captions
    return best


def write_predictions(path: Path, split: Split, captions: Sequence[Sequence[str]]) -> None:
    """Write one JSON line per photo: its name, its caption, and the references as they are scored."""
    rows = zip(split.names, captions, split.captions, strict=True)
    lines = [
        {"image": name, "caption": join_words(words), "references": [join_words(each) for each in references]}
        for name, words, references in rows
    ]
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), named=True)


def describe_captions(
    captions: Sequence[Sequence[str]], split: Split, training: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """Return statistics of captions (`captioner.metrics.caption_statistics`), with examples picked by score alone.

    Args:
        captions: of the photos of the split.
        split: with its references.
        training: the captions that the model was trained on.

    Returns:
        the statistics, and `examples`: for `best`, `median` and `worst` the three photos with the highest, middle and
        lowest CIDEr-D, each with `image`, `caption`, `cider` (x 100) and its first `reference`.
    """
    cider = CiderD(split.captions)
    scores = [100 * cider.score(number, words) for number, words in enumerate(captions)]
    order = sorted(range(len(scores)), key=lambda number: (-scores[number], split.names[number]))
    middle = max(0, len(order) // 2 - 1)
    parts = {"best": order[:3], "median": order[middle : middle + 3], "worst": order[-3:]}
    examples = {
        name: [
            {
                "image": split.names[number],
                "caption": join_words(captions[number]),
                "cider": scores[number],
                "reference": join_words(split.captions[number][0]),
            }
            for number in numbers
        ]
        for name, numbers in parts.items()
    }
    return {**caption_statistics(captions, split.captions, training), "examples": examples}


def score_captions(
    captions: Sequence[Sequence[str]], split: Split, name: str, decoding: DecodingConfig
) -> dict[str, Any]:
    """Score captions of a split against all its references; return the scores, x 100, and the search settings."""
    return {
        **score(captions, split.captions),
        "images": len(captions),
        "beam_width": decoding.beam_width,
        "length_penalty": decoding.length_penalty,
        "no_repeat_ngram_size": decoding.no_repeat_ngram_size,
        "split": name,
    }
