"""A picture of a run's report for the README: `python -m benchmarks.report_picture RUN OUT.png`.

Chromium opens RUN/report.html without a window. Pillow (`poseda[docs]`) then reduces the colours until the
file is small enough.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
"""Names of browsers that have the options below, the first that is installed is taken."""

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
"""Options of a browser that shows one local page, without network or dialogs."""

MOST_BYTES = 200_000
"""Size of a picture that a README may load."""

COLOURS = (None, 256, 128, 64)
"""Colours of the picture, all at first, then fewer until it is small enough."""


class PictureError(Exception):
    """Why there is no picture, in one sentence."""


def find_browser() -> str | None:
    """Path of an installed browser; None where there is none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def screenshot(page: Path, width: int, height: int, dark: bool = False) -> bytes:
    """The top of a page as a PNG.

    Args:
        page: an HTML file.
        width, height: of the window, pixels.
        dark: show it as readers with a dark desktop see it.

    Raises:
        PictureError: if there is no browser or it draws nothing.
    """
    browser = find_browser()
    if browser is None:
        raise PictureError(f"expected {' or '.join(BROWSERS)} to be installed, found none: install chromium")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "page.png"
        command = [
            browser, *QUIET, f"--user-data-dir={folder}/profile", "--virtual-time-budget=3000",
            "--hide-scrollbars", f"--blink-settings=preferredColorScheme={int(not dark)}",
            f"--window-size={width},{height}", f"--screenshot={picture}", page.resolve().as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if not picture.exists():
            raise PictureError(f"{browser} drew no picture of {page}: {done.stderr[-300:]}")
        return picture.read_bytes()


def shrink(picture: bytes, most_bytes: int = MOST_BYTES) -> bytes:
    """The same PNG with as many colours as its size allows.

    Raises:
        PictureError: if even the fewest colours are too large, or Pillow is missing.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise PictureError("expected Pillow to be installed, found none: pip install poseda[docs]") from error
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in COLOURS:
        content = io.BytesIO()
        # This method keeps rare colours: each arm's fills a few pixels only.
        reduced = image.quantize(colours, Image.Quantize.MAXCOVERAGE) if colours else image
        reduced.save(content, format="PNG", optimize=True)
        if content.tell() <= most_bytes:
            return content.getvalue()
    raise PictureError(
        f"expected a picture of at most {most_bytes} bytes, got {content.tell()} with {COLOURS[-1]} colours: "
        "choose a smaller --width or --height"
    )


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and write the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report_picture", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder that holds report.html")
    parser.add_argument("out", type=Path, help="PNG file to write")
    parser.add_argument("--width", type=int, default=1280, help="of the window, pixels (default: 1280)")
    parser.add_argument("--height", type=int, default=1070, help="of the window, pixels (default: 1070)")
    parser.add_argument("--dark", action="store_true", help="show the page as on a dark desktop")
    options = parser.parse_args(arguments)
    page = options.run / "report.html"
    try:
        if not page.is_file():
            raise PictureError(f"{page}: expected the report of a finished run, found no such file")
        options.out.write_bytes(shrink(screenshot(page, options.width, options.height, options.dark)))
    except (PictureError, OSError) as error:
        print(f"report_picture: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: {options.out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
