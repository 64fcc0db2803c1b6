"""`serve`: a web page, and an HTTP endpoint for programs."""

import argparse
import ipaddress
import os
import re
from functools import partial

from captioner.cli.arguments import (
    add_encoder_weights,
    add_model,
    add_precision,
    add_quiet,
    add_search,
    add_wording,
    count_up_to,
)
from captioner.cli.main import complain
from captioner.cli.parser import Parser
from captioner.config.decoding import MOST_CAPTIONS, DecodingConfig, WordingConfig
from captioner.config.options import given
from captioner.system.extras import require
from captioner.system.native_stderr import stderr_closed

EXAMPLES = """\
Drop a photo on the page, or take one; choose a word of its caption to see where the model looked. Programs send photos
to /caption, and get JSON:

  curl --data-binary @photo.jpg http://127.0.0.1:7860/caption
  curl --form photo=@photo.jpg 'http://127.0.0.1:7860/caption?attention=true'
  curl http://127.0.0.1:7860/health                    what the server is
  curl http://127.0.0.1:7860/metrics                   what it has done, for Prometheus

/docs describes this, and /openapi.json does for programs. Photos stay in memory, and are forgotten with the answer.
Needs a few packages more: pip install -r requirements-serve.txt

examples:
  python -m captioner serve
  python -m captioner serve --port 8000 --num-captions 5
  python -m captioner serve --host 0.0.0.0 --max-megabytes 8     for the whole network; there is no password
  python -m captioner serve --root-path /captions --allow-origin https://example.org
                                              behind a proxy that shows it at https://example.org/captions/
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = Parser(
        prog=program,
        description="Show a page that captions photos, until Ctrl-C or SIGTERM.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--host", metavar="ADDRESS", default="127.0.0.1", help="(default: 127.0.0.1, this machine only)"
    )
    parser.add_argument("--port", metavar="N", type=_port, default=7860, help="0 is any that is free (default: 7860)")
    parser.add_argument(
        "--root-path",
        metavar="PATH",
        type=_root_path,
        default="",
        help="where a proxy shows the page, whether it takes this off the path or not (default: at the root)",
    )
    parser.add_argument(
        "--allow-origin",
        metavar="ORIGIN",
        type=_origin,
        action="append",
        default=[],
        help="a site, such as https://example.org, whose pages may send photos; also the name under which a proxy on "
        "this machine shows the page. May be given several times (default: none but the page itself)",
    )
    model = parser.add_argument_group("model")
    add_model(model)
    add_encoder_weights(model, downloads=False)
    add_search(model)
    add_precision(model)
    add_wording(model)
    model.add_argument(
        "--num-captions",
        metavar="N",
        type=count_up_to(MOST_CAPTIONS),
        default=3,
        help="captions a photo (default: 3)",
    )
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-megabytes", metavar="N", type=_megabytes, default=20, help="of a file (default: 20)")
    limits.add_argument("--max-megapixels", metavar="N", type=_positive, default=50, help="of a photo (default: 50)")
    add_quiet(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Load the model, open the page, and stay until stopped."""
    require("serve", "the page")
    # Read by NumPy as it is imported: the products are too small to share.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from captioner.serve.limits import Limits
    from captioner.serve.server import listen, make_server, serve, url
    from captioner.serve.site import Site

    with listen(arguments.host, arguments.port) as taken:
        from captioner.library import Captioner, default_model

        model = arguments.model or default_model(arguments.encoder_weights)
        with stderr_closed():
            captioner = Captioner.load(
                model,
                arguments.encoder_weights,
                **given(vars(arguments), DecodingConfig),
                **given(vars(arguments), WordingConfig),
                num_captions=arguments.num_captions,
                precision=arguments.precision,
            )
        local = _is_loopback(taken.getsockname()[0])
        if not local:
            complain(f"--host {arguments.host}: whoever reaches this address can use the page; there is no password")
        limits = Limits(photo_bytes=arguments.max_megabytes * 10**6, pixels=arguments.max_megapixels * 10**6)
        site = Site(
            model.resolve().name,
            root_path=arguments.root_path,
            local=local,
            hosts=(arguments.host.lower(),),
            origins=tuple(arguments.allow_origin),
        )
        announce = partial(complain, f"the page is at {url(taken)} (Ctrl-C stops it)")
        serve(make_server(captioner, limits, site, announce), taken)
    complain("stopped")
    return 0


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, found {text!r}")
    return int(text)


def _root_path(text: str) -> str:
    path = text.rstrip("/")
    if not re.fullmatch(r"(/[\w.~-]+)*", path, re.ASCII):
        raise argparse.ArgumentTypeError(f"expected a path such as /captions, found {text!r}")
    return path


def _origin(text: str) -> str:
    from captioner.serve.site import parse_origin

    try:
        return parse_origin(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected an origin such as https://example.org, found {text!r}") from None


def _megabytes(text: str) -> int:
    from captioner.serve.limits import Limits

    most = Limits().held_bytes // 10**6
    if (value := _positive(text)) > most:
        raise argparse.ArgumentTypeError(f"expected at most {most}, which all uploads share, found {value}")
    return value


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return int(text)
