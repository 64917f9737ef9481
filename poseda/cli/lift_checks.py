"""What `poseda lift` refuses before a lifter is loaded, and before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseda.cli.program import Given, UsageError
from poseda.config import STDOUT, ConfigError, LiftConfig
from poseda.config.limits import for_each

if TYPE_CHECKING:
    from poseda.config import RunConfig
    from poseda.datasets.detections import Detections2D
    from poseda.inference import AdaptedLifter


def asked(given: Given) -> LiftConfig:
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


def check_outputs(config: LiftConfig) -> None:
    """Refuse files that exist.

    Raises:
        UsageError: naming the first.
    """
    check_free([path for path in config.output if path != STDOUT], config.overwrite)
    if config.overlay is not None:
        check_free([config.overlay], config.overwrite, "overlay")


def check_free(files: Sequence[Path], overwrite: bool, option: str = "output") -> None:
    """Refuse files that exist, unless they may be replaced.

    Raises:
        UsageError: naming the first.
    """
    there = [path for path in files if path.exists()]
    if there and not overwrite:
        raise UsageError(
            f"--{option}: expected a new file, got {there[0]}, which exists; --overwrite replaces it"
        )


def check_libraries(outputs: Sequence[Path], overlay: Path | None = None) -> None:
    """Refuse files whose library is missing.

    Raises:
        ValueError: with the command that installs it.
    """
    from poseda.export import check_movie, check_suffix

    for path in outputs:
        check_suffix(path)
    if overlay is not None:
        check_movie(overlay)


def early(config: LiftConfig) -> Detections2D | None:
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
    detections = read_input(config, run_of, config.input)
    if config.intrinsics is None and (config.fov is not None or not run_of.intrinsics):
        check_sized(detections)
    return detections


def read_input(config: LiftConfig, run_of: RunConfig, path: Path) -> Detections2D:
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
        picture_size(or_run(config, run_of, "image_size")),
        layout=or_run(config, run_of, "layout"),
        joints=names,
        strict=config.strict,
    )
    if config.joints:  # the run's may be of other footage
        names.check()
    return choose_people(detections, config.people)


def or_run(config: LiftConfig, run_of: RunConfig, name: str) -> Any:
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


WIDE_ALONE = ("moving_camera", "two_passes", "fit", "stature", "min_joints")
"""Options that the wide arms alone use."""


def refuse_idle(config: LiftConfig, model: AdaptedLifter) -> None:
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
