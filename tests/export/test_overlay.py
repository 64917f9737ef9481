"""Movies of lifted poses: at the clip's speed, on the clip's pictures, unseen joints hollow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lifted import lifted

from poseda.export import LiftedPoses, check_movie, planned_overlays, write_overlay
from poseda.export.drawing import PAPER
from poseda.geometry.skeleton import Skeleton
from poseda.geometry.world import LEVEL

av = pytest.importorskip("av")
Image = pytest.importorskip("PIL.Image")

CROSS = Skeleton.declare(
    "cross", {"pelvis": None, "left_hip": "pelvis", "right_hip": "pelvis", "head": "pelvis"}
)
ORANGE, BLUE = (242, 160, 87), (79, 195, 223)


@pytest.fixture
def poses() -> LiftedPoses:
    """Six frames, 640 x 480; the left hip is at (160, 240), the right one, unseen, at (480, 240)."""
    pose = np.tile([[0, 0, 0], [0.3, 0.1, 0], [-0.3, 0.1, 0], [0, -0.8, 0]], (6, 1, 1)).astype(float)
    place = np.tile([[0.0, 0.0], [-0.5, 0.0], [0.5, 0.0], [0.0, -0.5]], (6, 1, 1)).astype(np.float32)
    seen = np.tile([True, True, False, True], (6, 1))
    return lifted(
        pose,
        CROSS,
        pose_2d=place,
        visible=seen,
        image_size={0: (640, 480)},
        clip_names={0: "garden"},
        rate=30.0,
    )


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


def near(colour: np.ndarray, wanted: tuple[int, int, int]) -> bool:
    return bool(np.abs(colour - wanted).max() < 40)


def test_a_movie_has_the_frames_and_the_speed_of_the_clip(tmp_path: Path, poses: LiftedPoses) -> None:
    assert write_overlay(tmp_path / "o.mp4", poses) == [tmp_path / "o.mp4"]
    with av.open(str(tmp_path / "o.mp4")) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == 30 and (stream.width, stream.height) == (640 + 480, 480)
    assert len(frames(tmp_path / "o.mp4")) == 6


def test_seen_joints_are_filled_and_unseen_ones_hollow(tmp_path: Path, poses: LiftedPoses) -> None:
    write_overlay(tmp_path / "o.mp4", poses)
    picture = frames(tmp_path / "o.mp4")[2]
    assert near(picture[240, 160], ORANGE), "the middle of a seen joint"
    assert not near(picture[240, 480], BLUE), "the middle of an unseen one"
    ring = picture[236:245, 476:485].reshape(-1, 3)
    assert (ring[:, 2] - ring[:, 0]).max() > 60, "which has a blue rim"
    beside = picture[:, 640:]
    assert any(near(pixel, ORANGE) for pixel in beside.reshape(-1, 3)), "and the body stands in 3D beside it"


def test_there_is_a_floor_only_where_somebody_knows_which_way_is_up(
    tmp_path: Path, poses: LiftedPoses
) -> None:
    lit = {}
    for name, up in {"unknown": {}, "level": {0: LEVEL}}.items():
        write_overlay(tmp_path / f"{name}.mp4", replace(poses, up=up))
        beside = frames(tmp_path / f"{name}.mp4")[2][40:, 640:]  # below the line of words
        lit[name] = int((np.abs(beside - PAPER).max(2) > 12).sum())
    assert lit["level"] > lit["unknown"] + 1000


def test_the_skeleton_is_on_the_picture_of_its_frame(tmp_path: Path, poses: LiftedPoses) -> None:
    asked = []

    def pictures(clip: int) -> Iterator[np.ndarray]:
        asked.append(clip)
        for level in range(0, 250, 25):
            yield np.full((240, 320, 3), level, np.uint8)

    later = replace(poses, frame=np.arange(2, 14, 2))  # every other picture, from the third
    write_overlay(tmp_path / "o.mp4", later, pictures)
    levels = [round(float(picture[400:420, 20:40].mean())) for picture in frames(tmp_path / "o.mp4")]
    assert asked == [0]
    assert levels[:4] == pytest.approx([50, 100, 150, 200], abs=6), "frames 2, 4, 6 and 8"
    assert levels[4:] == pytest.approx([42, 42], abs=6), "a plain ground after the last picture"


def test_a_gif_keeps_the_speed_within_hundredths_of_a_second(tmp_path: Path, poses: LiftedPoses) -> None:
    write_overlay(tmp_path / "o.gif", poses)
    with Image.open(tmp_path / "o.gif") as movie:
        assert movie.n_frames == 3 and movie.info["duration"] == 70 and movie.size == (1120, 480)


def test_clips_have_movies_of_their_own_and_progress_is_told(tmp_path: Path, poses: LiftedPoses) -> None:
    two = replace(poses, clip=np.repeat([0, 4], 3), frame=np.tile(np.arange(3), 2), image_size={})
    told: list[tuple[int, int]] = []
    files = write_overlay(tmp_path / "o.mp4", two, None, lambda done, total: told.append((done, total)))
    assert (
        [file.name for file in files]
        == ["o_garden.mp4", "o_clip4.mp4"]
        == [file.name for file in planned_overlays(tmp_path / "o.mp4", two)]
    )
    assert told == [(at, 6) for at in range(1, 7)]


def test_gaps_show_nobody(tmp_path: Path, poses: LiftedPoses) -> None:
    gone = replace(poses, valid=np.array([1, 1, 1, 0, 1, 1], bool))
    write_overlay(tmp_path / "o.mp4", gone)
    shown = [any(near(p, ORANGE) for p in picture.reshape(-1, 3)) for picture in frames(tmp_path / "o.mp4")]
    assert shown == [True, True, True, False, True, True]


def test_unknown_formats_missing_libraries_and_nobody_are_refused(
    poses: LiftedPoses, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"^overlay: expected a file ending in \.mp4, \.gif, got o\.avi$"):
        check_movie(Path("o.avi"))
    with pytest.raises(ValueError, match=r"^overlay: expected a person with a valid frame, got none"):
        planned_overlays(Path("o.mp4"), replace(poses, valid=np.zeros(6, bool)))
    monkeypatch.setattr("poseda.export.movie.find_spec", lambda name: None if name == "av" else name)
    with pytest.raises(
        ValueError, match=r"^overlay: expected the library av for \.mp4 \(pip install poseda\[overlay\]\)"
    ):
        check_movie(Path("o.mp4"))
    check_movie(Path("o.gif"))
