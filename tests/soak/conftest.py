"""Processes that may be killed (see `forks`), a data set to download, and photos."""

import functools
import hashlib
import http.server
import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
COMPACT = ROOT / "saved_models" / "compact"
Fork = Callable[..., dict]


@pytest.fixture(scope="session")
def forks() -> Iterator[Callable[..., Fork]]:
    """Start a server of processes; it gives a function that runs commands in one, and tells how that ended."""
    running = []

    @functools.cache
    def start(*options: str) -> Fork:
        hidden = ("CAPTIONER_DATA", "CAPTIONER_ENCODER_WEIGHTS")
        server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forks.py")), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={name: value for name, value in os.environ.items() if name not in hidden},
        )
        running.append(server)
        assert server.stdout.readline() == "{}\n"

        def fork(cwd: Path, *argv: list[object], **job: object) -> dict:
            commands = [[str(each) for each in command] for command in argv]
            print(json.dumps({"cwd": str(cwd), "argv": commands, **job}), file=server.stdin, flush=True)
            answer = json.loads(server.stdout.readline())
            assert "Traceback" not in answer["said"], answer["said"]
            return answer

        return fork

    yield start
    for server in running:
        server.stdin.close()
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.fixture(scope="session")
def archives() -> dict[str, bytes]:
    """Flickr8k's two zip files with 14 photos of one colour."""
    names = [f"{number}.jpg" for number in range(14)]
    colours = {"red": (220, 20, 30), "green": (20, 200, 40), "blue": (30, 40, 210), "white": (240, 240, 235)}
    photos, texts = io.BytesIO(), io.BytesIO()
    lines = []
    with zipfile.ZipFile(photos, "w") as archive:
        for number, name in enumerate(names):
            word, colour = list(colours.items())[number % 4]
            file = io.BytesIO()
            noise = np.random.default_rng(number).integers(-20, 20, (24, 32, 3))
            Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(file, "JPEG")
            archive.writestr(f"Flicker8k_Dataset/{name}", file.getvalue())
            lines += [f"{name}#0\tA {word} wall .", f"{name}#1\tThe wall is {word}"]
    with zipfile.ZipFile(texts, "w") as archive:
        archive.writestr("Flickr8k.token.txt", "\n".join(lines) + "\n")
        for split, listed in (("train", names[:8]), ("dev", names[8:12]), ("test", names[12:])):
            archive.writestr(f"Flickr_8k.{split}Images.txt", "\n".join(listed) + "\n")
    return {"Flickr8k_Dataset.zip": photos.getvalue(), "Flickr8k_text.zip": texts.getvalue()}


@pytest.fixture(scope="session")
def mirror(archives: dict[str, bytes]) -> Iterator[dict[str, str]]:
    """A server that has the archives and knows ranges; gives the environment in which they are downloaded."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = archives[self.path.rpartition("/")[2]]
            first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
            if first >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            for at in range(first, len(content), 1000):
                self.wfile.write(content[at : at + 1000])

        def log_message(self, *arguments: object) -> None:
            pass

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:  # a client that was killed
                self.close_connection = True

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sums = {name: hashlib.md5(content).hexdigest() for name, content in archives.items()}
    yield {"CAPTIONER_DATA_URL": f"http://127.0.0.1:{server.server_port}/", "CAPTIONER_MD5": json.dumps(sums)}
    server.shutdown()
    server.server_close()
