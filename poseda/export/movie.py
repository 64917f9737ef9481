"""Pictures in a row as MP4 (PyAV) or GIF (Pillow); both come with the extra ``overlay``."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

FASTEST_GIF = 25.0
"""Most pictures a second of a GIF: its times are whole hundredths of a second."""

ENCODERS = ("libx264", "mpeg4")
"""Of MP4, the first that PyAV has."""


def check_movie(path: Path) -> None:
    """Refuse an ending that no movie has, and a missing library.

    Raises:
        ValueError: naming the formats, or the command that installs the library.
    """
    if path.suffix not in MOVIES:
        raise ValueError(f"overlay: expected a file ending in {', '.join(MOVIES)}, got {path}")
    needed = {"PIL": "Pillow"} | ({"av": "av"} if path.suffix == ".mp4" else {})
    for module, package in needed.items():
        if find_spec(module) is None:
            remedy = "pip install poseda[overlay]"
            raise ValueError(
                f"overlay: expected the library {package} for {path.suffix} ({remedy}), got none"
            )


def can_write_movie(path: Path) -> bool:
    """Whether the ending of a path is a movie's, and its library is installed."""
    try:
        check_movie(path)
    except ValueError:
        return False
    return True


def shown_step(path: Path, rate: float) -> int:
    """Every how many pictures a movie shows, at a rate of pictures a second."""
    return 1 if path.suffix != ".gif" else max(1, int(np.ceil(rate / FASTEST_GIF)))


def movie_bytes(path: Path, pictures: Iterator[Image], rate: float) -> bytes:
    """Encode pictures of one size in the format of a path's ending.

    Args:
        path: its ending counts.
        pictures: RGB, at least one; width and height are even.
        rate: pictures a second.
    """
    return MOVIES[path.suffix](pictures, rate)


def _mp4(pictures: Iterator[Image], rate: float) -> bytes:
    import av

    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream: Any = None
        for picture in pictures:
            if stream is None:
                stream = container.add_stream(_encoder(), rate=Fraction(rate).limit_denominator(10_000))
                stream.width, stream.height = picture.size
                stream.pix_fmt = "yuv420p"
                stream.options = {"crf": "20"} if stream.codec_context.name == ENCODERS[0] else {}
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
    return content.getvalue()


def _encoder() -> str:
    import av

    return next(name for name in ENCODERS if name in av.codecs_available)


def _gif(pictures: Iterator[Image], rate: float) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    # The default way to find a palette takes longer than all the rest.
    reduced = (picture.quantize(method=Image.Quantize.FASTOCTREE) for picture in pictures)
    first = next(reduced)
    first.save(content, "GIF", save_all=True, append_images=reduced, duration=10 * round(100 / rate), loop=0)
    return content.getvalue()


MOVIES: dict[str, Callable[[Iterator[Image], float], bytes]] = {".mp4": _mp4, ".gif": _gif}
"""Endings of the movies that can be written, and how."""
