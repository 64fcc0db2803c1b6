import os
import threading
import time

from captioner.quiet import stderr_closed


def test_what_goes_past_python_is_not_seen(capfd):
    with stderr_closed():
        os.write(2, b"a remark\n")
    os.write(2, b"an error\n")
    assert capfd.readouterr().err == "an error\n"


def test_two_threads_leave_stderr_as_it_was(capfd):
    def close() -> None:
        with stderr_closed():
            time.sleep(0.05)

    with stderr_closed():
        other = threading.Thread(target=close)
        other.start()
        time.sleep(0.05)
    other.join()
    os.write(2, b"an error\n")
    assert capfd.readouterr().err == "an error\n"


def test_it_may_be_closed_twice(capfd):
    with stderr_closed(), stderr_closed():
        pass
    os.write(2, b"an error\n")
    assert capfd.readouterr().err == "an error\n"
