"""`poseda lift` of streams: every line is answered by the run's own numbers, or by what is wrong with it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs_to_lift import SCREEN, SIZE, predicted

from poseda.cli import main
from poseda.config import SmoothingConfig
from poseda.datasets import read_detections
from poseda.datasets.joint_map import JointMap
from poseda.datasets.layouts import LAYOUTS, Layout
from poseda.datasets.lens import Lens
from poseda.geometry.camera import denormalize_screen
from poseda.geometry.skeleton import H36M16
from poseda.inference import AdaptedLifter, LiftOptions, LineLifter, StreamSummary, lift_footage, serve
from poseda.lifters import build


def says(answer: dict[str, object], sentence: str) -> bool:
    """Whether the pose of a line is not lifted, for this reason."""
    return answer["valid"] is False and answer["pose_3d"] is None and answer["reason"] == sentence


def lines_of(clip: torch.Tensor) -> list[dict[str, object]]:
    return [{"keypoints": pose.tolist()} for pose in denormalize_screen(clip.double(), *SIZE)]


def answers(lifter: LineLifter, lines: list[object]) -> tuple[list[dict[str, object]], StreamSummary]:
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    sink, summary = io.StringIO(), StreamSummary()
    serve(lifter, io.BytesIO(b"\n".join(raw) + b"\n"), sink, summary)
    return [json.loads(line) for line in sink.getvalue().splitlines()], summary


@pytest.fixture
def line_lifter(run: Path) -> Callable[..., LineLifter]:
    def make(**options: object) -> LineLifter:
        model = AdaptedLifter.load(run)
        layout = Layout.of(H36M16)
        return LineLifter(model, image_size=SIZE, layout=layout, options=LiftOptions(**options))  # type: ignore[arg-type]

    return make


def test_a_stream_through_a_causal_lifter_gives_what_the_recording_gives(
    run: Path, clip: torch.Tensor, write: Callable[..., Path]
) -> None:
    config = AdaptedLifter.load(run).config
    past = build("videopose3d", H36M16, frames=9, channels=16, causal=True).eval()
    with torch.no_grad():
        for parameter in past.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    network = replace(config.network, causal=True)
    model = AdaptedLifter(past, H36M16, replace(config, frames=9, network=network), "gpa", 0)
    whole = lift_footage(
        model, read_detections(write(skip={12}), SIZE, layout="h36m16"), Lens(None, None, ""), LiftOptions()
    )
    lines: list[object] = list(lines_of(clip))
    lines[12] = {"keypoints": [[0.0, 0.0, 0.0]] * 16}  # a gap: what lay before it is no longer seen
    layout, options = Layout.of(H36M16), LiftOptions(max_gap=0)
    given, summary = answers(LineLifter(model, image_size=SIZE, layout=layout, options=options), lines)
    assert summary.valid == 19 and not summary.errors and not given[12]["valid"]
    for frame in np.flatnonzero(whole.valid):
        pose = np.array(list(given[frame]["pose_3d"].values()))  # type: ignore[attr-defined]
        assert np.allclose(pose, whole.pose_3d[frame], atol=2e-4), frame


def test_a_stream_gives_the_numbers_of_predict(
    run: Path, clip: torch.Tensor, line_lifter: Callable[..., LineLifter]
) -> None:
    given, summary = answers(line_lifter(root="exact"), lines_of(clip))
    lifted = np.array([[*answer["pose_3d"].values()] for answer in given])  # type: ignore[attr-defined]
    assert np.allclose(lifted, predicted(run, clip), atol=6e-5)
    assert [answer["frame"] for answer in given] == list(range(20))
    assert all(answer["root"][2] > 1 for answer in given)  # type: ignore[index]
    assert (summary.lines, summary.valid, summary.errors) == (20, 20, 0)
    assert summary.frames_per_second > 0 and "20 lines, 20 poses lifted" in summary.sentence()


def test_bad_lines_are_answered_by_number_and_the_stream_goes_on(
    clip: torch.Tensor, line_lifter: Callable[..., LineLifter]
) -> None:
    good = lines_of(clip)[0]
    bad: list[object] = [
        b"{",
        b"\xff\xfe",
        [1, 2],
        {"keypoints": 3},
        {"keypoints": [[1, 2], [3]]},
        {"keypoints": [[1, 2]] * 5},
        {"keypoints": [[1e999, 2]] * 16},
        {"keypoints": good["keypoints"], "frame": "x"},
        {"keypoints": good["keypoints"], "person": {}},
        b'{"keypoints": ' + b"[" * 100_000,
        b"x" * (1 << 21),
    ]
    given, summary = answers(line_lifter(), [*bad, good])
    assert len(given) == len(bad) + 1 and given[-1]["valid"] and given[-1]["frame"] == len(bad)
    for number, answer in enumerate(given[:-1], 1):
        # Places beyond all numbers are unseen, not wrong.
        if number == 7:
            assert says(answer, "0 of 16 joints seen, fewer than half")
        else:
            assert answer["line"] == number and f"line {number}" in str(answer["error"])
    assert summary.errors == len(bad) - 1 and summary.not_lifted == 1
    assert "12 lines, 1 pose lifted, 1 not (see the reason in their lines), 10 errors" in summary.sentence()


@pytest.mark.parametrize(("joints", "found"), [
    ({"keypoints": None}, "null"),
    ({"keypoints": []}, "an empty list"),
    ({"keypoints": {}}, "an empty object"),
    ({"keypoints": "abc"}, "text"),
    ({"keypoints": 3}, "an integer"),
    ({"keypoints": True}, "true or false"),
    ({"keypoints": {"a": 1}}, "an object"),
    ({"pose_keypoints_2d": None}, "null"),
    ({"landmarks": []}, "an empty list"),
])  # fmt: skip
def test_a_line_without_joints_says_what_stands_in_their_place(
    line_lifter: Callable[..., LineLifter], joints: dict[str, object], found: str
) -> None:
    (answer,), _ = answers(line_lifter(), [joints])
    assert answer["error"] == (
        f"stdin: line 1.{next(iter(joints))}: expected the joints of one person, [[x, y, confidence], …], "
        f"found {found}"
    )


def test_an_unseen_joint_at_minus_one_is_unseen_as_in_files(
    clip: torch.Tensor, line_lifter: Callable[..., LineLifter]
) -> None:
    (line, *_) = lines_of(clip)
    line["keypoints"][H36M16.joint("left_wrist")] = [-1, -1]  # type: ignore[index]
    (answer,), _ = answers(line_lifter(max_gap=0), [line])
    assert says(answer, "not seen: left_wrist")


def test_an_unseen_joint_is_held_for_a_while_and_persons_have_their_own(
    clip: torch.Tensor, line_lifter: Callable[..., LineLifter]
) -> None:
    wrist = H36M16.joint("left_wrist")
    lines = lines_of(clip)
    for line in lines:
        line["keypoints"] = [[*point, 1.0] for point in line["keypoints"]]  # type: ignore[attr-defined]
    for line in lines[1:6]:
        line["keypoints"][wrist][2] = 0.1  # type: ignore[index]
    others = [{**lines[0], "person": "b"}, {**lines[2], "person": "c"}]
    given, _ = answers(line_lifter(max_gap=3), [*lines[:8], *others])
    assert [answer["valid"] for answer in given] == [True] * 4 + [False] * 2 + [True] * 3 + [False]
    assert [answer["person"] for answer in given[-2:]] == ["b", "c"]
    why = "not seen now or in the 3 frames before (--max-gap): left_wrist"
    assert all(says(answer, why) for answer in given if not answer["valid"])
    assert not any("reason" in answer for answer in given if answer["valid"])


def test_the_command_answers_each_line_before_the_next_comes(run: Path, clip: torch.Tensor) -> None:
    command = [sys.executable, "-m", "poseda", "lift", "--model", str(run), "--input", "-", *SCREEN]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        for number, line in enumerate(lines_of(clip)[:3]):
            process.stdin.write(json.dumps(line).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["frame"] == number
        process.stdin.close()
        assert process.wait(60) == 0
        said = process.stderr.read().decode()
        assert "3 lines, 3 poses lifted, 0 errors" in said
        assert "camera: field of view unknown, 55 degrees across the longer side assumed (--fov)" in said
        assert "frames a second" not in said  # nothing is filtered


def test_a_filtered_stream_says_which_rate_it_assumes(
    run: Path, clip: torch.Tensor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = json.dumps(lines_of(clip)[0]).encode()
    arguments = ["lift", "--model", str(run), "--input", "-", *SCREEN, "--smooth.filter", "one_euro"]
    for rate, said in (([], True), (["--rate", "25"], False)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line)))
        assert main([*arguments, *rate]) == 0
        assert ("30 frames a second assumed (--rate)" in capsys.readouterr().err) == said


def test_lines_go_to_a_file_or_to_stdout_by_name(
    run: Path,
    clip: torch.Tensor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    line = json.dumps(lines_of(clip)[0]).encode()
    written = []
    for output in ("-", "o.ndjson"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line)))
        assert main(["lift", "--model", str(run), "--input", "-", "--output", output, *SCREEN]) == 0
        written.append(capsys.readouterr().out)
    assert json.loads(written[0])["valid"] and not written[1]
    assert (tmp_path / "o.ndjson").read_text() == written[0]
    assert [path.name for path in tmp_path.iterdir()] == ["o.ndjson"]


def test_filtered_poses_are_no_errors_and_made_up_joints_are_not_seen(run: Path, clip: torch.Tensor) -> None:
    low = [0.9] * 17
    low[13] = 0.1  # the left knee, which is held
    lines = [coco_line(clip, keypoint_scores=[0.9] * 17), coco_line(clip, keypoint_scores=low)]
    notices: list[str] = []
    lifter = LineLifter(
        AdaptedLifter.load(run),
        image_size=SIZE,
        options=LiftOptions(smooth=SmoothingConfig(filter="kalman")),
        notice=notices.append,
    )
    given, summary = answers(lifter, lines)
    made_up = {"pelvis", "spine", "thorax", "head_top"}
    assert (summary.valid, summary.errors) == (2, 0) and all(answer["error"] for answer in given)
    assert [answer["unseen"] for answer in given] == [[], ["left_knee"]]
    assert [set(answer["seen"]) for answer in given] == [  # type: ignore[call-overload]
        set(H36M16.joint_names) - made_up,
        set(H36M16.joint_names) - made_up - {"left_knee"},
    ]
    assert notices == ["made up in all frames, as coco17 lacks them: pelvis, spine, thorax, head_top"]


def test_a_missing_size_is_named(run: Path) -> None:
    with pytest.raises(ValueError, match="--image-size: expected WIDTHxHEIGHT for --input -, got none"):
        LineLifter(AdaptedLifter.load(run))


def coco_line(clip: torch.Tensor, **more: object) -> dict[str, object]:
    """A line of COCO's joints in a row, standing in the middle of the picture."""
    x = torch.linspace(0.4, 0.6, 17) * SIZE[0]
    y = torch.linspace(0.2, 0.8, 17) * SIZE[1]
    return {"keypoints": torch.stack([x, y], 1).tolist(), **more}


