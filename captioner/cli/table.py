"""Scores as small tables for people."""

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
    size = metrics["no_repeat_ngram_size"]
    heading = (
        f"{metrics['images']} {metrics['split']} photos, beam width {metrics['beam_width']}, "
        f"length penalty {metrics['length_penalty']}, {f'no {size}-gram twice, ' if size else ''}scores x 100"
    )
    names = "  ".join(f"{label:>7}" for label in _LABELS.values())
    values = "  ".join(f"{metrics[key]:7.2f}" for key in _LABELS)
    return f"{heading}\n{names}\n{values}"


def likelihood_table(metrics: dict[str, Any]) -> str:
    """Lay out a language model's figures on the texts that it did not learn from, a line each under a heading."""
    lines = [f"{'':<10}  {'characters':>10}  {'nats/char':>9}  {'bits/char':>9}  {'perplexity':>10}"]
    for name, scores in (("validation", metrics), ("test", metrics.get("test"))):
        if scores:
            nats, bits, perplexity = (scores[key] for key in ("nats_per_char", "bits_per_char", "perplexity"))
            lines.append(f"{name:<10}  {scores['characters']:>10}  {nats:9.4f}  {bits:9.4f}  {perplexity:10.3f}")
    return "\n".join(lines)
