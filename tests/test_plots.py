import math

import pytest
from PIL import Image

from captioner.plots import COLOURS, draw_text_curve, draw_training_curve, stage_spans, training_curve

KEYS = ("cross_entropy", "dev_cross_entropy", "bleu1", "bleu4", "rouge_l", "cider")


def history(epochs: int) -> list[dict]:
    return [{"epoch": epoch, **{key: epoch * (1.0 + len(key)) for key in KEYS}} for epoch in range(1, epochs + 1)]


def staged(*stages: str) -> list[dict]:
    return [row | ({"stage": stage} if stage else {}) for row, stage in zip(history(len(stages)), stages, strict=True)]


def labels(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def shaded(axes) -> list[tuple[float, float]]:
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches]


@pytest.mark.parametrize("epochs", [1, 5, 20])
def test_a_training_curve(tmp_path, epochs):
    draw_training_curve(tmp_path / "new" / "training.png", history(epochs), best_epoch=epochs)
    with Image.open(tmp_path / "new" / "training.png") as image:
        assert image.format == "PNG"
        assert image.size == (990, 396)
        assert len(image.convert("RGB").getcolors(1 << 20)) > 16


def test_a_curve_without_stages_has_lines_and_axes_that_say_what_they_are():
    figure = training_curve(history(5), best_epoch=3)
    losses, scores = figure.axes
    assert [line.get_label() for line in losses.lines] == ["training, with dropout", "dev"]
    assert [line.get_label() for line in scores.lines] == ["BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr-D", "kept"]
    assert list(losses.lines[1].get_ydata()) == [18.0 * epoch for epoch in range(1, 6)]
    assert list(scores.lines[-1].get_xdata()) == [3, 3]
    assert [line.get_color() for line in scores.lines[:-1]] == list(COLOURS)
    assert len({line.get_marker() for line in scores.lines[:-1]}) == 4
    for axes, unit in ((losses, "nats a word"), (scores, "score x 100")):
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", unit)
        assert axes.get_xlim() == (0.5, 5.5)
        assert all(tick == int(tick) for tick in axes.get_xticks())
        assert labels(axes) == shaded(axes) == []


def test_stages_are_shaded_and_named_where_they_begin():
    figure = training_curve(staged(*["pupil-3: fine_tuning"] * 3, "self_critical", "self_critical"), best_epoch=5)
    figure.draw_without_rendering()
    for axes in figure.axes:
        assert labels(axes) == ["pupil-3: fine-tuning", "self-critical"]
        assert [text.xy for text in axes.texts] == [(0.5, 1), (3.5, 1)]
        assert shaded(axes) == [(3.5, 5.5)]


def test_nothing_covers_a_label(recwarn):
    names = ["base: cross_entropy", "pupil $3_4$: fine_tuning", "cross_entropy", "fine_tuning", "self_critical"]
    figure = training_curve(staged(*[name for name in names for _ in range(2)]), best_epoch=9)
    figure.draw_without_rendering()
    for axes in figure.axes:
        others = [axes.title.get_window_extent(), axes.get_legend().get_window_extent(), axes.get_window_extent()]
        # without their leaders, which belong to the extent of an annotation
        letters = [super(type(text), text).get_window_extent() for text in axes.texts]
        assert len(letters) == 5
        for number, box in enumerate(letters):
            assert not any(box.overlaps(other) for other in (*letters[number + 1 :], *others))
            assert box.x1 < figure.bbox.x1
    assert not recwarn.list


def test_epochs_whose_stage_is_unknown_have_no_label():
    assert stage_spans(staged("", "", "self_critical", "")) == [("self-critical", 2.5, 3.5)]
    assert stage_spans(history(3)) == []


def test_names_of_strangers_do_no_harm(tmp_path, recwarn):
    (label, _, _), (other, _, _) = stage_spans(staged("강아지: joint", "\x1b[0m"))
    assert (label, other) == ("model before: joint", "model before")
    ((long, _, _),) = stage_spans(staged("m" * 1000 + ": joint"))
    assert len(long) == 32
    figure = training_curve(staged(*map(str, range(1000))), 1)
    assert figure.get_figheight() == 3.6
    assert labels(figure.axes[0]) == []
    draw_training_curve(tmp_path / "training.png", staged("강아지: joint", "$x$", "a_{b"), 1)
    assert not recwarn.list


def test_an_imitation_has_a_panel_of_its_own():
    imitation = [{"epoch": 1, "dev_regions": 0.9, "dev_keys": 0.8}, {"epoch": 2, "dev_regions": 0.5, "dev_keys": 0.4}]
    figure = training_curve(staged("joint", "joint"), 2, imitation)
    first, losses, scores = figure.axes
    assert [line.get_label() for line in first.lines] == ["regions", "attention keys", "mean region"]
    assert list(first.lines[0].get_ydata()) == [0.9, 0.5]
    assert all(math.isnan(value) for value in first.lines[2].get_ydata())
    assert [labels(axes) for axes in (first, losses, scores)] == [["imitation"], ["joint"], ["joint"]]


def test_a_curve_of_a_text(tmp_path):
    rows = [{"epoch": 1, "nats_per_char": 3.0, "validation_nats_per_char": 2.5}]
    draw_text_curve(tmp_path / "training.png", rows, best_epoch=1)
    with Image.open(tmp_path / "training.png") as image:
        assert image.size == (660, 396)
