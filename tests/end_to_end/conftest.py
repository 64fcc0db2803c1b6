"""A made-up data set, an encoder with random weights, a model trained on both once, and the command line."""

import contextlib
import functools
import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import pytest
from PIL import Image, ImageDraw

from captioner.cli.main import main
from captioner.models import encoder as encoder_module

SHAPES, COLOURS = ("circle", "square", "triangle", "stripe"), ("red", "green", "blue", "yellow")
NAMES = [f"{colour}_{shape}.png" for shape in SHAPES for colour in COLOURS]
SPLITS = {"train": NAMES[0::2] + NAMES[1::8], "dev": NAMES[3::8] + NAMES[5::8], "test": NAMES[7::8]}
SIZES = (
    *("--hidden-size", "16", "--embedding-dim", "8", "--attention-dim", "8", "--min-count", "1", "--max-length", "6"),
    *("--batch-size", "2", "--dropout", "0", "--seed", "1"),
    *("--ema-momentum", "0", "--warmup-steps", "2"),  # a training of ten steps must get somewhere
)
LAYER = ("--feature-layer", "mixed2", "--image-size", "75")
"""Where the encoder is cut: a sixteenth of the work of the default."""
RATE = ("--learning-rate", "0.06")


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str


Command = Callable[..., Outcome]


