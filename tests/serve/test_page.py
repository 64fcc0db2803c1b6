"""The page in a real browser: Chromium without a window. Skipped where none is installed."""

import io
import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner import __version__
from captioner.serve import pages

SAMPLES = Path(pages.__file__).parent
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt-get install chromium")

sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        flags = [
            "--no-sandbox",
            "--disable-gpu",
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
        ]
        browser = playwright.chromium.launch(executable_path=BROWSER, args=flags)
        yield browser
        browser.close()


class Page:
    """The page, with all that it asked for and complained of."""

    def __init__(self, browser, server, **settings) -> None:
        self.context = browser.new_context(permissions=["camera"], **settings)
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(30_000)
        self.asked, self.wrong = [], []
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.tab.on("console", lambda message: self.wrong.append(message.text) if message.type != "info" else None)
        self.url = f"http://{server.host}:{server.port}/"
        self.tab.goto(self.url)
        self.tab.wait_for_selector(".captioner h1")

    def upload(self, content: bytes | Path, name: str = "photo.jpg", kind: str = "image/jpeg") -> None:
        file = content if isinstance(content, Path) else {"name": name, "mimeType": kind, "buffer": content}
        self.tab.set_input_files("#photo", file)

    def sentence(self) -> str:
        self.tab.wait_for_selector(".result:not(.waiting) .word")
        return " ".join(self.tab.locator(".word span").all_inner_texts())

    def wait_for(self, expression: str, argument: object = None) -> None:
        """Wait until it holds; Playwright's own way of doing so is what the page's policy forbids."""
        for _ in range(600):
            if self.tab.evaluate(expression, argument):
                return
            self.tab.wait_for_timeout(50)
        raise AssertionError(expression)

    def error(self) -> str:
        self.tab.wait_for_selector(".error:not([hidden])")
        return self.tab.inner_text(".error")


@pytest.fixture
def page(browser, server) -> Iterator[Page]:
    page = Page(browser, server)
    yield page
    page.context.close()


def test_a_photo_goes_in_and_its_captions_come_out(page, server, photos, tmp_path):
    expected = server.caption(photos[0], "?pictures=1")
    page.upload(photos[0])
    assert page.sentence() == expected["caption"]
    rows = [row.inner_text().split("\n") for row in page.tab.locator(".caption").all()]
    assert [row[0] for row in rows] == [each["caption"] for each in expected["candidates"]]
    for row, candidate in zip(rows, expected["candidates"], strict=True):
        assert float(row[-1].replace("\N{MINUS SIGN}", "-")) == pytest.approx(candidate["score"], abs=0.005)
    assert page.tab.get_attribute(".seen", "src") == expected["photo"]
    assert page.tab.evaluate("document.querySelector('.seen').naturalWidth") == 120

    # another caption, and back
    page.tab.locator(".caption").nth(1).click()
    assert page.sentence() == expected["candidates"][1]["caption"]
    page.tab.locator(".caption").nth(0).click()

    # where it looked, by the mouse and by the keys
    pictures = expected["candidates"][0]["pictures"]
    assert len(set(pictures)) > 1
    assert page.tab.is_hidden(".looked")
    plain = page.tab.screenshot()
    page.tab.locator(".word").nth(0).click()
    assert page.tab.get_attribute(".looked", "src") == pictures[0]
    page.tab.screenshot(path=tmp_path / "page.png")
    page.tab.keyboard.press("ArrowRight")
    assert page.tab.get_attribute(".looked", "src") == pictures[1]
    assert page.tab.locator(".word[aria-pressed=true] span").all_inner_texts() == [expected["words"][1]]
    assert differing(page.tab.screenshot(), (tmp_path / "page.png").read_bytes()) > 0.001
    page.tab.click("[data-do=plain]")
    assert page.tab.is_hidden(".looked")
    page.tab.evaluate("document.activeElement.blur()")
    page.tab.mouse.move(0, 0)
    assert differing(page.tab.screenshot(), plain) < 0.001

    assert page.wrong == []
    strangers = [url for url in page.asked if not url.startswith((page.url, "data:", f"blob:{page.url}"))]
    assert strangers == []
    assert len(page.asked) > 5
    assert server.files() == []


def differing(screenshot: bytes, other: bytes) -> float:
    """The share of the pixels that differ."""
    one, two = (np.asarray(Image.open(io.BytesIO(each)).convert("RGB")).astype(int) for each in (screenshot, other))
    return float((np.abs(one - two).max(axis=-1) > 20).mean())


def test_what_is_no_photo_is_said_and_the_next_one_works(page, server, photos, tmp_path):
    page.upload(b"not a photo at all", "letter.txt", "text/plain")
    assert page.error().startswith("the image: not an image that can be read")
    assert page.tab.is_hidden(".result")
    with (tmp_path / "big.jpg").open("wb") as file:
        file.truncate(50_000_000)
    page.upload(tmp_path / "big.jpg")
    page.wait_for("document.querySelector('.error').textContent.includes('20 MB')")
    page.upload(photos[1], "photo.png", "image/png")
    assert page.sentence() == server.caption(photos[1])["caption"]
    assert page.tab.is_hidden(".error")
    assert [line for line in page.wrong if "422" not in line] == []  # Chromium notes each such answer


