"""`poseda export`."""

from __future__ import annotations

from poseda.cli.options import read
from poseda.cli.program import Program, UsageError
from poseda.cli.screen import say
from poseda.config import ExportConfig

PROGRAM = Program(
    "poseda export", "Write a lifter of a run as an ONNX file, for runtimes without torch.", (ExportConfig,)
)


def run(arguments: list[str]) -> int:
    """Write the file, and say what goes in and comes out."""
    config = read(PROGRAM, arguments, lambda given: given.build(ExportConfig))

    from poseda.inference import AdaptedLifter
    from poseda.lifters import FlipAverage, export_onnx
    from poseda.lifters.onnx import export_wide_onnx
    from poseda.lifters.wide import WideLifter

    try:
        model = AdaptedLifter.load(config.model, config.arm, config.seed)
        config.output.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(model.lifter, WideLifter):
            reads = "rays (batch, frames, joints, 2) and seen (batch, frames, joints)"
            export_wide_onnx(model.lifter, config.output)
        else:
            reads = "pose_2d (batch, frames, joints, 2), screen coordinates"
            flip = model.config.training.flip
            lifter = FlipAverage(model.lifter, model.skeleton).eval() if flip else model.lifter
            export_onnx(lifter, config.output, model.skeleton, model.frames, any_frames=False)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"expected the packages onnx and onnxscript, got none that can be imported ({error}); "
            f"pip install 'poseda[onnx]' brings them"
        ) from error
    except OSError as error:
        raise UsageError(
            f"--output: expected a file that can be written, got {config.output} ({error.strerror})"
        ) from error
    except ValueError as error:
        raise PROGRAM.refusal(error) from error
    say(f"written: {config.output}, {model.arm} of seed {model.seed}; it reads {reads}")
    return 0
