"""Scores as a small table for people."""

from typing import Any

_LABELS = {
    "bleu1": "BLEU-1",
    "bleu2": "BLEU-2",
    "bleu3": "BLEU-3",
    "bleu4": "BLEU-4",
    "rouge_l": "ROUGE-L",
    "cider": "CIDEr-D",
}


def scores_table(metrics: dict[str, Any]) -> str:
    """Lay out `metrics` (scores x 100, and how they came about) in two lines under a heading."""
    heading = (
        f"{metrics['images']} {metrics['split']} photos, beam width {metrics['beam_width']}, "
        f"length penalty {metrics['length_penalty']}, scores x 100"
    )
    names = "  ".join(f"{label:>7}" for label in _LABELS.values())
    values = "  ".join(f"{metrics[key]:7.2f}" for key in _LABELS)
    return f"{heading}\n{names}\n{values}"