def draw(path: Path, shape: str, colour: str) -> None:
    image = Image.new("RGB", (60, 40), "white")
    pen = ImageDraw.Draw(image)
    if shape == "circle":
        pen.ellipse((15, 5, 45, 35), fill=colour)
    elif shape == "square":
        pen.rectangle((15, 5, 45, 35), fill=colour)
    elif shape == "triangle":
        pen.polygon([(30, 5), (15, 35), (45, 35)], fill=colour)
    else:
        pen.rectangle((0, 15, 60, 25), fill=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def captions_of(name: str) -> list[str]:
    colour, shape = name.removesuffix(".png").split("_")
    return [f"A {colour} {shape} .", f"One {colour} {shape}!", f"the {colour} {shape}"]  # of a length, for one graph


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that these tests write, in one place; the cache of features too."""
    return tmp_path_factory.mktemp("end_to_end")


@pytest.fixture(scope="session")
def data(folder: Path) -> Path:
    """16 photos in Flickr8k's layout, and two issues: a photo that is listed but missing, and captions without one."""
    root = folder / "flickr8k"
    texts = root / "Flickr8k_text"
    texts.mkdir(parents=True)
    lines = []
    for name in NAMES:
        draw(root / "Flicker8k_Dataset" / name, *name.removesuffix(".png").split("_")[::-1])
        lines += [f"{name}#{number}\t{caption}" for number, caption in enumerate(captions_of(name))]
    lines.append("missing.png#0\tA hole .")
    (texts / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    for split, names in SPLITS.items():
        listed = [*names, "lost.png"] if split == "train" else names
        (texts / f"Flickr_8k.{split}Images.txt").write_text("\n".join(listed) + "\n")
    return root


@pytest.fixture(scope="session")
def other_data(folder: Path) -> Path:
    """A folder with a CSV: shapes that the first data set has, in colours that it has not."""
    root = folder / "my_photos"
    rows = ["image,caption,split"]
    for number, (shape, colour) in enumerate([("circle", "purple"), ("square", "orange"), ("stripe", "purple")] * 2):
        draw(root / f"{number}.jpg", shape, colour)
        rows.append(f'{number}.jpg,"painted {colour}, {shape}",{"dev" if number > 3 else "train"}')
    (root / "captions.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="session")
def encoder_weights(folder: Path) -> Path:
    """InceptionV3's weights as its initialisers make them."""
    keras.utils.set_random_seed(0)
    path = folder / "inception.weights.h5"
    keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(299, 299, 3)).save_weights(path)
    return path


@pytest.fixture(scope="session")
def session_patch(folder: Path, quick_graphs: None) -> Iterator[Callable[[pytest.MonkeyPatch], None]]:
    """What the tests need the commands to see: an encoder takes seconds to build, so one serves all tests."""
    shared_encoder = functools.cache(encoder_module.build_encoder)

    def apply(patch: pytest.MonkeyPatch) -> None:
        from captioner.models import networks
        from captioner.training import captioning

        for module in (encoder_module, networks, captioning):
            patch.setattr(module, "build_encoder", shared_encoder)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.delenv("CAPTIONER_DATA", raising=False)
        patch.delenv("CAPTIONER_ENCODER_WEIGHTS", raising=False)

    yield apply
    shutil.rmtree(folder, ignore_errors=True)


def call(*argv: object) -> Outcome:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main([str(each) for each in argv])
        except SystemExit as stopped:
            status = stopped.code
    assert "Traceback" not in err.getvalue()
    return Outcome(status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def train_arguments(data: Path, encoder_weights: Path) -> Sequence[object]:
    return ["train", "--data", data, "--encoder-weights", encoder_weights, *SIZES, *LAYER, *RATE]


@pytest.fixture(scope="session")
def fine_tune_arguments(data: Path, encoder_weights: Path) -> Sequence[object]:
    """Those of a training whose encoder learns too, without the rate of the epochs before."""
    where = (*LAYER, "--fine-tune-after", "mixed1")
    return ["train", "--data", data, "--encoder-weights", encoder_weights, *SIZES, *where]


@pytest.fixture(scope="session")
def trained(session_patch: Callable, train_arguments: Sequence[object], folder: Path) -> tuple[Path, Outcome]:
    """A model directory that two epochs made, and what the command said."""
    directory = folder / "models" / "shapes"
    with pytest.MonkeyPatch.context() as patch:
        session_patch(patch)
        return directory, call(*train_arguments, "--epochs", "2", "--output", directory)


@pytest.fixture(scope="session")
def fine_tuned(session_patch: Callable, fine_tune_arguments: Sequence[object], folder: Path) -> tuple[Path, Outcome]:
    """A model whose encoder's last block was trained along, and which then learned from captions of its own."""
    directory = folder / "models" / "tuned"
    with pytest.MonkeyPatch.context() as patch:
        session_patch(patch)
        return directory, call(
            *(*fine_tune_arguments, *RATE),
            *("--epochs", 1, "--fine-tune-epochs", 2, "--fine-tune-views", 2, "--encoder-rate", 0.01),
            *("--self-critical-epochs", 1, "--output", directory),
        )


@pytest.fixture(autouse=True)
def patched(session_patch: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    session_patch(monkeypatch)


@pytest.fixture
def command() -> Command:
    """The command line, in this process."""
    return call


@pytest.fixture(scope="session")
def model(trained: tuple[Path, Outcome]) -> Path:
    return trained[0]


@pytest.fixture(scope="session")
def prepared(session_patch: Callable, model: Path, encoder_weights: Path, folder: Path) -> Outcome:
    """What `predict` said when it made the networks that it starts with from then on."""
    draw(folder / "first.png", "circle", "red")
    with pytest.MonkeyPatch.context() as patch:
        session_patch(patch)
        return call("predict", "--model", model, "--encoder-weights", encoder_weights, folder / "first.png")


@pytest.fixture
def predict(model: Path, encoder_weights: Path, prepared: Outcome) -> Command:
    """`predict` with the trained model."""
    return functools.partial(call, "predict", "--model", model, "--encoder-weights", encoder_weights)


@pytest.fixture
def evaluate(model: Path, data: Path, encoder_weights: Path) -> Command:
    """`evaluate` with the trained model and its data set."""
    return functools.partial(call, "evaluate", "--model", model, "--data", data, "--encoder-weights", encoder_weights)


@pytest.fixture
def photos(data: Path) -> Path:
    return data / "Flicker8k_Dataset"
