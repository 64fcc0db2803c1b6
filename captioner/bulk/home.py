"""A home directory for the processes of a local cluster, whose settings keep them from contacting the network."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from captioner.system.files import write_text
from captioner.system.home import cache_directory

CLUSTER = "ray_bootstrap_config.yaml"
"""What Ray's launcher leaves in the home of a machine in a cloud: of which cluster this is the head."""


@contextmanager
def asking_nobody() -> Iterator[None]:
    """Give processes that are started during the block a home with empty settings of the cluster.

    Ray's statistics are off, but where that file is missing it asks nevertheless, by name and by address, whether this
    machine is one of Azure's, Google's or Amazon's. Nothing else is known to stop it. Workers need the user's own home
    back, since credentials lie there: their environment says so.
    """
    home = cache_directory() / "ray"
    with suppress(OSError):  # Ray works without too
        write_text(home / CLUSTER, "{}\n")
    # Else Ray makes one in the home, where the workers would not find it; so it lies on no disk at all
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    before = os.environ.get("HOME")
    os.environ["HOME"] = str(home)
    try:
        yield
    finally:
        if before is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = before
