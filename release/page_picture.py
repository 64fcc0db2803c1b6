"""Take the picture of the web page that `docs/deploy.md` shows: `python -m release.page_picture`.

Starts `captioner serve`, opens the page in Chromium without a window, shows it `photos/dog.jpg`, and chooses the last
word of the caption. Needs Chromium (`apt-get install chromium`) and `pip install -r requirements-dev.txt`.
"""

import argparse
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Error, sync_playwright

from captioner.errors import CaptionerError
from captioner.system.atomic import atomic_write

ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "photos" / "dog.jpg"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH, HEIGHT = 1180, 900
"""Of the window in pixels; the picture is as tall as the page."""

QUALITY = 80
MILLISECONDS = 60_000
"""How long the page may take for anything."""

WORD = ".result:not(.waiting) .word"


def main() -> None:
    """Take the picture; a message where something is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m release.page_picture", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="flickr8k")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "page.webp")
    arguments = parser.parse_args()
    try:
        with served(arguments.model) as address:
            picture = photographed(address)
        with atomic_write(arguments.output) as temporary:
            picture.save(temporary, "WEBP", quality=QUALITY, method=6)
    except (CaptionerError, Error, OSError) as error:
        sys.exit(f"error: {error}")


@contextmanager
def served(model: str) -> Iterator[str]:
    """Serve the page on a free port while it is needed; give its address.

    Raises:
        CaptionerError: the server ends before it answers.
    """
    command = [sys.executable, "-m", "captioner", "serve", "--model", model, "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        said = ""
        for line in process.stderr or ():
            said += line
            if found := re.search(r"the page is at (http://\S+)", line):
                break
        else:
            raise CaptionerError(f"{' '.join(command)} did not serve: {said}")
        yield found[1]
    finally:
        process.terminate()
        process.communicate()


def photographed(address: str) -> Image.Image:
    """Return the page as it looks once the photo has its caption, with the caption's last word chosen.

    Raises:
        CaptionerError: there is no browser.
        playwright.sync_api.Error: the page does not answer.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise CaptionerError(f"none of {', '.join(BROWSERS)} is installed; try apt-get install chromium")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        chromium = playwright.chromium.launch(executable_path=browser, args=flags)
        tab = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        tab.set_default_timeout(MILLISECONDS)
        tab.goto(address)
        tab.wait_for_selector(".captioner h1")
        tab.set_input_files("#photo", PHOTO)
        tab.wait_for_selector(WORD)
        tab.locator(WORD).last.click()
        tab.mouse.move(0, 0)  # or the word would look as it does under a pointer
        tab.wait_for_timeout(1000)  # the light fades in
        shot = tab.screenshot(full_page=True)
        chromium.close()
    return Image.open(io.BytesIO(shot)).convert("RGB")


if __name__ == "__main__":
    main()
