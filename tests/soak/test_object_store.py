"""`bulk` reads from an object store and writes to it: moto's server, on loopback, stands in for Amazon S3."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="no Ray here: pip install -r requirements-cluster.txt")
pytest.importorskip("moto", reason="no moto here: pip install -r requirements-objectstore.txt")
pytest.importorskip("flask_cors", reason="no server of moto here: pip install -r requirements-objectstore.txt")

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from captioner.bulk.plan import PHOTOS_A_BLOCK

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of moto, which runs in a thread of this process
    pytest.mark.skipif(os.name == "nt", reason="Ray's clusters are not for Windows"),
]

ROOT = Path(__file__).parents[2]
BULK = ROOT / "tests" / "bulk"
BUCKET = "museum"
PHOTOS, CAPTIONS = f"s3://{BUCKET}/photos", f"s3://{BUCKET}/captions"
PLAN = "captions/_plan.jsonl"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
GOOD = 7 * PHOTOS_A_BLOCK - 1
"""With a broken one they fill seven blocks."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of a server that takes any signature, and refuses as S3 does what has none."""
    moto = DomainDispatcherApplication(create_backend_app)

    def guarded(environ: dict, start_response: Callable) -> object:
        if "HTTP_AUTHORIZATION" in environ:
            return moto(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/xml")])
        return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]

    server = make_server("127.0.0.1", 0, guarded, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()


@pytest.fixture
def environment(endpoint: str, tmp_path: Path) -> dict[str, str]:
    """That of a user who has written down nothing but what docs/scale.md names."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    about = {"AWS_ENDPOINT_URL": endpoint, "AWS_EC2_METADATA_DISABLED": "true"}
    return {**own, **about, **CREDENTIALS, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}


@pytest.fixture
def store(endpoint: str) -> Iterator["Store"]:
    store = Store(endpoint)
    store.fill()
    yield store
    store.empty()


class Store:
    """The bucket as another program sees it."""

    def __init__(self, endpoint: str) -> None:
        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def fill(self) -> None:
        """Put photos into it."""
        self._client.create_bucket(Bucket=BUCKET)
        photo = (BULK.parents[1] / "docs" / "figures" / "attention_photo.webp").read_bytes()
        for number in range(GOOD):
            self.put(f"photos/{number:03}.webp", photo)
        self.put("photos/broken.jpg", b"no photo")

    def empty(self) -> None:
        """Delete all of it."""
        for key in self.keys():
            self._client.delete_object(Bucket=BUCKET, Key=key)
        self._client.delete_bucket(Bucket=BUCKET)

    def put(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        return self._client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def keys(self, prefix: str = "") -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def parts(self) -> list[str]:
        return [key for key in self.keys("captions/part-") if key.endswith(".jsonl")]

    def rows(self) -> list[dict]:
        return [json.loads(line) for key in self.parts() for line in self.get(key).splitlines()]


@pytest.fixture
def bulk(environment: dict[str, str]) -> Callable[..., subprocess.Popen]:
    """Returns a function that starts the command with a captioner that takes so long for a photo."""

    def start(seconds: float, *more: str, **changed: str) -> subprocess.Popen:
        command = [sys.executable, BULK / "tiny.py", seconds, PHOTOS, "--output", CAPTIONS, "--format", "json", *more]
        return subprocess.Popen(
            [*map(str, command), "--model", "tiny"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={name: value for name, value in {**environment, **changed}.items() if value},
        )

    return start


def ended(command: subprocess.Popen) -> tuple[int, str]:
    """Return the exit status and what was said."""
    out, err = command.communicate(timeout=300)
    assert out == ""
    assert "Traceback" not in err
    return command.returncode, err


def wait_for_a_part(store: Store, command: subprocess.Popen) -> None:
    for _ in range(1200):
        if store.parts():
            return
        assert command.poll() is None, command.communicate()
        time.sleep(0.1)
    pytest.fail("no part came")


def assert_all_is_captioned(store: Store) -> None:
    rows = store.rows()
    paths = [f"{PHOTOS}/{number:03}.webp" for number in range(GOOD)]
    assert sorted(row["path"] for row in rows) == [*paths, f"{PHOTOS}/broken.jpg"]
    assert {bool(row["caption"]) for row in rows if row["path"].endswith(".webp")} == {True}
    (broken,) = (row for row in rows if row["path"].endswith(".jpg"))
    assert broken["error"].startswith("not an image that can be read")
    assert not store.keys(PLAN)


def test_a_run_that_is_stopped_goes_on_and_a_broken_photo_has_a_row(store, bulk):
    first = bulk(0.03)
    wait_for_a_part(store, first)
    first.terminate()
    status, said = ended(first)
    assert status == 143, said
    kept = {key: store.get(key) for key in store.parts()}
    assert 0 < len(kept) < 7
    status, said = ended(bulk(0))
    assert status == 1, said
    assert re.search(rf"captioner: {CAPTIONS} holds \d+ photos; continuing with the others", said)
    assert "1 left out: not an image that can be read" in said
    assert_all_is_captioned(store)
    assert {key: store.get(key) for key in kept} == kept
    status, said = ended(bulk(0))
    assert (status, said) == (0, f"captioner: {CAPTIONS} holds {GOOD + 1} photos; nothing more to do\n")


def test_a_damaged_plan_is_told_and_the_same_command_goes_on(store, bulk):
    first = bulk(0.03)
    wait_for_a_part(store, first)
    store.put(PLAN, b"?" * len(store.get(PLAN)))
    status, said = ended(first)
    assert status == 1
    assert f"captioner: s3://{BUCKET}/{PLAN}: the plan is damaged, or another run writes to the same folder" in said
    assert ended(bulk(0))[0] == 1  # for the broken photo
    assert_all_is_captioned(store)


def test_a_damaged_part_is_told(store, bulk):
    store.put("captions/part-00000000-0123456789abcdef.jsonl", b'{"path": "a.png"')
    status, said = ended(bulk(0, "--overwrite", "--num-captions", "2"))
    assert status == 1
    assert_all_is_captioned(store)
    store.put(store.parts()[0], b'{"path": "a.png"')
    status, said = ended(bulk(0, "--num-captions", "2"))
    assert status == 1
    assert f"{store.parts()[0].removeprefix('captions/')} is damaged; delete it and run the same command again" in said


def test_without_credentials_it_says_what_is_missing(store, bulk):
    status, said = ended(bulk(0, **dict.fromkeys(CREDENTIALS, "")))
    assert status == 1
    assert f"captioner: --output {CAPTIONS}: the object store answers ACCESS_DENIED to " in said
    assert "docs/scale.md names the credentials and permissions that bulk needs" in said
    assert store.parts() == []


def test_a_bucket_that_is_not_there_is_named(store, bulk):
    status, said = ended(bulk(0, "--output", "s3://nowhere/captions"))
    assert status == 1
    assert "captioner: --output s3://nowhere/captions: the object store answers NO_SUCH_BUCKET to " in said
