import numpy as np

from captioner.bulk.model import find_encoder, pack
from captioner.config import SamplingConfig, WordingConfig
from captioner.data.shipped import shipped_model
from captioner.library import Captioner


def test_workers_caption_as_the_library_does():
    model = shipped_model("compact")
    photos = list(np.random.default_rng(1).integers(256, size=(2, 60, 80, 3)).astype(np.uint8))
    wording, sampling = WordingConfig("a dog", ("grass", "unicorn")), SamplingConfig(0.9, 20, 0.95, 4)
    found = find_encoder(model, "imagenet", "auto")
    packed = pack(*found, num_captions=2, wording=wording, sampling=sampling, max_length=9)
    loaded = Captioner.load(
        model,
        num_captions=2,
        begin="a dog",
        exclude=["grass", "unicorn"],
        max_length=9,
        temperature=0.9,
        top_k=20,
        top_p=0.95,
        seed=4,
    )
    texts = [
        [[each.text for each in caption.candidates] for caption in one(photos)] for one in (packed.unpack(), loaded)
    ]
    assert texts[0] == texts[1]
    assert all(text.startswith("a dog") for caption in texts[0] for text in caption)
