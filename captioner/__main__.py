"""`python -m captioner` is the `captioner` command."""

from captioner.cli.start import start

start("python -m captioner")
