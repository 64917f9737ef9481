"""The command line: adapt, evaluate, bench, info.

Options of `adapt` are the fields of :class:`poseda.config.RunConfig`; nothing is declared twice. Whatever a
user can get wrong ends as one sentence on stderr and exit code 2, before anything is written.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from poseda.config import RunConfig
    from poseda.datasets import Domains

Record = TypeVar("Record")

USAGE = """\
usage: poseda COMMAND [options]

  adapt      adapt a lifter to footage without labels and compare the arms of the method
  evaluate   evaluate the lifters of a run on a domain file
  bench      time the fused op against its rivals
  info       versions, instruction set, CUDA library, threads

poseda COMMAND --help lists the options of a command. `poseda adapt` needs none.
"""


class UsageError(Exception):
    """A mistake of the user's; the message is one sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 for a run that failed, 2 for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    commands: dict[str, Callable[[list[str]], int]] = {
        "adapt": _adapt,
        "evaluate": _evaluate,
        "bench": _bench,
        "info": _info,
    }
    if not given or given[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if given else 2
    if given[0] not in commands:
        return _refuse(f"expected a command among {', '.join(commands)}, got {given[0]!r}")
    try:
        return commands[given[0]](given[1:])
    except UsageError as error:
        return _refuse(str(error))


def _refuse(sentence: str) -> int:
    print(f"poseda: {' '.join(sentence.split())}", file=sys.stderr)
    return 2


# ------------------------------------------------------------------------------------------------ adapt


def _adapt(arguments: list[str]) -> int:
    config = _parse_config(arguments)
    from rich.console import Console

    from poseda import report, training

    console = Console()
    domains = _open(config)
    observer = _Progress(console)
    try:
        run = training.prepare(config, domains, observer)
    except ValueError as error:
        raise UsageError(str(error)) from error
    _print_card(console, training.protocol_card(config, domains, run.splits))
    try:
        with observer:
            results = run.train()
    except training.TrainingError as error:
        print(f"poseda: {error}", file=sys.stderr)
        return 1
    written = report.write_report(config.out)
    split = report.shown_split(results)
    title = f"{domains.name}: {report.SPLIT_TITLES[split]}"
    _print_table(console, report.summarise(results, split), title)
    console.print(f"run folder: {config.out}   report: {written[-1]}", highlight=False)
    return 0


def _parse_config(arguments: list[str]) -> RunConfig:
    """Options over the defaults of the preset they name."""
    from poseda.config import RunConfig, preset

    try:
        defaults = preset(_find_preset(arguments))  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(str(error)) from error
    if any(argument == "--target" or argument.startswith("--target=") for argument in arguments):
        defaults = replace(defaults, arms=("gpa", "gpa_lpa"))
    return _parse(
        RunConfig,
        arguments,
        prog="poseda adapt",
        description="Adapt a lifter to footage without labels and compare the arms of the method.",
        default=defaults,
    )


def _parse(record: type[Record], arguments: list[str], **options: Any) -> Record:
    """Fill a record from options. The parser's framed complaint is turned into the one sentence it holds."""
    import tyro

    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(record, args=arguments, **options)
    except SystemExit as stop:
        if not stop.code:
            raise  # --help
        text = re.sub(r"[─-╿]|-{4,}", " ", complaint.getvalue())
        unread = _describe_unread(text)
        if unread is not None:
            raise UsageError(unread) from stop
        text = re.split(r"Argument helptext|For full helptext|Perhaps you meant", text)[0]
        titles = (
            r"^(Value error|Parsing error|Invalid choice|Missing argument|(Required|Unrecognized) options)"
        )
        sentence = re.sub(titles, "", " ".join(text.split()))
        raise UsageError(re.sub(r"^ *Error parsing \w+: ", "", sentence).strip() or "bad options") from stop


_KINDS = {"INT": "a whole number", "FLOAT": "a number", "[INT [INT ...]]": "whole numbers"}
"""How the parser's names of types read in a sentence."""


def _describe_unread(complaint: str) -> str | None:
    """A value that the parser could not read: flag, expected type, what came. None for other complaints."""
    found = re.search(r"Error parsing (--\S+): (.*?)Argument helptext:\s*--\S+([^\n]*)", complaint, re.DOTALL)
    if found is None:
        return None
    flag, reason, kind = found.group(1), " ".join(found.group(2).split()), found.group(3).strip()
    came = " ".join(re.findall(r"'([^']*)'", reason))
    return f"{flag}: expected {_KINDS.get(kind, kind)}, got {came!r}" if came else f"{flag}: {reason}"


def _find_preset(arguments: list[str]) -> str:
    """The preset decides the defaults, so it is read before the other options are."""
    for at, argument in enumerate(arguments):
        if argument == "--preset" and at + 1 < len(arguments):
            return arguments[at + 1]
        if argument.startswith("--preset="):
            return argument.partition("=")[2]
    return "default"


def _open(config: RunConfig) -> Domains:
    from poseda.datasets import open_domains, own_domains

    try:
        if config.target is not None:
            width, _, height = (config.image_size or "").partition("x")
            return own_domains(
                config.source,
                config.target,
                (int(width), int(height)) if config.image_size else None,
                config.fov,
                cameras=config.cameras,
                intrinsics=config.intrinsics,
                min_confidence=config.min_confidence,
                layout=config.layout,
                stride=config.stride,
            )
        return open_domains(config.data, size=config.domain_size)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error


class _Progress:
    """Shows a run's phases as progress bars: what :class:`poseda.training.Observer` is told."""

    def __init__(self, console: Any) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
        )
        self._task: Any = None

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def phase_started(self, title: str, steps: int, done: int) -> None:
        self._task = self._progress.add_task(title, total=steps, completed=done)

    def advanced(self, step: int) -> None:
        self._progress.update(self._task, completed=step)

    def phase_finished(self, title: str) -> None:
        self._progress.stop_task(self._task)


