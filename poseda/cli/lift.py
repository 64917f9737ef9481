"""`poseda lift`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseda.cli.options import read
from poseda.cli.program import INTERRUPTED, Given, Program, UsageError
from poseda.cli.screen import LateBar, complain, open_console, print_account, print_json, print_text
from poseda.config import ConfigError, LiftConfig
from poseda.config.limits import for_each

if TYPE_CHECKING:
    from poseda.config import RunConfig
    from poseda.datasets.detections import Detections2D
    from poseda.export import LiftedPoses
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


NAMED = 10
"""Most people who are named that were left out; all are counted."""


def run(arguments: list[str]) -> int:
    """Lift a recording, or what comes on stdin."""
    config = read(PROGRAM, arguments, _asked)

    from poseda.config import picture_size

    try:
        # Torch and the lifter take seconds to load: what can be refused without them is refused before.
        _check_outputs(config)
        detections = _early(config)

        from poseda.device import choose
        from poseda.inference import AdaptedLifter

        model = AdaptedLifter.load(config.model, config.arm, config.seed, choose(config.device))
        _refuse_idle(config, model)
        run_of = model.config
        given = {name: _or_run(config, run_of, name) for name in ("image_size", "layout")}
        given["fov"] = _or_run(config, run_of, "fov") if config.intrinsics is None else config.fov
        if config.fov is None or config.intrinsics is not None:
            given["intrinsics"] = _or_run(config, run_of, "intrinsics")
        given |= {name: _or_run(config, run_of, name) for name in ("video_detector", "video_model")}
        given["image_size"] = picture_size(given["image_size"])
        if config.streams:
            with ExitStack() as closing:
                return _stream(config, model, given, closing)
        return _files(config, model, given, detections)
    except ValueError as error:
        raise PROGRAM.refusal(error) from error


def _asked(given: Given) -> LiftConfig:
    """What arguments ask for.

    Raises:
        ConfigError: naming the first option that the input leaves without effect. A file of options, such as
            the record of a run, may hold more than this input needs.
    """
    from poseda.video import holds_videos

    config, why = given.build(LiftConfig), "holds no videos"
    idle: tuple[str, ...] = ("video_detector", "video_model")
    if config.camera:
        idle, why = ("image_size", "layout"), "gives them itself"
    elif holds_videos(config.input):
        idle, why = ("video",), "holds videos itself"
    for name in idle:
        if (value := given.values.get(name)) is not None and name not in given.files:
            raise ConfigError(name, f"expected none, as <input> {config.input} {why}, got {value}", "input")
    return config


WIDE_ALONE = ("moving_camera", "two_passes", "fit", "stature", "min_joints")
"""Options that the wide arms alone use."""


def _refuse_idle(config: LiftConfig, model: AdaptedLifter) -> None:
    """Refuse options that the arm of a lifter leaves without effect.

    Raises:
        ConfigError: naming the first.
    """
    if model.wide:
        bridges = (config.fit and not config.streams) or config.smooth.filter == "kalman"
        if config.max_gap != LiftConfig.max_gap and not bridges:
            wanted = "expected the fit of files, or <smooth.filter> kalman, which bridge gaps for the arm"
            raise ConfigError("max_gap", f"{wanted} {model.arm}, got neither", "smooth.filter")
        return
    for name in (*WIDE_ALONE, *(("camera_pitch",) if config.streams else ())):
        value, usual = getattr(config, name), getattr(LiftConfig, name)
        if value != usual:
            wanted = "true" if usual is True else "none"
            came = "true" if value is True else "false" if value is False else f"{value:g}"
            use = "only the wide arms use it" + " in streams" * (name == "camera_pitch")
            raise ConfigError(
                name, f"expected {wanted} for the arm {model.arm}, got {came}; {use}, so leave it out"
            )


def _check_outputs(config: LiftConfig) -> None:
    """Refuse files that exist."""
    if config.output is not None:
        _check_free(config, [config.output])
    if config.overlay is not None:
        _check_free(config, [config.overlay], "overlay")


def _early(config: LiftConfig) -> Detections2D | None:
    """The detections, read before a lifter is loaded; None of streams, and of videos, which must open.

    None, too, where the run has no record that can be read, which is refused later.
    """
    from poseda import pretrained
    from poseda.cli.footage import check_videos
    from poseda.cli.recipe import recorded_options
    from poseda.config import from_json
    from poseda.datasets.checks import check_sized
    from poseda.video import holds_videos

    if config.streams:
        return None
    if holds_videos(config.input):
        check_videos(config.input)
        return None
    record = recorded_options({"resume": True, "out": config.model or pretrained.FOLDER})
    try:
        run_of = from_json(record)
    except (ValueError, KeyError, TypeError):
        return None
    detections = _detections(config, run_of, config.input)
    if config.intrinsics is None and (config.fov is not None or not run_of.intrinsics):
        check_sized(detections)
    return detections


def _detections(config: LiftConfig, run_of: RunConfig, path: Path) -> Detections2D:
    """The detections to lift.

    Args:
        config: of the command.
        run_of: of the lifter.
        path: of files of detections.

    Raises:
        DataError: if they cannot be read.
    """
    from poseda.config import picture_size
    from poseda.datasets.detection_files import read_detections
    from poseda.datasets.joint_map import JointMap
    from poseda.datasets.people import choose_people

    names = JointMap.of(config.joints or run_of.joints or None)
    detections = read_detections(
        path,
        picture_size(_or_run(config, run_of, "image_size")),
        layout=_or_run(config, run_of, "layout"),
        joints=names,
        strict=config.strict,
    )
    if config.joints:  # the run's may be of other footage
        names.check()
    return choose_people(detections, config.people)


def _or_run(config: LiftConfig, run_of: RunConfig, name: str) -> Any:
    """An option, or what the run had for it."""
    asked = getattr(config, name)
    if asked is not None or name not in ("image_size", "fov", "intrinsics"):
        return getattr(run_of, name) if asked is None else asked
    return _of_rig(config, run_of, name)


def _of_rig(config: LiftConfig, run_of: RunConfig, name: str) -> Any:
    """What the run had for the path that is lifted.

    Raises:
        ConfigError: if the run had several values, and the path is none of its targets.
    """
    values, targets = getattr(run_of, name), [path.resolve() for path in run_of.target]
    if len(targets) > 1 and config.input.resolve() in targets:
        at = targets.index(config.input.resolve())
        if name == "intrinsics":
            from poseda.datasets.lens import find_cameras
            from poseda.datasets.rig import names_of

            return find_cameras(values, names_of(targets))[at]
        return for_each(name, values, len(targets))[at]
    if len(values) > 1:
        paths = " ".join(map(str, run_of.target))
        raise ConfigError(
            name, f"expected a value for {config.input}, which is none of the run's {paths}, got none"
        )
    return values[0] if values else None


def _files(
    config: LiftConfig, model: AdaptedLifter, given: dict[str, Any], detections: Detections2D | None
) -> int:
    from poseda.cli.footage import with_detections
    from poseda.datasets.account import account_of
    from poseda.datasets.lens import find_lens
    from poseda.export import bridged_frames, held_frames, skipped_tracks, world_note
    from poseda.inference import (
        LiftOptions,
        guessed_frames,
        height_lines,
        lift_footage,
        lift_wide,
        why_not_lifted,
    )
    from poseda.video import check_pictures

    assert config.output is not None
    _check_libraries(config)
    if detections is None:
        results = [path for path in (config.model, config.output.with_suffix("")) if path is not None]
        path = with_detections(config.input, results, given["video_detector"], given["video_model"])
        detections = _detections(config, model.config, path)
    if config.video is not None:
        check_pictures(_pictures(config, detections.clip_name), detections, given["image_size"])
    options = LiftOptions.of(config, model.config, detections.reading.rate)
    account = account_of(detections, model.skeleton, options.min_confidence, options.max_gap)
    print_account(open_console(config.json), {"": account})
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
    skipped, written = skipped_tracks(config.output, poses), _write(config, poses)
    _show(
        {
            "written": [str(path) for path in written],
            "frames": len(poses),
            "valid": int(poses.valid.sum()),
            "people": len(list(poses.tracks())),
            "guessed": guessed,
            "skipped": len(skipped),
            "bridged": _named(bridged_frames(config.output, poses), poses),
            "held": _named(held_frames(config.output, poses), poses),
            "world": world_note(config.output, poses),
            "rate": options.rate,
            "rate_assumed": config.rate is None and detections.reading.rate is None,
            "clips": _clips(poses),
            "dropped": why_not_lifted(poses, options.max_gap, options.min_joints if model.wide else None),
            "arm": model.arm,
            "seed": model.seed,
            "skeleton": model.skeleton.name,
            "camera": lens.note if tilt is None else f"{lens.note}; {tilt}",
            "heights": height_lines(poses),
            "at_limits": limits,
            "account": account.as_json(),
        },
        [f"person {person} of clip {poses.clip_name(clip)}" for clip, person in skipped],
        config.json,
    )
    return 0


def _named(
    stretches: dict[tuple[int, int], list[tuple[int, int]]], poses: LiftedPoses
) -> list[dict[str, Any]]:
    """Stretches of frames with the person and the name of the clip."""
    return [
        {"clip": poses.clip_name(clip), "person": person, "frames": frames}
        for (clip, person), frames in stretches.items()
    ]


def _check_libraries(config: LiftConfig) -> None:
    """Refuse files whose library is missing, before there is anything to write."""
    from poseda.export import check_movie, check_suffix

    assert config.output is not None
    check_suffix(config.output)
    if config.overlay is not None:
        check_movie(config.overlay)


def _pictures(config: LiftConfig, clip_name: Callable[[int], str]) -> Callable[[int], Video | None]:
    """From the number of a clip to the video that shows it."""
    from poseda.video import pictures_of

    return pictures_of(config.input if config.video is None else config.video, clip_name)


def _write(config: LiftConfig, poses: LiftedPoses) -> list[Path]:
    """Write all that is asked for; nothing if any of it exists."""
    from poseda.export import planned_files, planned_overlays, write_overlay, write_poses

    assert config.output is not None
    _check_free(config, planned_files(config.output, poses))
    if config.overlay is not None:
        _check_free(config, planned_overlays(config.overlay, poses), "overlay")
    option, path = "output", config.output
    try:
        written = write_poses(path, poses)
        if config.overlay is not None:
            option, path = "overlay", config.overlay
            pictures = _pictures(config, poses.clip_name)
            written += write_overlay(path, poses, pictures, progress=LateBar("drawing"))
    except OSError as error:
        raise UsageError(
            f"--{option}: expected a file that can be written, got {path} ({error.strerror})"
        ) from error
    return written


def _clips(poses: LiftedPoses) -> list[dict[str, Any]]:
    """Each clip by number and name, with its people, frames and lifted frames."""
    clips: dict[int, dict[str, Any]] = {}
    for clip, _, rows in poses.tracks():
        name = poses.clip_name(clip)
        entry = clips.setdefault(clip, {"clip": clip, "name": name, "people": 0, "frames": 0, "valid": 0})
        entry["people"] += 1
        entry["frames"] += rows.stop - rows.start
        entry["valid"] += int(poses.valid[rows].sum())
    return list(clips.values())


def _show(summary: dict[str, Any], skipped: list[str], as_json: bool) -> None:
    """Print what was lifted, where it is and who was left out."""
    from poseda.datasets.tracking import counted
    from poseda.method.at_limit import said

    left_out = ", ".join(skipped[:NAMED]) + (f" and {len(skipped) - NAMED} more" if skipped[NAMED:] else "")
    missing = "; ".join(
        f"{counted(count, 'frame')}: {reason}" for reason, count in summary["dropped"].items()
    )
    named = [f"{clip['name']} {clip['valid']}/{clip['frames']}" for clip in summary["clips"][:NAMED]]
    more = " …" if summary["clips"][NAMED:] else ""
    lines = [
        f"lifted {summary['valid']} of {counted(summary['frames'], 'frame')}, "
        f"{counted(summary['people'], 'person', 'people')}, "
        "by {arm} of seed {seed}; camera: {camera}".format_map(summary),
        f"clips: {', '.join(named)}{more}",
        *summary["heights"][:NAMED],
        *(["… and others"] if summary["heights"][NAMED:] else []),
        *said(summary["at_limits"], NAMED),
        *([f"not lifted: {missing}"] if missing else []),
        *([f"{counted(summary['guessed'], 'frame')} bridged by motion"] if summary["guessed"] else []),
        *([f"world: {summary['world']}"] if summary["world"] else []),
        *([f"{summary['rate']:g} frames a second assumed (--rate)"] if summary["rate_assumed"] else []),
        *([f"gaps bridged, frames of {_by_person(summary['bridged'])}"] if summary["bridged"] else []),
        *([f"one pose held, frames of {_by_person(summary['held'])}"] if summary["held"] else []),
        *([f"left out, without a valid frame: {left_out}"] if skipped else []),
    ]
    console = open_console(as_json)
    print_text(console, "\n".join(lines))
    print_text(console, f"written: {', '.join(summary['written'])}", whole=True)
    if as_json:
        print_json(summary)


def _by_person(found: list[dict[str, Any]]) -> str:
    """Stretches of the first people, in words."""
    people = [
        f"person {one['person']} of clip {one['clip']}: {_stretches(one['frames'])}" for one in found[:NAMED]
    ]
    return "; ".join([*people, *(["…"] if found[NAMED:] else [])])


def _stretches(stretches: list[tuple[int, int]]) -> str:
    """Stretches of frames in words, the first of them."""
    words = [f"{first}-{last}" if last > first else str(first) for first, last in stretches[:NAMED]]
    return ", ".join(words) + (f" and {len(stretches) - NAMED} more" if stretches[NAMED:] else "")


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
    summary, code = StreamSummary(), 0
    with ExitStack() as stack:
        sink = sys.stdout
        if config.output is not None:
            sink = stack.enter_context(_opened(config.output))
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


def _camera(config: LiftConfig, given: dict[str, Any], closing: ExitStack) -> Any:
    """The lines of a camera. They decide the picture's size, the joints and the rate."""
    from poseda.cli.footage import detector_of
    from poseda.inference import LiftOptions
    from poseda.video import open_camera
    from poseda.video.lines import CameraLines

    detector = closing.enter_context(detector_of(given["video_detector"], given["video_model"]))
    camera = open_camera(str(config.input))
    rate = given["rate"] = config.rate or camera.rate or LiftOptions.rate
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


def _check_free(config: LiftConfig, files: list[Path], option: str = "output") -> None:
    there = [path for path in files if path.exists()]
    if there and not config.overwrite:
        raise UsageError(
            f"--{option}: expected a new file, got {there[0]}, which exists; --overwrite replaces it"
        )
