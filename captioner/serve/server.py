"""Run the application on a socket, and shut it down cleanly."""

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from captioner.errors import CaptionerError
from captioner.runtime.captioner import Captioner
from captioner.serve.limits import Limits
from captioner.serve.site import Site

if TYPE_CHECKING:
    import uvicorn

GRACE = 3
"""Seconds after those of `Limits.stopping` in which what hangs is given up and the process ends by itself."""


def listen(host: str, port: int) -> socket.socket:
    """Bind the address; connections are accepted from `serve` on.

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
    captioner: Captioner, limits: Limits, site: Site, announce: Callable[[], object] = lambda: None
) -> "uvicorn.Server":
    """Make the application.

    Args:
        captioner: describes the photos.
        limits: what the server takes on.
        site: its name and place, and who may ask it.
        announce: called when requests are answered.

    Raises:
        CaptionerError: the site's root path hides a path of the server's.
    """
    import uvicorn

    from captioner.serve.app import App
    from captioner.serve.connection import Connection

    class Patient(Connection):
        silence = limits.silence

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            announce()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            super().handle_exit(sig, frame)
            self.status = 0 if sig == signal.SIGTERM else 128 + sig

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            if hasattr(self, "status"):
                _end_at_last(limits.stopping + GRACE, self.status)
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it would tell whose request it cuts off
            app.stop()
            await super().shutdown(sockets)

    app = App(captioner, limits, site)
    root = site.root_path
    if root and any(path == root or path.startswith(f"{root}/") for path in app.paths):
        raise CaptionerError(f"--root-path {root}: the server has a path of that name itself; choose another one")
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of each broken form that a stranger sends
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=Patient,
        ws="none",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=limits.stopping,
    )
    return Server(config)


def _end_at_last(seconds: float, status: int) -> None:
    """End the process after so many seconds if it has not ended by then: a thread may hang in a library."""
    last = threading.Timer(seconds, os._exit, (status,))
    last.daemon = True
    last.start()


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
