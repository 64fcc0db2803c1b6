"""Commands start however they are called: without a home, a current directory, or open descriptors."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
MODEL = ["--model", str(ROOT / "saved_models" / "compact")]
PREDICT = [sys.executable, str(ROOT / "predict.py")]
STRANGER = 54321

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX's descriptors, users and pipes")


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("photo") / "a.jpg"
    Image.fromarray(pixels).resize((80, 60)).save(path)
    return path


@pytest.fixture
def folder(photo):
    """A folder with a photo that any user may write to."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        made.chmod(0o777)
        shutil.copy(photo, made)
        yield made


def shell(line, folder, *, environment=None, prefix=()):
    """Run a line of the shell, in which "$@" is predict.py with the compact model last."""
    return subprocess.run(
        [*prefix, "bash", "-c", line, "bash", *PREDICT, *MODEL],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def caption(photo):
    """What the model says of the photo."""
    done = shell('"$@" a.jpg', photo.parent)
    assert done.returncode == 0
    return done.stdout


@pytest.fixture
def stranger(folder):
    """How to run a command as a user whom the system does not know, and its environment, without a home."""
    prefix = [
        *("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"),
        *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),  # Python may lie in another's home
    ]
    if not shutil.which("setpriv") or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("only root can start a process of another user")
    names = {"HOME", "XDG_CACHE_HOME", "KERAS_HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "MPLCONFIGDIR"}
    environment = {name: value for name, value in os.environ.items() if name not in names}
    temporary = folder / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)
    return {"prefix": prefix, "environment": environment | {"TMPDIR": str(temporary)}}


def test_an_unknown_user_without_a_home_captions(folder, caption, stranger):
    done = shell('"$@" a.jpg --attention a.png', folder, **stranger)
    assert (done.returncode, done.stdout, done.stderr) == (0, caption, "")
    assert (folder / "a.png").stat().st_size > 1000
    home = folder / "tmp" / f"captioner-{STRANGER}"
    assert (stat.S_IMODE(home.stat().st_mode), home.stat().st_uid) == (0o700, STRANGER)


@pytest.mark.parametrize("kind", ["folder", "link", "file"])
def test_what_another_user_has_put_in_the_place_of_the_home_is_not_used(folder, caption, stranger, kind):
    home, theirs = folder / "tmp" / f"captioner-{STRANGER}", folder / "theirs"
    theirs.mkdir()
    theirs.chmod(0o777)
    if kind == "folder":
        home.mkdir()
        home.chmod(0o777)
    elif kind == "link":
        home.symlink_to(theirs)
    else:
        home.touch()
    done = shell('"$@" a.jpg --attention a.png', folder, **stranger)
    assert (done.returncode, done.stdout, done.stderr) == (0, caption, "")
    assert list(theirs.iterdir()) == []
    assert kind == "file" or list(home.iterdir()) == []
    assert [path.name for path in home.parent.iterdir()] == [home.name]  # the one in its place went


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_starts_for_an_unknown_user(folder, stranger, name):
    done = shell(f"{sys.executable} -m captioner {name} --help", ROOT, **stranger)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")


CHARACTERS = f"--model {ROOT / 'saved_models' / 'char-lm'} --prompt ROMEO: --length 5 --seed 1"


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        (f"{ROOT}/predict.py {CHARACTERS}", 0, ""),
        (f"-m captioner export --format litert --output o {' '.join(MODEL)}", 0, "o: "),
        ("-m captioner download encoder", 1, "captioner: cannot get InceptionV3's weights from http://127.0.0.1:9/w: "),
    ],
)
@pytest.mark.parametrize("writable", [True, False])
def test_other_commands_work_for_an_unknown_user_where_nothing_has_to_be_written(
    folder, stranger, line, status, said, writable
):
    """Those that start without TensorFlow; what must write into a folder that is read-only says so."""
    stranger["environment"] |= {"CAPTIONER_ENCODER_URL": "http://127.0.0.1:9/w", "PYTHONPATH": str(ROOT)}
    if not writable:
        folder.chmod(0o755)
        stranger["environment"]["TMPDIR"] = "/nonexistent"
    done = shell(f"{sys.executable} {line}", folder, **stranger)
    assert "Traceback" not in done.stderr
    if not writable and "export" in line:
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.splitlines()[-1] == f"captioner: {folder}/o: Permission denied"
    else:
        assert done.returncode == status
        assert done.stderr.startswith(said), done.stderr
        assert said or done.stderr == ""


