"""A socket, the application, and an end in good order."""

import asyncio
import logging
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from captioner.errors import CaptionerError
from captioner.runtime.captioner import Captioner
from captioner.serve.limits import Limits

if TYPE_CHECKING:
    import uvicorn

CONNECTIONS = 500
"""Connections at once; further ones are answered with 503."""


@contextmanager
def prepared() -> Iterator[None]:
    """Import Gradio, told to talk to nobody, and give it a directory that goes at the end, should it write after all.

    Raises:
        CaptionerError: it is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="captioner-") as folder:
        # Read as it is imported
        os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_OFFLINE="1", GRADIO_TEMP_DIR=folder)
        try:
            import gradio  # noqa: F401
        except ImportError as error:
            raise CaptionerError(
                f"the page needs Gradio, which cannot be imported ({error}); "
                "install it with: pip install -r requirements-serve.txt, or: pip install 'captioner[serve]'"
            ) from None
        yield


def listen(host: str, port: int) -> socket.socket:
    """Take the address; nobody is let in before `serve`.

    Raises:
        CaptionerError: it cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # the latter where it is no name at all
        raise CaptionerError(f"--host {host}: {getattr(error, 'strerror', None) or error}") from None
    try:
        if os.name == "posix":  # else a port stays taken for a minute after a server has stopped
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except OSError as error:
        taken.close()
        raise CaptionerError(
            f"{host}, port {port}: {(error.strerror or str(error)).lower()}; choose another address with --host and "
            "--port (0: any that is free)"
        ) from None
    return taken


def url(taken: socket.socket) -> str:
    """Return the address as a browser takes it."""
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def make_server(
    captioner: Captioner, limits: Limits, announce: Callable[[], object] = lambda: None
) -> "uvicorn.Server":
    """Make what answers; `prepared` has been called.

    Args:
        captioner: describes the photos.
        limits: what the server takes on.
        announce: called when requests are answered.
    """
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from captioner.serve.app import make_app

    class Patient(H11Protocol):
        """Closes connections on which no new request comes for too long; a byte is enough for uvicorn to wait on."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wait()

        def _wait(self) -> None:
            self.loop.call_later(limits.silence, self._close_if_silent, self.cycle)

        def _close_if_silent(self, cycle: object) -> None:
            if self.cycle is cycle:
                self.transport.close()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            announce()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it would tell whose request it cuts off
            app.stop()
            await super().shutdown(sockets)

    app = make_app(captioner, limits)
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=Patient,
        ws="none",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=limits.stopping,
    )
    return Server(config)


def serve(server: "uvicorn.Server", taken: socket.socket) -> None:
    """Answer until SIGTERM, then return; Ctrl-C comes through as KeyboardInterrupt. Both let requests end first.

    Args:
        server: of `make_server`.
        taken: where to listen, see `listen`.
    """
    # uvicorn sends itself the signal again once all is stopped
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        asyncio.run(server.serve(sockets=[taken]))
    finally:
        signal.signal(signal.SIGTERM, before)
