"""`poseda view`."""

from __future__ import annotations

import tempfile
import webbrowser
from pathlib import Path

from poseda.cli.options import read
from poseda.cli.program import Program, UsageError
from poseda.cli.screen import print_json, say
from poseda.config import ViewConfig

PROGRAM = Program(
    "poseda view",
    "Open the report of a run, or a page that plays lifted poses, in the browser.",
    (ViewConfig,),
    positional="path",
)


def run(arguments: list[str]) -> int:
    """Write the page if there is none yet, and open it."""
    config = read(PROGRAM, arguments, lambda given: given.build(ViewConfig))
    try:
        page = _report(config) if config.path.is_dir() else _clip(config)
    except ValueError as error:
        raise PROGRAM.refusal(error) from error
    except OSError as error:
        place = config.page or config.path
        raise UsageError(f"expected a page that can be written, got {place} ({error.strerror})") from error
    opened = config.browser and webbrowser.open(page.resolve().as_uri())
    if config.json:
        print_json({"page": str(page), "opened": bool(opened)})
    else:
        say(f"{page}" if opened or not config.browser else f"{page}: no browser found, open this file in one")
    return 0


def _report(config: ViewConfig) -> Path:
    """The report of a run."""
    from poseda.config.commands import RUN_FILE
    from poseda.runs import RunFolder

    if not (config.path / RUN_FILE).exists():
        raise _neither(config.path)
    if config.page is not None:
        raise UsageError(
            "--page: expected an npz of `poseda lift` beside it, got a run, which has its report"
        )
    report = RunFolder(config.path).report_path
    if not report.exists():
        from poseda.report import write_report

        write_report(config.path)
    return report


def _neither(path: Path) -> UsageError:
    """The refusal of what cannot be viewed."""
    from poseda.config.commands import RUN_FILE

    wanted = f"the folder of a run, with {RUN_FILE}, or an npz of `poseda lift`"
    return UsageError(f"PATH: expected {wanted}, got {path}")


def _check_npz(path: Path) -> None:
    """Refuse what is no npz of lifted poses before torch is loaded, which takes seconds.

    Raises:
        UsageError: naming what can be viewed.
    """
    from poseda.datasets.errors import DataError
    from poseda.datasets.formats.npz import Archive

    try:
        lifted = "pose_3d" in Archive(path)
    except DataError as error:
        raise _neither(path) from error
    if not lifted:
        raise _neither(path)


def _clip(config: ViewConfig) -> Path:
    """A page of lifted poses: where the user wants it, or in a new folder for temporary files."""
    _check_npz(config.path)
    page = config.page
    if page is not None and page.exists() and not config.overwrite:
        raise UsageError(f"--page: expected a new file, got {page}, which exists; --overwrite replaces it")
    from poseda.export import poses_page, read_poses
    from poseda.runs.atomic import write_atomically

    text = poses_page(read_poses(config.path), config.path.stem)
    if page is None:
        page = Path(tempfile.mkdtemp(prefix="poseda-")) / f"{config.path.stem}.html"
    write_atomically(page, text.encode())
    return page