@pytest.mark.long
def test_an_unknown_user_trains_a_character_model_and_uses_it(folder, stranger):
    """All commands that start TensorFlow for it; what they prepare goes to the temporary folder alone."""
    stranger["environment"] |= {"PYTHONPATH": str(ROOT)}
    (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 20, encoding="utf-8")
    sizes = "--hidden-size 16 --epochs 1 --batch-size 4 --sequence-length 8 --seed 1"
    for line in (
        f"{ROOT}/train.py --task char-lm --text text.txt {sizes} --output model",
        "-m captioner export --model model --format savedmodel --output exported",
    ):
        done = shell(f"{sys.executable} {line}", folder, **stranger)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    assert (folder / "exported" / "saved_model.pb").stat().st_uid == STRANGER
    done = shell(
        f"{sys.executable} {ROOT}/predict.py --model model --prompt the --length 5 --seed 1", folder, **stranger
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("the")


def test_closed_descriptors_never_become_files_of_ours(folder, caption):
    done = shell('"$@" a.jpg nothing.jpg --format csv --output o.csv <&- >&- 2>&-', folder)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    heading, row = (folder / "o.csv").read_text(encoding="utf-8").splitlines()
    assert heading == "image,caption,score,confidence,familiar"
    assert row.startswith(f"a.jpg,{caption.strip()},")


def test_without_stderr_results_arrive(folder, caption):
    done = shell('"$@" a.jpg 2>&-', folder)
    assert (done.returncode, done.stdout) == (0, caption)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('"$@" a.jpg >&-', "stdout is closed; send the results to a file by --output"),
        ('"$@" --help >&-', "stdout is closed; send it to a file, or to /dev/null"),
        ('"$@" - <&-', "stdin: the file is empty"),
    ],
)
def test_a_closed_descriptor_that_is_needed_is_told(folder, line, said):
    done = shell(line, folder)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == f"captioner: {said}"
    assert "Traceback" not in done.stderr


def test_a_deleted_current_directory(folder, caption):
    (folder / "gone").mkdir()
    begin = f"cd gone; rmdir {folder}/gone; "
    done = shell(f'{begin} "$@" {folder}/a.jpg', folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, caption, "")
    (folder / "gone").mkdir()
    done = shell(f'{begin} "$@" - < {folder}/a.jpg', folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, caption, "")
    (folder / "gone").mkdir()
    done = shell(f'{begin} "$@" a.jpg', folder)
    assert done.returncode == 1
    assert done.stderr == "captioner: a.jpg: no such file\ncaptioner: nothing to caption\n"


@pytest.mark.parametrize(
    "line", ['"$@" - < a.jpg', 'cat a.jpg | "$@" -', '"$@" <(cat a.jpg)', '"$@" /dev/stdin < a.jpg']
)
def test_a_photo_comes_through_a_pipe(folder, caption, line):
    done = shell(line, folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, caption, "")


def test_pipes_among_files_keep_their_order_and_are_named(folder, caption):
    shutil.copy(folder / "a.jpg", folder / "b.jpg")
    os.mkfifo(folder / "pipe")
    done = shell('cat a.jpg > pipe & "$@" b.jpg - pipe --quiet < a.jpg', folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"b.jpg\t{caption}stdin\t{caption}pipe\t{caption}"


def test_a_pipe_that_brings_no_photo_stops_no_other(folder, caption):
    done = shell('"$@" - a.jpg < /dev/null', folder)
    assert (done.returncode, done.stdout) == (1, f"a.jpg\t{caption}")
    assert done.stderr == "captioner: stdin: the file is empty\n"


def test_each_photo_on_stdin_gets_a_row(folder):
    line = '"$@" - --format csv --output o.csv < a.jpg'
    assert [shell(line, folder).returncode for _ in range(2)] == [0, 0]
    names = [row.split(",")[0] for row in (folder / "o.csv").read_text(encoding="utf-8").splitlines()]
    assert names == ["image", "stdin", "stdin"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("- --sidecar", "-: --sidecar and --embed write beside photos, and this is no file"),
        ("- --embed", "-: --sidecar and --embed write beside photos, and this is no file"),
        ("- stdin", "- and a photo named stdin: their results look alike; caption them one by one"),
    ],
)
def test_what_cannot_be_done_with_stdin_is_refused(folder, typed, said):
    shutil.copy(folder / "a.jpg", folder / "stdin")
    done = shell(f'"$@" {typed} < a.jpg', folder)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"captioner: {said}\n")


def test_a_pipe_in_a_folder_is_not_read(folder, caption):
    os.mkfifo(folder / "pipe.jpg")
    done = shell('"$@" .', folder)
    assert (done.returncode, done.stdout) == (1, f"a.jpg\t{caption}")
    assert done.stderr == "captioner: pipe.jpg: not a regular file\n"


@pytest.mark.needs("os.openpty")
def test_a_terminal_is_not_waited_for(folder):
    ours, theirs = os.openpty()
    try:
        done = subprocess.run([*PREDICT, *MODEL, "-"], stdin=theirs, capture_output=True, text=True, timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 1
    assert done.stderr.startswith("captioner: stdin: a terminal, expected a photo")


# As a terminal starts a command, whatever this process ignores
HEARD = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def test_ctrl_c_ends_the_wait_for_a_pipe(folder):
    os.mkfifo(folder / "pipe")
    command = [sys.executable, "-c", HEARD, *PREDICT, *MODEL, folder / "pipe"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_until_blocked(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert process.stderr is not None
    with process.stderr as errors:
        assert errors.read() == "captioner: stopped; the results so far are written\n"


def wait_until_blocked(process):
    """Wait until a process sleeps in the kernel's opening of a pipe; some seconds where the system does not tell."""
    for _ in range(200):
        time.sleep(0.05)
        try:
            if "fifo" in Path(f"/proc/{process}/wchan").read_text(encoding="utf-8") or "wait_for_partner" in Path(
                f"/proc/{process}/wchan"
            ).read_text(encoding="utf-8"):
                return
        except OSError:
            time.sleep(3)
            return
