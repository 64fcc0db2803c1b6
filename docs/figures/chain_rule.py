"""Language as probability: the shipped character model on a real sentence, a character at a time, by the chain rule."""

from pathlib import Path

import numpy as np

from captioner.runtime.char_lm import LanguageModel
from docs.figures.style import BACKWARD, GREY, HIDDEN, INK, new_figure, save, write_csv

MODEL = Path(__file__).parents[2] / "saved_models" / "char-lm"
SENTENCE = "To be, or not to be: that is the question."
OTHER_ORDER = "question. the is that be: to not or be, To"
"""The same words from the last to the first."""


def draw(folder: Path) -> list[Path]:
    """Draw the probability of each character, and what the product of all so far comes to."""
    model = LanguageModel.load(MODEL)
    surprisals = {text: model.surprisals(text).astype(float) for text in (SENTENCE, OTHER_ORDER)}
    characters = len(model.vocabulary) - 2
    probabilities = np.exp(-surprisals[SENTENCE])
    places = np.arange(1, len(SENTENCE) + 1)

    figure = new_figure(5.6)
    each, product = figure.subplots(2, 1, sharex=True)
    each.bar(places, probabilities, color=HIDDEN, width=0.8)
    each.axhline(1 / characters, color=GREY, linestyle="--", linewidth=1.2)
    each.set(title="p(character | all before it)", ylim=(0, 1.05), xlim=(0, len(SENTENCE) + 1), ylabel="p")
    each.set_xticks(places, [_visible(character) for character in SENTENCE], family="DejaVu Sans Mono")
    each.tick_params(axis="x", labelbottom=True, length=0, labelsize=11)
    each.grid(visible=False, axis="x")

    for text, colour, style, name in (
        (SENTENCE, HIDDEN, "-", "the sentence"),
        (OTHER_ORDER, BACKWARD, "-.", "its words in reverse order"),
    ):
        product.plot(places, -np.cumsum(surprisals[text]) / np.log(10), color=colour, linestyle=style, label=name)
    guessing = -places * np.log10(characters)
    product.plot(places, guessing, color=GREY, linestyle="--", label=f"guessing among {characters} characters")
    product.set(title="The product of all so far", ylabel="log₁₀ p", xlabel="characters")
    product.tick_params(axis="x", length=0, labelbottom=False)
    product.legend(loc="lower left")
    product.grid(visible=False, axis="x")
    for text in (SENTENCE, OTHER_ORDER):
        total = -surprisals[text].sum() / np.log(10)
        product.annotate(
            f"{total:.1f}".replace("-", "\N{MINUS SIGN}"),
            (places[-1], total),
            (4, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=9.5,
            annotation_clip=False,
        )
    rows = [
        (place, _visible(character), float(p), float(-s))
        for place, character, p, s in zip(places, SENTENCE, probabilities, np.cumsum(surprisals[SENTENCE]), strict=True)
    ]
    table = [(place, f'"{character}"', p, total) for place, character, p, total in rows]
    columns = ("place", "character", "probability", "ln_p_so_far")
    return [save(figure, folder / "chain_rule.svg"), write_csv(folder / "chain_rule.csv", columns, table)]


def _visible(character: str) -> str:
    return "␣" if character == " " else character
