"""Nothing is told to anybody: what the commands send, as strace sees it, and what they leave in an empty home."""

import ipaddress
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
COMPACT = ROOT / "saved_models" / "compact"
PHOTOS = 20
SENT = re.compile(r"(connect|sendto|sendmsg|sendmmsg)\(\d+<([A-Za-z0-9]+)[^,]*?(?:->([^>]*?))?\]?>, (.*)")
TO = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\("|inet_pton\(AF_INET6, ")([^"]+)"')
DNS = 53

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]


def own_addresses() -> set[str]:
    """What this machine calls itself."""
    table = Path("/proc/net/fib_trie").read_text()
    found = set(re.findall(r"\|-- ([\d.]+)\n\s+/32 host LOCAL", table))
    if (six := Path("/proc/net/if_inet6")).exists():
        found |= {str(ipaddress.IPv6Address(int(line.split()[0], 16))) for line in six.read_text().splitlines()}
    return found


def is_here(address: str, port: int) -> bool:
    """A name server on this machine asks others."""
    where = ipaddress.ip_address(address.partition("%")[0])
    where = getattr(where, "ipv4_mapped", None) or where
    return port != DNS and (where.is_loopback or where.is_unspecified or str(where) in own_addresses())


def sent_elsewhere(trace: str) -> list[str]:
    """The lines of a trace (strace -yy) that send something to another machine, or ask for a name."""
    found = []
    for line in trace.splitlines():
        if not (call := SENT.search(line)):
            continue
        name, protocol, peer, arguments = call.groups()
        if name == "connect" and protocol.startswith("UDP"):  # which sends nothing
            continue
        to = [(address, int(port)) for port, address in TO.findall(arguments)]
        if peer and not peer.startswith("/") and ":" in peer:
            address, _, port = peer.rpartition(":")
            if port.isdecimal():
                to.append((address.strip("[]"), int(port)))
        if not all(is_here(*each) for each in to):
            found.append(line)
    return found


def test_the_judge_sees_what_is_sent():
    assert sent_elsewhere("") == []
    nothing = [
        '7 connect(3<UNIX-STREAM:[5]>, {sa_family=AF_UNIX, sun_path="/run/nscd/socket"}, 110) = -1 ENOENT',
        '7 connect(3<TCP:[5]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
        '7 connect(3<UDP:[5]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("8.8.8.8")}, 16) = 0',
        '7 sendto(3<TCP:[127.0.0.1:90->127.0.0.1:80]>, "x", 1, MSG_NOSIGNAL, NULL, 0) = 1',
        "7 sendmsg(3<NETLINK:[ROUTE:7]>, {msg_name={sa_family=AF_NETLINK, nl_pid=0}}, 0) = 1",
    ]
    assert sent_elsewhere("\n".join(nothing)) == []
    for told in (
        '7 connect(3<TCP:[5]>, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("8.8.8.8")}, 16) = 0',
        "7 connect(3<TCPv6:[5]>, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), "
        'inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = 0',
        '7 sendto(3<UDP:[10.0.0.2:90->8.8.8.8:53]>, "x", 1, MSG_NOSIGNAL, NULL, 0) = 1',
        "7 sendmmsg(3<UDP:[127.0.0.1:90->127.0.0.53:53]>, [{msg_hdr={msg_name=NULL}}], 1, 0) = 1",
        '7 sendto(3<UDP:[5]>, "x", 1, 0, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("1.2.3.4")}, 16)',
    ):
        assert sent_elsewhere(told) == [told]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(PHOTOS):
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


class Watched:
    """Commands in an empty home, under strace."""

    def __init__(self, folder: Path) -> None:
        self.home, self.trace = folder / "home", folder / "trace"
        self.home.mkdir()
        hidden = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "KERAS_HOME", "ORT_DISABLE_TELEMETRY", "MPLCONFIGDIR")
        hidden = (*hidden, "TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND", "CUDA_VISIBLE_DEVICES")  # set for tests
        self.environment = {name: value for name, value in os.environ.items() if name not in hidden}
        self.environment |= {"HOME": str(self.home), "PYTHONPATH": str(ROOT)}

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        calls = "trace=connect,sendto,sendmsg,sendmmsg"
        watch = ["strace", "-f", "--seccomp-bpf", "-qq", "-yy", "-s", "80", "-e", calls, "-o", str(self.trace)]
        return subprocess.Popen(
            [*watch, sys.executable, "-m", "captioner", *map(str, arguments)],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object) -> str:
        """Run a command to its end, and return what it said on stderr."""
        with self.start(*arguments) as process:
            _, err = process.communicate(timeout=500)
        assert process.returncode == 0, err
        return "".join(line for line in err.splitlines(True) if line.strip() and "%|" not in line)  # without a bar

    def check(self) -> None:
        """See that nothing was sent; the home has our cache, Keras's settings and Matplotlib's fonts."""
        assert sent_elsewhere(self.trace.read_text(errors="replace")) == []
        files = {path.relative_to(self.home) for path in self.home.rglob("*") if path.is_file()}
        known = (Path(".cache/captioner"), Path(".keras/keras.json"), Path(".cache/matplotlib"))
        assert [path for path in files if not any(path.is_relative_to(each) for each in known)] == []


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def large_model() -> list[object]:
    if "CAPTIONER_ENCODER_WEIGHTS" not in os.environ:
        pytest.skip("CAPTIONER_ENCODER_WEIGHTS is not set")
    return ["--model", ROOT / "saved_models" / "flickr8k"]


@pytest.mark.data
def test_a_first_predict_and_a_folder_with_onnxruntime(watched, photos):
    one = photos / "0.png"
    told = watched.run("predict", one, *large_model())  # with an empty cache
    assert told.startswith("captioner: preparing ")
    assert told.count("\n") == 1
    watched.check()
    assert watched.run("predict", photos, *large_model()) == ""
    watched.check()


def test_bulk(watched, photos, tmp_path):
    pytest.importorskip("ray")
    told = watched.run("bulk", photos, "--model", COMPACT, "--output", tmp_path / "out")
    assert "20 photos, 20 captions" in told
    watched.check()


@pytest.mark.parametrize("style", ["onnx", "savedmodel"])
def test_exports(watched, tmp_path, style):
    told = watched.run("export", "--model", COMPACT, "--format", style, "--output", tmp_path / "out")
    assert [line.split(":")[0] for line in told.splitlines()] == ["captioner", str(tmp_path / "out")], told
    watched.check()


def test_serve(watched, photos):
    with watched.start("serve", "--model", COMPACT, "--port", "0") as process:
        said = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"http://[\w.:\[\]]+", line):
                break
        else:
            process.wait()
            if "pip install" in "".join(said):
                pytest.skip("what serves is not installed")
            pytest.fail("".join(said))
        body = (photos / "0.png").read_bytes()
        request = urllib.request.Request(
            f"{found[0].rstrip('/')}/caption", body, {"Content-Type": "application/octet-stream"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert b"caption" in answer.read()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), 15)
        process.communicate(timeout=60)
    assert process.returncode == 0
    watched.check()