def coco_lifter(run: Path, notices: list[str] | None = None, **options: Any) -> LineLifter:
    notice = (lambda _: None) if notices is None else notices.append
    return LineLifter(
        AdaptedLifter.load(run), image_size=SIZE, options=LiftOptions(max_gap=0), notice=notice, **options
    )


def test_scores_beside_the_joints_tell_which_are_seen(run: Path, clip: torch.Tensor) -> None:
    low = [0.9] * 17
    low[13] = 0.1  # the left knee
    lines = [
        coco_line(clip, keypoint_scores=[0.9] * 17),
        coco_line(clip, keypoint_scores=low),
        coco_line(clip, score=0.9),
        coco_line(clip, score=0.1),
    ]
    given, summary = answers(coco_lifter(run), lines)
    assert [answer["valid"] for answer in given] == [True, False, True, False] and not summary.errors


def test_tracks_tell_people_apart_as_detectors_write_them(run: Path, clip: torch.Tensor) -> None:
    lines = [
        coco_line(clip, track_id=3),
        coco_line(clip, track_id=7, frame_id=0),
        coco_line(clip, idx=[4.0]),
        coco_line(clip, person="b", track_id=3),
        coco_line(clip, person_id=[-1]),
    ]
    given, summary = answers(coco_lifter(run), lines)
    assert [answer["person"] for answer in given] == [3, 7, 4, "b", 0] and not summary.errors
    assert [answer["frame"] for answer in given] == [0, 0, 2, 3, 4]