def test_two_tabs_at_once_and_one_that_is_closed(browser, server, photos):
    pages = [Page(browser, server) for _ in range(3)]
    for page, photo in zip(pages, photos, strict=False):
        page.upload(photo)
    pages[0].context.close()
    for page, photo in zip(pages[1:], photos[1:], strict=False):
        assert page.sentence() == server.caption(photo)["caption"]
        page.context.close()
    assert server.files() == []


def test_the_camera_takes_a_photo(page):
    page.tab.click("[data-do=camera]")
    page.wait_for("document.querySelector('.camera video').videoWidth > 0")
    page.tab.click("[data-do=shoot]")
    assert page.sentence()
    assert page.tab.is_visible(".drop")
    assert page.tab.is_hidden(".camera")
    assert page.wrong == []


def test_a_photo_is_dropped_or_pasted(page, server, photos):
    give = """([bytes, type]) => {
        const files = new DataTransfer();
        files.items.add(new File([new Uint8Array(bytes)], "photo.jpg", { type: "image/jpeg" }));
        window.dispatchEvent(type === "drop" ? new DragEvent("drop", { dataTransfer: files, cancelable: true })
                                             : new ClipboardEvent("paste", { clipboardData: files }));
    }"""
    for photo, way in ((photos[0], "drop"), (photos[2], "paste")):
        page.tab.evaluate(give, [list(photo), way])
        page.wait_for(
            "expected => document.querySelector('.status').textContent === `It says: ${expected}`",
            server.caption(photo)["caption"],
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_it_fits_any_screen(browser, server, photos, width, scheme):
    phone = {"is_mobile": True, "has_touch": True} if width < 800 else {}
    page = Page(browser, server, viewport={"width": width, "height": 800}, color_scheme=scheme, **phone)
    page.upload(photos[0])
    page.sentence()
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
    photo, generated = (page.tab.locator(part).bounding_box() for part in ("figure", ".generated"))
    assert (generated["y"] > photo["y"] + photo["height"] - 1) == (width < 800)  # below, or beside
    page.context.close()


def test_a_sample_is_captioned_and_the_model_is_named(page, server):
    page.wait_for("document.querySelector('.model').textContent !== ''")
    assert page.tab.inner_text(".model") == f"Model: tiny. Captioner {__version__}."
    assert "cannot" in page.tab.inner_text(".limits")
    for number in range(page.tab.locator(".sample").count()):
        page.tab.locator(".sample").nth(number).click()
        sample = SAMPLES / page.tab.locator(".sample img").nth(number).get_attribute("src")
        expected = server.caption(sample.read_bytes())["caption"]
        page.wait_for("text => document.querySelector('.status').textContent === text", f"It says: {expected}")
        assert page.sentence() == expected
    assert page.wrong == []


@pytest.mark.parametrize("clipboard", ["granted", "missing"])
def test_the_caption_is_copied(browser, server, photos, clipboard):
    page = Page(browser, server)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.tab.evaluate("navigator.clipboard.writeText('nothing')")
    if clipboard == "missing":  # as where the page comes by http from another machine
        page.tab.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true })")
    page.upload(photos[0])
    page.sentence()
    page.tab.locator(".caption").nth(1).click()
    page.tab.click("[data-do=copy]")
    page.wait_for("document.querySelector('[data-do=copy]').textContent === 'Copied'")
    page.tab.evaluate("delete navigator.clipboard")
    expected = server.caption(photos[0])["candidates"][1]["caption"]
    assert page.tab.evaluate("navigator.clipboard.readText()") == expected
    assert page.wrong == []
    page.context.close()


@pytest.mark.parametrize("taken_off", [True, False])
def test_it_works_where_a_proxy_puts_it(browser, start, photos, taken_off):
    server = start("--root-path", "/captions")
    page = Page(browser, server)
    root = f"{page.url}captions/"
    if taken_off:
        page.context.route(f"{root}**", lambda route: route.continue_(url=route.request.url.replace("/captions", "")))
    page.asked.clear()
    page.tab.goto(root)
    page.upload(photos[0])
    assert page.sentence() == server.caption(photos[0])["caption"]
    page.tab.click("footer a")
    page.tab.wait_for_selector("h2 >> text=POST /caption")
    page.tab.click("text=page")
    page.tab.wait_for_selector(".drop")
    assert page.wrong == []
    assert [url for url in page.asked if not url.startswith((root, "data:", f"blob:{page.url}"))] == []
    page.context.close()


def test_other_pages_can_neither_show_it_nor_use_it(browser, server, start):
    other = start()
    page = Page(browser, other)
    answer = page.tab.evaluate(
        "url => fetch(url, { method: 'POST', body: 'x' }).then((answer) => answer.status, (reason) => reason.name)",
        f"http://localhost:{server.port}/caption",
    )
    assert answer == "TypeError"
    page.context.close()


