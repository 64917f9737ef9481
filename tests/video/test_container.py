"""Videos give their pictures in order and upright, with size and rate; others are refused."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from poseda.datasets import DataError

pytest.importorskip("av", reason="pip install 'poseda[video]' brings PyAV")

from videos import picture, turn, walk, write_video

from poseda.datasets.formats.field import Field
from poseda.video import Video, holds_videos, open_camera
from poseda.video.container import Camera


def centre(content: np.ndarray) -> tuple[float, float]:
    """The middle of the red square, x and y."""
    y, x = np.nonzero((content[..., 0] > 150) & (content[..., 1] < 100))
    return float(x.mean()), float(y.mean())


@pytest.mark.parametrize("name", ["walk.mp4", "walk.avi", "walk.mkv", "walk.mov"])
def test_size_rate_and_pictures_are_the_containers(tmp_path: Path, name: str) -> None:
    video = Video(write_video(tmp_path / name, walk(10)))
    assert video.size == (320, 240) and video.rate == pytest.approx(30000 / 1001, rel=1e-3)
    assert [centre(content)[0] for content in video] == pytest.approx(
        [91.5 + 4 * at for at in range(10)], abs=1
    )
    assert video.frames in (10, 11) and not video.notes


def test_a_phones_pictures_stand_upright(tmp_path: Path) -> None:
    path = write_video(tmp_path / "phone.mp4", [picture(20, 60)] * 3)
    lying = centre(next(iter(Video(path))))
    turn(path)
    video = Video(path)
    upright = next(iter(video))
    assert video.size == (240, 320) and upright.shape == (320, 240, 3)
    # A quarter clockwise: what was x becomes y, and y counts from the right edge.
    assert centre(upright) == pytest.approx((239 - lying[1], lying[0]), abs=1)


def test_a_rate_that_changes_is_said(tmp_path: Path) -> None:
    import av

    path = tmp_path / "uneven.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=60)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 60)
        for at, ticks in enumerate([0, 1, 2, 3, 4, 5, 6, 7, 20, 21, 40, 60]):
            frame = av.VideoFrame.from_ndarray(picture(80 + at), format="rgb24")
            frame.pts, frame.time_base = ticks, Fraction(1, 60)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (note,) = Video(path).notes
    assert "its rate is not constant" in note and "uneven.mp4" in note


def test_what_is_no_video_is_refused_in_a_sentence(tmp_path: Path) -> None:
    text, cut, sound = tmp_path / "text.mp4", tmp_path / "cut.mp4", tmp_path / "sound.avi"
    text.write_text("not a video")
    cut.write_bytes(write_video(tmp_path / "whole.mp4", walk(5)).read_bytes()[:600])
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(4000))
    for path, message in (
        (text, "FFmpeg can decode"),
        (cut, "FFmpeg can decode"),
        (sound, "without pictures"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            Video(path)
        assert str(caught.value).startswith(f"{path}: file: expected a video")


def test_a_folder_holds_videos_whatever_else_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    (folder / "monday").mkdir(parents=True)
    (folder / "monday" / "a.MP4").touch()
    assert holds_videos(folder) and holds_videos(folder / "monday" / "a.MP4")
    (folder / "a.json").touch()
    assert holds_videos(folder) and not holds_videos(folder / "a.json")
    assert not holds_videos(tmp_path / "nowhere")
    (folder / "monday" / "a.MP4").rename(folder / "monday" / ".a.MP4")
    assert not holds_videos(folder), "hidden files are of programs"


def test_a_camera_gives_pictures_and_a_missing_one_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "walk.mp4", walk(4))
    camera = Camera(str(path), Field(Path("camera")), None)
    assert camera.rate == pytest.approx(29.97, abs=0.01)
    assert [seconds for seconds, _ in camera] == pytest.approx(
        [at * 1001 / 30000 for at in range(4)], abs=1e-3
    )
    with pytest.raises(DataError, match=r"camera:N with the number of a camera, found none"):
        open_camera("camera:")
    with pytest.raises(DataError, match=r"--input: camera:99: expected a video that FFmpeg can decode"):
        open_camera("camera:99")