def test_names_of_joints_in_a_line_are_used_and_unknown_joints_refused(run: Path, clip: torch.Tensor) -> None:
    points = coco_line(clip)["keypoints"]
    assert isinstance(points, list)
    names = LAYOUTS["coco17"].joint_names
    named = [{"x": x, "y": y, "score": 1, "name": name} for name, (x, y) in zip(names, points, strict=True)]
    odd = [point | {"name": f"wing {at}"} for at, point in enumerate(named)]
    lines: list[object] = [
        {"keypoints": points},
        {"keypoints": named[::-1]},
        {"keypoints": odd},
        {"keypoints": points[:14]},
        {"people": [{"keypoints": points}, {"keypoints": points}]},
        {"joints3d": 1, "smpl": 2},
        {"keypoints": [[0.5, 0.5]] * 17},
    ]
    given, summary = answers(coco_lifter(run), lines)
    assert given[0]["pose_3d"] == given[1]["pose_3d"] and summary.errors == 5
    for answer, message in zip(
        given[2:],
        (
            "expected joints for skeleton h36m16, found none for",
            "joints, or --layout (crowdpose14, aic14), found 14 joints",
            "expected the joints of one person, found 2 people",
            "expected an object with keypoints, found",
            "expected pixels, found normalised coordinates",
        ),
        strict=True,
    ):
        assert message in str(answer["error"]) and f"line {answer['line']}" in str(answer["error"]), answer
    renamed, summary = answers(
        coco_lifter(run, joints=JointMap.read([f"{name}=wing {at}" for at, name in enumerate(names)])),
        [{"keypoints": odd}],
    )
    assert renamed[0]["pose_3d"] == given[0]["pose_3d"]


def test_fields_that_are_not_used_and_people_without_tracks_are_said_once(
    run: Path, clip: torch.Tensor
) -> None:
    notices: list[str] = []
    lines = [
        coco_line(clip, bbox=[1, 2, 3, 4], score=1.0, frame=0),
        coco_line(clip, bbox=[1, 2, 3, 4], area=3.0, frame=0),
        coco_line(clip, bbox=[1, 2, 3, 4], frame=0),
    ]
    answers(coco_lifter(run, notices), lines)
    assert notices == [
        "line 1: fields that are not used: bbox",
        "made up in all frames, as coco17 lacks them: pelvis, spine, thorax, head_top",
        "line 2: fields that are not used: area",
        "two lines have frame 0 and no track_id, so they are taken for one person",
    ]