def _print_card(console: Any, card: dict[str, str]) -> None:
    """The protocol card: what a reader must know to compare the numbers with others'."""
    from rich.panel import Panel

    width = max(map(len, card))
    lines = "\n".join(f"{name:<{width}}  {value}" for name, value in card.items())
    console.print(Panel(lines, title="protocol", title_align="left", border_style="dim", expand=False))


def _print_table(console: Any, summaries: Sequence[Any], title: str) -> None:
    from rich.table import Table

    from poseda.report import HEADINGS, cells

    table = Table(title=title, title_justify="left", header_style="bold")
    for at, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if at else "left")
    for summary in summaries:
        style = "bold" if summary.arm == "gpa_lpa" else ""
        table.add_row(summary.arm, *cells(summary), style=style)
    console.print(table)


# --------------------------------------------------------------------------------------------- evaluate


def _evaluate(arguments: list[str]) -> int:
    import tyro
    from rich.console import Console

    from poseda import report
    from poseda.config import EvaluateConfig, from_json
    from poseda.training import describe_data, evaluate_folder, evaluation_card, read_folder
    from poseda.training.checkpoint import write_json

    markers = (tyro.conf.PositionalRequiredArgs,)
    options = _parse(EvaluateConfig, arguments, prog="poseda evaluate", config=markers)
    try:
        record = read_folder(options.run)
        config = from_json(record["config"])
        if options.data is not None:
            own = ("target", "source", "image_size", "fov", "cameras", "intrinsics", "layout")
            without: dict[str, Any] = dict.fromkeys(own)
            domains = _open(replace(config, data=options.data, **without))
        else:
            domains = _open(config)
        rows = evaluate_folder(options.run, config, domains, options.split)
    except ValueError as error:
        raise UsageError(str(error)) from error
    console = Console()
    card = evaluation_card(record, domains, options.split)
    data = {"run": record["data"], "evaluated": describe_data(domains)}
    try:
        write_json(options.run / "evaluation.json", {"protocol": card, "data": data, "results": rows})
    except OSError as error:
        raise UsageError(
            f"{options.run}: expected a folder that can be written ({error.strerror})"
        ) from error
    _print_card(console, card)
    _print_table(console, report.summarise(rows, options.split), f"{domains.name}: {options.split}")
    console.print(f"written: {options.run / 'evaluation.json'}", highlight=False)
    return 0


# ------------------------------------------------------------------------------------------ bench, info


def _bench(arguments: list[str]) -> int:
    from poseda import bench

    return bench.main(arguments)


def _info(arguments: list[str]) -> int:
    if arguments:
        if arguments[0] in ("-h", "--help"):
            print("usage: poseda info\n\nversions, instruction set, CUDA library, threads")
            return 0
        raise UsageError(f"info: expected no options, got {' '.join(arguments)}")
    from poseda.native import build_info

    info = build_info()
    width = max(map(len, info))
    for name, value in info.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        print(f"{name:<{width}}  {'none' if shown in (None, '') else shown}")
    return 0
