"""What `poseda adapt` says before it trains: about ten lines, or with --verbose all that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poseda.cli.progress import duration
from poseda.cli.screen import print_account, print_card, print_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poseda.datasets import Domains
    from poseda.runs.verdict import Verdict
    from poseda.training.plan import PlannedPhase
    from poseda.training.run import Run

TRAINED_ALL_THE_SAME = (
    "All arms are trained all the same, and judged again afterwards; --gate on trains the source model alone."
)
"""After a verdict to keep the source model, where training goes on."""

FINISHED = "The run was finished before: nothing is computed again."
"""Of a resumed run that lacks nothing."""

MOST_FILES = 2
"""Most files of weak labels that the brief lines name."""


@dataclass(frozen=True)
class AdaptScreen:
    """How much `poseda adapt` prints."""

    verbose: bool = False
    """Print all about the data and the protocol before training, not the first lines of it."""


def show_data(console: Any, domains: Domains, verbose: bool) -> None:
    """Print what is read, and what of it is guessed or dropped."""
    for line in _all_of(domains) if verbose else _brief(domains):
        print_text(console, line)
    accounts = getattr(domains, "accounts", {})
    if verbose:
        print_account(console, accounts)


def show_run(
    console: Any, prepared: Run, domains: Domains, phases: Sequence[PlannedPhase], verbose: bool
) -> None:
    """Print what the 2D alone tells of the gap, what is trained, and where the rest is said."""
    from poseda.datasets.account_words import barely_seen
    from poseda.runs.card import protocol_card

    card = protocol_card(prepared.config, domains, prepared.splits)
    few = None if prepared.data.target is None else barely_seen(prepared.data.target)
    # Of footage the card and the brief account count them.
    if few is not None and not getattr(domains, "accounts", {}):
        print_text(console, few)
    if verbose:
        print_card(console, card)
    if prepared.folder.finished:
        print_text(console, FINISHED)
    else:
        if prepared.verdict is not None:
            print_text(console, _found(prepared.verdict, verbose))
            if not prepared.verdict.adapt and prepared.config.gate == "report":
                print_text(console, TRAINED_ALL_THE_SAME)
        print_text(console, _trained(prepared, phases))
    if not verbose:
        print_text(
            console, f"more: --verbose, or protocol.json and others in {prepared.config.out}", whole=True
        )


def _found(verdict: Verdict, verbose: bool) -> str:
    return verdict.sentence if verbose else f"{verdict.finding}."


def _all_of(domains: Domains) -> list[str]:
    weak = getattr(domains, "weak", None)
    return [
        *getattr(domains, "source_account", ()),
        *_not_valid(domains),
        *(() if weak is None else weak.account),
    ]


def _brief(domains: Domains) -> list[str]:
    """The data in a few lines: of the footage, of its camera, of the source and of weak labels."""
    from poseda.datasets.account_words import cut, summed_lines

    accounts, weak = getattr(domains, "accounts", {}), getattr(domains, "weak", None)
    if not accounts:
        return [f"data: {domains.name}", *_brief_source(domains), *_not_valid(domains)]
    files = () if weak is None else weak.account
    more = len(files) - MOST_FILES
    return [
        *summed_lines(accounts),
        cut(f"camera: {getattr(domains, 'camera', 'unknown')}", 2),
        *_brief_source(domains),
        *(cut(line, 1) for line in files[:MOST_FILES]),
        *([f"weak labels: {more} files more"] if more > 0 else []),
    ]


def _brief_source(domains: Domains) -> list[str]:
    """What files of a source hold, with counts of all that was made up or left out."""
    from poseda.datasets.account_words import cut
    from poseda.datasets.tracking import counted

    account = getattr(domains, "source_account", ())
    read = domains.adaptation().source.reading if account else None
    if read is None or not read.format:
        return [cut(line, 2) for line in account]
    left = sum(read.dropped.values())
    facts = [
        f"source: {read.format}, {counted(read.files, 'file')}",
        *([f"made up: {counted(len(read.made_up), 'joint')}"] if read.made_up else []),
        *([f"left out: {counted(left, 'frame')}"] if left else []),
        *([f"left out: {counted(len(read.skipped), 'file')}"] if read.skipped else []),
        *([counted(len(read.warnings), "warning")] if read.warnings else []),
    ]
    # The first sentence of the account is about the files, as this line is.
    return [cut("; ".join(facts), 2), *(cut(line, 1) for line in account[1:2])]


def _not_valid(domains: Domains) -> list[str]:
    """The rows that a domain file marks as not valid, which nothing learns from."""
    left = {split: count for split, count in getattr(domains, "dropped", {}).items() if count}
    listed = ", ".join(f"{count} of {split}" for split, count in left.items())
    return [f"rows left out, as the file marks them as not valid: {listed}"] if left else []


def _trained(prepared: Run, phases: Sequence[PlannedPhase]) -> str:
    """Which arms train, in how many steps, and how long measuring takes.

    How long training takes, no one knows before a step was timed: progress says it then.
    """
    steps = sum(phase.steps for phase in phases if phase.guess is None and phase.name != "measuring")
    measuring = sum(phase.steps * phase.work * phase.guess for phase in phases if phase.guess is not None)
    seeds = prepared.config.seeds
    return (
        f"arms: {', '.join(prepared.config.arms)}; seed{'s' * (len(seeds) > 1)} "
        f"{', '.join(map(str, seeds))}; {steps} training steps, and about {duration(measuring)} of measuring"
    )
