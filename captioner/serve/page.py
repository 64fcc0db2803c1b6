"""The page: Gradio's frame around one component of our own, which talks to `POST /caption`."""

from pathlib import Path

import gradio
from fastapi import FastAPI

from captioner.plots import ATTENTION_OPACITY
from captioner.serve.limits import Limits

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
"""The reader's own, so that none is fetched."""


def mount_page(app: FastAPI, limits: Limits) -> FastAPI:
    """Put the page at `/`.

    Gradio's own components for photos write each upload into a directory of the server. This page's photo goes to
    `POST /caption` and stays in memory; the words and their pictures come back in one answer, so that the server keeps
    nothing between two requests.
    """
    parts = Path(__file__).parent
    html, css, script = ((parts / f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    with gradio.Blocks(title="Captioner", analytics_enabled=False) as blocks:
        gradio.HTML(
            html_template=html.replace("MEGABYTES", f"{limits.photo_bytes / 1e6:g}"),
            js_on_load=script,
            apply_default_css=False,
        )
    return gradio.mount_gradio_app(
        app,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        max_file_size=1,
        theme=gradio.themes.Base(font=FONTS, font_mono=("monospace",)),
        css=css.replace("OPACITY", str(ATTENTION_OPACITY)),
    )
