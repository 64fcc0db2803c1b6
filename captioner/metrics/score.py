"""All the figures of a set of captions."""

from collections.abc import Sequence

from captioner.metrics.bleu import bleu
from captioner.metrics.cider import CiderD
from captioner.metrics.rouge import rouge_l


def score(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    cider: CiderD | None = None,
) -> dict[str, float]:
    """`bleu1`, `bleu2`, `bleu3`, `bleu4`, `rouge_l` and `cider` (CIDEr-D), all x100 as papers print them.

    `hypotheses` holds the words of one caption an image, `references` those of several, in the same order.
    `cider` is `CiderD(references)`, where several sets of captions for the same images are scored.

    Raises:
        ValueError: there are no images, not as many captions as images, or an image without a reference.
        TypeError: a caption is a string, which would be taken for a list of letters.
    """
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} captions for {len(references)} images with references")
    if not references:
        raise ValueError("no images to score")
    for index, (words, refs) in enumerate(zip(hypotheses, references, strict=True)):
        if not refs:
            raise ValueError(f"image {index} has no reference")
        if isinstance(words, str) or any(isinstance(reference, str) for reference in refs):
            raise TypeError(f"the captions of image {index}: expected lists of words, got a string")
    bleu1, bleu2, bleu3, bleu4 = bleu(hypotheses, references)
    scores = {
        "bleu1": bleu1,
        "bleu2": bleu2,
        "bleu3": bleu3,
        "bleu4": bleu4,
        "rouge_l": rouge_l(hypotheses, references),
        "cider": float((cider or CiderD(references)).scores(hypotheses).mean()),
    }
    return {name: 100 * value for name, value in scores.items()}
