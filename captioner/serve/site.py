"""The addresses of a server, and the origins that may use it."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from captioner.serve.limits import ApiError

DEFAULT_PORTS = {"http": ":80", "https": ":443"}
SAFE = ("GET", "HEAD")
"""Methods that change nothing and take nothing; their answers stay unreadable to other sites."""


@dataclass(frozen=True)
class Site:
    """The server as its clients know it.

    Attributes:
        model: the name of the model that captions.
        root_path: where a proxy has put the server, such as "/captions"; empty: at the root.
        local: only names of this machine are answered. A page of another site whose name is made to point to this
            machine (DNS rebinding) would be of the same origin as the server, but its requests carry that name.
        hosts: further names that are answered then.
        origins: other sites that may send photos from a browser, such as "https://example.org".
    """

    model: str
    root_path: str = ""
    local: bool = True
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def refusal(self, method: str, headers: Mapping[str, str]) -> ApiError | None:
        """Decide who may ask: why a request is refused, or None.

        Args:
            method: of the request.
            headers: of the request, with names in lower case.
        """
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.local and not self._is_ours(host):
            return ApiError(
                421,
                "host",
                f"the Host header is {host[:100]!r}; this server answers to localhost, 127.0.0.1 and [::1] alone. "
                "Behind a proxy, start it with --allow-origin and the address that browsers use",
            )
        if method in SAFE or origin in self.origins:
            return None
        fetched = headers.get("sec-fetch-site")
        same = origin is None or _same_host(origin, host) if fetched is None else fetched in ("same-origin", "none")
        if same:
            return None
        return ApiError(
            403,
            "cross_site",
            f"a page of another site ({(origin or 'unknown')[:100]}) may not use this server, unless it is started "
            "with --allow-origin and that site",
        )

    def _is_ours(self, host: str) -> bool:
        name = _name(host)
        allowed = ("localhost", *self.hosts, *(urlsplit(origin).hostname for origin in self.origins))
        try:
            return name in allowed or ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


def _name(host: str) -> str:
    """Take the port off a Host header, and the brackets off an IPv6 address."""
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        return name if bracket and (not port or port.startswith(":")) else ""
    return host.partition(":")[0].lower().removesuffix(".")


def _same_host(origin: str, host: str) -> bool:
    scheme, _, place = origin.lower().partition("://")
    return host.lower() in (place, place + DEFAULT_PORTS.get(scheme, ""))


def parse_origin(text: str) -> str:
    """Return an origin as browsers write it.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(text.strip().lower())
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError("no origin")
    if parts.query or parts.fragment or "@" in parts.netloc or parts.netloc.endswith(":") or not text.isascii():
        raise ValueError("no origin")
    default = parts.port is not None and f":{parts.port}" == DEFAULT_PORTS[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.removesuffix(f':{parts.port}') if default else parts.netloc}"
