"""The page's endpoint as a command with a real network, beside `predict`."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.usefixtures("prepared")
def test_the_endpoint_says_what_predict_says(predict, model, photos, encoder_weights):
    pytest.importorskip("uvicorn")
    names = ("red_circle.png", "blue_stripe.png")
    expected = [json.loads(predict(photos / name, "--format", "json", "--num-captions", 3).out) for name in names]
    command = [sys.executable, "-m", "captioner", "serve", "--port", "0", "--model", model]
    with subprocess.Popen(
        [*map(str, command), "--encoder-weights", str(encoder_weights)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        try:
            said = process.stderr.readline()
            url = re.search(r"http://\S+", said)[0]
            for name, caption in zip(names, expected, strict=True):
                with urllib.request.urlopen(f"{url}caption", (photos / name).read_bytes(), timeout=60) as answer:
                    found = json.load(answer)
                assert found["caption"] == caption["caption"]
                assert found["score"] == pytest.approx(caption["score"], abs=1e-4)
                assert [each["caption"] for each in found["candidates"]] == [
                    each["caption"] for each in caption["candidates"]
                ]
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert process.stderr.read() == "captioner: stopped\n"
        finally:
            process.kill()