def test_a_server_that_has_gone_is_told(browser, start, photos):
    server = start()
    page = Page(browser, server)
    server.process.kill()
    server.process.wait()
    page.upload(photos[0])
    assert page.error() == "The server cannot be reached. Is it still running?"
    page.context.close()


def test_words_of_scripts_without_spaces_stand_together_and_notes_are_shown(browser, server, photos):
    """Characters keep a button and a picture each, but nothing stands between them where the caption has no space."""
    words = ["一", "只", "狗", "and", "cat", "'s", "一"]
    pictures = [f"data:image/gif;base64,{number}" for number in range(len(words))]
    answer = {"caption": "一只狗 and cat 's 一", "score": -1.0, "words": words, "pictures": pictures}
    answer |= {"candidates": [dict(answer)], "photo": "data:,", "notes": ["the image: odd"]}
    page = Page(browser, server)
    page.tab.route("**/caption?*", lambda route: route.fulfill(json=answer))
    page.upload(photos[0])
    page.sentence()
    boxes = [box.bounding_box() for box in page.tab.locator(".word").all()]
    gaps = [round(right["x"] - left["x"] - left["width"]) for left, right in itertools.pairwise(boxes)]
    assert [gap <= 0 for gap in gaps] == [True, True, False, False, False, False]
    assert page.tab.inner_text(".error") == "the image: odd"
    page.tab.locator(".word").nth(6).click()
    assert page.tab.get_attribute(".looked", "src") == pictures[6]
    page.tab.locator(".word").nth(1).click()
    assert page.tab.get_attribute(".looked", "src") == pictures[1]


ANSWER = {
    "caption": "a red dog",
    "score": -1.234,
    "confidence": 0.584,
    "certainty": "probably",
    "words": ["a", "red", "dog"],
    "probabilities": [1.0, 0.1849, 0.9982],
    "pictures": ["data:,"] * 3,
}
GUESSED = {**ANSWER, "caption": "a dog", "score": -2.5, "confidence": 0.2, "certainty": "a guess"}


def answered(browser, server, photo: bytes, more: dict[str, object], **settings: object) -> Page:
    """The page with an answer that a server with a calibrated model could give."""
    answer = {**ANSWER, "familiar": True, "doubtful": False, "candidates": [ANSWER, GUESSED], "photo": "data:,"} | more
    page = Page(browser, server, **settings)
    page.tab.route("**/caption?*", lambda route: route.fulfill(json=answer))
    page.upload(photo)
    page.sentence()
    return page


def test_how_sure_the_caption_and_its_words_are(browser, server, photos):
    page = answered(browser, server, photos[0], {})
    assert page.tab.locator(".word small").all_inner_texts() == [
        "100%",
        "18%",
        ">99%",
    ]
    assert page.tab.locator(".doubted span").all_inner_texts() == ["red"]
    assert page.tab.get_by_role("button", name=re.compile(r"^red\s+18%$")).count() == 1  # as it is heard
    assert page.tab.inner_text(".certainty strong") == "Probably."
    assert page.tab.inner_text(".certainty span") == (
        "In captions like this, about 58% of the words are right. Score \N{MINUS SIGN}1.23; closer to 0 is more likely."
    )
    rows = page.tab.locator(".caption")
    assert [row.split("\n")[-1] for row in rows.all_inner_texts()] == ["probably", "a guess"]
    assert rows.nth(1).get_attribute("title") == "score \N{MINUS SIGN}2.50"
    assert page.tab.inner_text(".status") == "It says: a red dog (probably)"
    assert page.tab.is_hidden(".unfamiliar")
    assert page.tab.is_hidden(".for-scores")
    rows.nth(1).click()
    assert page.tab.inner_text(".certainty strong") == "A guess."
    page.context.close()


@pytest.mark.parametrize("width", [320, 1280])
def test_what_is_said_of_an_unfamiliar_photo_is_a_guess(browser, server, photos, width):
    page = answered(browser, server, photos[0], {"familiar": False}, viewport={"width": width, "height": 800})
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
    assert page.tab.inner_text(".unfamiliar") == (
        "This photo is unlike the photos that the model learned from; the caption is a guess."
    )
    assert page.tab.inner_text(".certainty strong") == "A guess."
    assert page.tab.inner_text(".certainty span").startswith("Score ")
    assert [row.split("\n")[-1] for row in page.tab.locator(".caption").all_inner_texts()] == ["a guess", "a guess"]
    page.context.close()


def test_a_model_that_does_not_know_how_sure_it_is_shows_its_scores(page, server, photos):
    page.upload(photos[0])
    page.sentence()
    assert page.tab.is_hidden(".certainty")
    assert page.tab.is_hidden(".unfamiliar")
    assert page.tab.is_visible(".for-scores")
    assert page.tab.locator(".word small").count() == len(server.caption(photos[0])["words"])
