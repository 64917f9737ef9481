"""What the benchmark records and how it is shown: machine, rich table, the README's Markdown table."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from textwrap import fill
from typing import Any, Literal

import torch

from poseda.runs.atomic import write_json

RIVALS = {"poseaug_style": "PoseAug style", "reference": "plain ref.", "compiled": "compiled ref."}
"""Contestants beside ours, by the name in the records, with what tables call them."""


def machine(device: str) -> dict[str, Any]:
    """What a reader needs to interpret a record: processor, GPU, versions, commit, date."""
    about: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": _commit(),
    }
    if torch.device(device).type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        about |= {"gpu": properties.name, "cuda": torch.version.cuda, "driver": _driver()}
    return about


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _commit() -> str | None:
    return _output("git", "rev-parse", "--short", "HEAD")


def _driver() -> str | None:
    return _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")


HEADINGS = (
    "CPU thr.",
    "batch",
    "pass",
    *RIVALS.values(),
    "ours",
    "vs PoseAug",
    "vs compiled",
    "of copy b/w",
)
"""Times are medians a call; the last column is the share of the measured copy bandwidth that ours reaches."""

PASS = {"forward": "forward", "forward+backward": "fwd+bwd"}


def rows(results: Sequence[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """The cells of one table row per record, under HEADINGS."""
    for result in results:
        seconds, speedup, share = result["seconds"], result["speedup"], result["copy_share"]
        yield (
            str(result["threads"]),
            f"{result['batch']:,}",
            PASS[result["direction"]],
            *(show_seconds(seconds[name]) for name in (*RIVALS, "ours")),
            *(f"{speedup[name]:.1f}x" if name in speedup else "-" for name in ("poseaug_style", "compiled")),
            "-" if share is None else f"{share:.0%}",
        )


def show_seconds(seconds: float | None) -> str:
    """Seconds in the unit that suits them, '-' for none."""
    if seconds is None:
        return "-"
    unit, value = "s", seconds
    for smaller in ("ms", "us"):
        if value < 0.9995:  # which is no longer rounded to 1
            unit, value = smaller, value * 1000
    return f"{value:.3g}{unit}" if value < 999.5 else f"{value:,.0f}{unit}"


def table(results: Sequence[dict[str, Any]]) -> Any:
    """The records as a rich table."""
    from rich.box import SIMPLE
    from rich.table import Table

    devices = ", ".join(sorted({result["device"] for result in results}))
    drawn = Table(title=f"augment on {devices}, float32, median time a call", box=SIMPLE, padding=0)
    for heading in HEADINGS:
        drawn.add_column(heading, justify="left" if heading == "pass" else "right")
    for row in rows(results):
        drawn.add_row(*row)
    return drawn


STAGE_HEADINGS = ("stage", "batch", *PASS.values())


def stage_rows(stages: Sequence[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """The cells of one table row per stage, under STAGE_HEADINGS."""
    for stage in stages:
        yield stage["stage"], f"{stage['batch']:,}", *(show_seconds(stage["seconds"][name]) for name in PASS)


def stage_table(stages: Sequence[dict[str, Any]]) -> Any:
    """Where the time goes, as a rich table."""
    from rich.box import SIMPLE
    from rich.table import Table

    drawn = Table(title="time of a call, stage by stage", box=SIMPLE, padding=0)
    for heading in STAGE_HEADINGS:
        drawn.add_column(heading, justify="left" if heading == "stage" else "right")
    for row in stage_rows(stages):
        drawn.add_row(*row)
    return drawn


def markdown(record: dict[str, Any]) -> str:
    """A recorded run as Markdown: a line on the machine and the tables."""
    lines = [
        about(record["machine"]),
        "",
        *markdown_table(HEADINGS, rows(record["results"])),
    ]
    if "stages" in record:
        lines += ["", *markdown_table(STAGE_HEADINGS, stage_rows(record["stages"]))]
    return "\n".join(lines)


def about(machine: dict[str, Any], more: str = "") -> str:
    """One line on where a record was made."""
    where = machine.get("gpu") or f"{machine['cpu']}, {machine['cores']} cores"
    return f"{where}{more}; torch {machine['torch']}; commit {machine['commit']}; {machine['date'][:10]}."


def markdown_table(headings: Sequence[str], cells: Iterable[Sequence[str]]) -> list[str]:
    lines = [headings, ["---"] * len(headings), *cells]
    return ["| " + " | ".join(line) + " |" for line in lines]


WORDS = ("lifter", "loop", "operator", "part", "phase", "step")
"""Headings of columns that hold words."""


def rich_table(title: str, headings: Sequence[str], cells: Sequence[Sequence[str]]) -> Any:
    """Words to the left, numbers to the right."""
    from rich.box import SIMPLE
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", box=SIMPLE, padding=0, show_edge=False)
    for heading, column in zip(headings, zip(*cells, strict=True), strict=True):
        justify: Literal["left", "right"] = "left" if heading in WORDS else "right"
        narrowest = max(map(len, (*column, *heading.split())))
        drawn.add_column(fill(heading, narrowest), justify=justify, no_wrap=heading in WORDS)
    for row in cells:
        drawn.add_row(*row)
    return drawn


def read_record(path: str | Path, show: Callable[[dict[str, Any]], str]) -> str:
    """A record as Markdown, drawn by ``show``.

    Raises:
        ValueError: if it cannot be read or is of another kind.
    """
    try:
        return show(json.loads(Path(path).read_text()))
    except OSError as error:
        raise ValueError(f"--markdown: expected a file to read, got {path} ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"--markdown: expected a record that --json wrote, got {path} ({error})") from error


@contextmanager
def json_alone(path: str | Path | None) -> Iterator[None]:
    """Within, what is printed goes to the standard error, if the record goes to the standard output."""
    with redirect_stdout(sys.stderr) if str(path) == "-" else nullcontext():
        yield


def save_record(path: str | Path | None, record: Any) -> None:
    """Write a record as JSON, whole or not at all.

    Args:
        path: file to write, of which a link stays one; ``-`` for the standard output; or None.
        record: of numbers, texts, lists and dicts.

    Raises:
        ValueError: if the path is no file, such as a device, which must not be replaced.
    """
    if str(path) == "-":
        print(json.dumps(record, indent=1))
    elif path is not None:
        where = Path(path).resolve()
        check_writable(where)
        write_json(where, record)


def check_writable(path: str | Path) -> None:
    """Find out before the measurement whether its record can be kept.

    Raises:
        ValueError: if not.
    """
    if Path(path).exists() and not Path(path).is_file():
        raise ValueError(f"--json: expected a file to write, or no path at all, got {path}, which is no file")
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        before = Path(path).exists()
        Path(path).open("a").close()
        if not before:
            Path(path).unlink()
    except OSError as error:
        raise ValueError(f"--json: expected a file to write, got {path} ({error.strerror})") from error
