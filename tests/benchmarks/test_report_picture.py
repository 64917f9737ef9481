"""The README's picture of a report: a PNG of the page, small enough, or one sentence that says why not."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from benchmarks import report_picture

PNG = b"\x89PNG\r\n\x1a\n"
PAGE = '<meta name="color-scheme" content="light dark"><body style="margin:0;background:#c8324f">Report'


def test_a_picture_of_the_report_is_a_small_png_in_the_pages_colours(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    if report_picture.find_browser() is None and os.environ.get("POSEDA_REQUIRE_BROWSER") != "1":
        pytest.skip("no browser to draw the page with")
    (tmp_path / "report.html").write_text(PAGE)
    out = tmp_path / "picture.png"
    assert report_picture.main([str(tmp_path), str(out), "--width", "640", "--height", "400"]) == 0
    content = out.read_bytes()
    assert content.startswith(PNG) and len(content) <= report_picture.MOST_BYTES
    drawn = image.open(io.BytesIO(content)).convert("RGB")
    assert drawn.size == (640, 400) and drawn.getpixel((600, 300)) == (200, 50, 79)


def test_a_picture_that_is_too_large_gets_fewer_colours() -> None:
    image = pytest.importorskip("PIL.Image")
    noise = image.frombytes("RGB", (64, 64), os.urandom(3 * 64 * 64))
    content = io.BytesIO()
    noise.save(content, format="PNG")
    small = report_picture.shrink(content.getvalue(), content.tell() // 2)
    assert small.startswith(PNG) and len(small) <= content.tell() // 2
    with pytest.raises(report_picture.PictureError, match="expected a picture of at most 100 bytes"):
        report_picture.shrink(content.getvalue(), 100)


def test_a_folder_without_a_report_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "picture.png"
    assert report_picture.main([str(tmp_path), str(out)]) == 2
    assert "expected the report of a finished run" in capsys.readouterr().err and not out.exists()
