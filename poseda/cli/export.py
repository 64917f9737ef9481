"""`poseda export`."""

from __future__ import annotations

from pathlib import Path

from poseda.cli.lift_checks import check_free, check_libraries
from poseda.cli.lift_files import facts_of_files, lines_of_files, write_files
from poseda.cli.options import read
from poseda.cli.program import Program, UsageError
from poseda.cli.screen import say
from poseda.config import ExportConfig

PROGRAM = Program(
    "poseda export",
    "Write an npz of `poseda lift` in other formats, or a lifter of a run as an ONNX file, for runtimes "
    "without torch.",
    (ExportConfig,),
    positional="path",
)


def run(arguments: list[str]) -> int:
    """Write the files, and say what is in them."""
    config = read(PROGRAM, arguments, lambda given: given.build(ExportConfig))
    try:
        lines = _lifter(config, config.model) if config.model else _poses(config, config.path or Path())
    except ValueError as error:
        raise PROGRAM.refusal(error) from error
    say("\n".join(lines))
    return 0


def _poses(config: ExportConfig, path: Path) -> list[str]:
    """Write lifted poses; what must be said of the files."""
    check_free(config.output, config.overwrite)
    _check_npz(path)

    from poseda.export import read_poses

    check_libraries(config.output)
    poses = read_poses(path)
    written = write_files(config.output, poses, config.overwrite)
    facts = facts_of_files(config.output, poses)
    return [*lines_of_files(facts), f"written: {', '.join(map(str, written))}"]


def _check_npz(path: Path) -> None:
    """Refuse what is no npz of `poseda lift`.

    Raises:
        UsageError: naming what can be exported.
    """
    from poseda.datasets.errors import DataError
    from poseda.datasets.formats.npz import Archive
    from poseda.datasets.formats.own_files import is_own_npz

    try:
        own = path.is_file() and is_own_npz(Archive(path))
    except DataError:
        own = False
    if not own:
        raise UsageError(
            f"PATH: expected an npz of `poseda lift`, got {path}; --model takes the folder of a run"
        )


def _lifter(config: ExportConfig, folder: Path) -> list[str]:
    """Write a lifter; what goes in and comes out."""
    from poseda.inference import AdaptedLifter
    from poseda.lifters import FlipAverage, export_onnx
    from poseda.lifters.onnx import export_wide_onnx
    from poseda.lifters.wide import WideLifter

    (output,) = config.output
    try:
        model = AdaptedLifter.load(folder, config.arm, config.seed)
        output.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(model.lifter, WideLifter):
            reads = "rays (batch, frames, joints, 2) and seen (batch, frames, joints)"
            export_wide_onnx(model.lifter, output)
        else:
            reads = "pose_2d (batch, frames, joints, 2), screen coordinates"
            flip = model.config.training.flip
            lifter = FlipAverage(model.lifter, model.skeleton).eval() if flip else model.lifter
            export_onnx(lifter, output, model.skeleton, model.frames, any_frames=False)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"expected the packages onnx and onnxscript, got none that can be imported ({error}); "
            f"pip install 'poseda[onnx]' brings them"
        ) from error
    except OSError as error:
        raise UsageError(
            f"--output: expected a file that can be written, got {output} ({error.strerror})"
        ) from error
    return [f"written: {output}, {model.arm} of seed {model.seed}; it reads {reads}"]
