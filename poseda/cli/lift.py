"""`poseda lift`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseda.cli import lift_checks
from poseda.cli.lift_files import facts_of_files, write_files
from poseda.cli.lift_screen import clips_of, joints_of, root_of, show
from poseda.cli.options import read
from poseda.cli.program import INTERRUPTED, Program, UsageError
from poseda.cli.screen import LateBar, complain, open_console, print_account
from poseda.config import STDOUT, LiftConfig

if TYPE_CHECKING:
    from poseda.datasets.detections import Detections2D
    from poseda.inference import AdaptedLifter
    from poseda.video import Video

PROGRAM = Program(
    "poseda lift",
    "Lift 2D detections or videos to 3D poses, from files or line by line, with the lifter of a run or the "
    "package's own.",
    (LiftConfig,),
    common=(
        *("model", "input", "output", "overlay", "arm", "image_size", "fov", "intrinsics"),
        *("root", "smooth.filter", "rate", "device", "overwrite", "json"),
    ),
    of_run=(
        "image_size",
        "fov",
        "intrinsics",
        "layout",
        "video_detector",
        "video_model",
        "min_confidence",
        "device",
    ),
)


def run(arguments: list[str]) -> int:
    """Lift a recording, or what comes on stdin."""
    config = read(PROGRAM, _joined(arguments), lift_checks.asked)

    from poseda.config import picture_size

    try:
        # Torch and the lifter take seconds to load: what can be refused without them is refused before.
        lift_checks.check_outputs(config)
        detections = lift_checks.early(config)

        from poseda.device import choose
        from poseda.inference import AdaptedLifter

        model = AdaptedLifter.load(config.model, config.arm, config.seed, choose(config.device))
        lift_checks.refuse_idle(config, model)
        run_of = model.config
        given = {name: lift_checks.or_run(config, run_of, name) for name in ("image_size", "layout")}
        given["fov"] = lift_checks.or_run(config, run_of, "fov") if config.intrinsics is None else config.fov
        if config.fov is None or config.intrinsics is not None:
            given["intrinsics"] = lift_checks.or_run(config, run_of, "intrinsics")
        given |= {
            name: lift_checks.or_run(config, run_of, name) for name in ("video_detector", "video_model")
        }
        given["image_size"] = picture_size(given["image_size"])
        if config.streams:
            with ExitStack() as closing:
                return _stream(config, model, given, closing)
        return _files(config, model, given, detections)
    except ValueError as error:
        raise PROGRAM.refusal(error) from error


def _joined(arguments: list[str]) -> list[str]:
    """The arguments with ``--output -`` as one word: of a list, the parser would take - for an option."""
    joined = list[str]()
    for word in arguments:
        if word == str(STDOUT) and joined[-1:] == ["--output"]:
            joined[-1] = f"--output={STDOUT}"
        else:
            joined.append(word)
    return joined


def _files(
    config: LiftConfig, model: AdaptedLifter, given: dict[str, Any], detections: Detections2D | None
) -> int:
    from poseda.cli.footage import with_detections
    from poseda.datasets.account import account_of
    from poseda.datasets.lens import find_lens
    from poseda.inference import (
        LiftOptions,
        guessed_frames,
        height_lines,
        lift_footage,
        lift_wide,
        why_not_lifted,
    )
    from poseda.video import check_pictures

    lift_checks.check_libraries(config.output, config.overlay)
    if detections is None:
        results = [path for path in (config.model, config.output[0].with_suffix("")) if path is not None]
        path = with_detections(config.input, results, given["video_detector"], given["video_model"])
        detections = lift_checks.read_input(config, model.config, path)
    if config.video is not None:
        check_pictures(_pictures(config, detections.clip_name), detections, given["image_size"])
    options = LiftOptions.of(config, model.config, detections.reading.rate)
    account = account_of(detections, model.skeleton, options.min_confidence, options.max_gap)
    print_account(open_console(config.json), {"": account}, brief=not config.verbose)
    lens = find_lens(
        detections, model.skeleton, given.get("intrinsics"), given["fov"], options.min_confidence
    )
    tilt, limits = None, list[str]()
    if model.wide:
        poses, found = lift_wide(model, detections, lens, options, LateBar("lifting"))
        tilt, guessed, limits = found.sentence(), found.bridged, list(found.at_limits)
    else:
        poses = lift_footage(model, detections, lens, options, LateBar("lifting"))
        guessed = guessed_frames(poses)
    pictures = None if config.overlay is None else _pictures(config, poses.clip_name)
    summary = {
        "written": [
            str(path)
            for path in write_files(config.output, poses, config.overwrite, config.overlay, pictures)
        ],
        "frames": len(poses),
        "valid": int(poses.valid.sum()),
        "people": len(list(poses.tracks())),
        "joints": joints_of(poses),
        "guessed": guessed,
        **facts_of_files(config.output, poses),
        "root": root_of(poses, model.wide and options.fit),
        "clips": clips_of(poses),
        "dropped": why_not_lifted(poses, options.max_gap, options.min_joints if model.wide else None),
        "arm": model.arm,
        "seed": model.seed,
        "skeleton": model.skeleton.name,
        "camera": lens.note if tilt is None else f"{lens.note}; {tilt}",
        "heights": height_lines(poses),
        "at_limits": limits,
        "account": account.as_json(),
    }
    show(summary, config.json)
    return 0


def _pictures(config: LiftConfig, clip_name: Callable[[int], str]) -> Callable[[int], Video | None]:
    """From the number of a clip to the video that shows it."""
    from poseda.video import pictures_of

    return pictures_of(config.input if config.video is None else config.video, clip_name)


def _stream(config: LiftConfig, model: AdaptedLifter, given: dict[str, Any], closing: ExitStack) -> int:
    import json

    import torch

    from poseda.datasets.formats.cameras import read_intrinsics
    from poseda.datasets.joint_map import JointMap
    from poseda.datasets.layouts import Layout
    from poseda.inference import LiftOptions, LineLifter, StreamSummary, serve

    torch.set_num_threads(1)  # one pose is too little work to share
    source: Any = sys.stdin.buffer
    if config.camera:
        source = _camera(config, given, closing)
    if given["fov"] == "estimate":
        given["fov"] = None  # the run's, which no single pose can repeat
    lifter = LineLifter(
        model,
        intrinsics=read_intrinsics(given["intrinsics"]) if given.get("intrinsics") else None,
        fov=given["fov"],
        image_size=given["image_size"],
        layout=None if given["layout"] is None else Layout.named(given["layout"]),
        joints=JointMap.of(config.joints or model.config.joints or None),
        options=LiftOptions.of(config, model.config, given.get("rate")),
        notice=complain,
    )
    for assumed in _assumed(config, given):
        complain(assumed)
    summary, code = StreamSummary(), 0
    with ExitStack() as stack:
        sink = sys.stdout
        if config.output and config.output[0] != STDOUT:
            sink = stack.enter_context(_opened(config.output[0]))
        try:
            serve(lifter, source, sink, summary)
        except BrokenPipeError:
            # The reader is gone. Python flushes stdout when it ends, so stdout must lead elsewhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except KeyboardInterrupt:
            code = INTERRUPTED
    if config.json:
        print(json.dumps(summary.as_dict()), file=sys.stderr)
    else:
        complain(summary.sentence())
    return code


def _assumed(config: LiftConfig, given: dict[str, Any]) -> list[str]:
    """What no line of a stream tells, in words; filters alone use the rate."""
    from poseda.datasets.lens import UNKNOWN
    from poseda.inference.model import ASSUMED_RATE

    filtered = config.smooth.filter in ("one_euro", "kalman")
    return [
        *([f"camera: {UNKNOWN} (--fov)"] if given["fov"] is None and not given.get("intrinsics") else []),
        *(
            [f"{ASSUMED_RATE:g} frames a second assumed (--rate)"]
            if filtered and config.rate is None and given.get("rate") is None
            else []
        ),
    ]


def _camera(config: LiftConfig, given: dict[str, Any], closing: ExitStack) -> Any:
    """The lines of a camera. They decide the picture's size, the joints and the rate."""
    from poseda.cli.footage import detector_of
    from poseda.inference.model import ASSUMED_RATE
    from poseda.video import open_camera
    from poseda.video.lines import CameraLines

    detector = closing.enter_context(detector_of(given["video_detector"], given["video_model"]))
    camera = open_camera(str(config.input))
    rate = given["rate"] = config.rate or camera.rate or ASSUMED_RATE
    if config.rate is None:
        who = "by default, as the capture names none" if camera.rate is None else "as the capture says"
        complain(f"{config.input}: {rate:g} frames per second, {who}; frames are numbered by their times")
    lines = CameraLines(camera, detector, rate)
    given["image_size"], given["layout"] = lines.image_size, detector.layout.name
    return lines


def _opened(path: Path) -> Any:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w")
    except OSError as error:
        raise UsageError(
            f"--output: expected a file that can be written, got {path} ({error.strerror})"
        ) from error
