"""From arguments to records: what every command does with its options, and how it refuses bad ones."""

from __future__ import annotations

import contextlib
import io
import re
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from poseda.config import RunConfig
    from poseda.datasets import Domains

Record = TypeVar("Record")


INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells give it."""


class UsageError(Exception):
    """A mistake of the user's; the message is one sentence."""


def parse(record: type[Record], arguments: list[str], **options: Any) -> Record:
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
        known = _describe_unread(text) or _describe_missing(text)
        if known is not None:
            raise UsageError(known) from stop
        text = re.split(r"Argument helptext|For full helptext|Perhaps you meant", text)[0]
        titles = (
            r"^(Value error|Parsing error|Invalid choice|Missing argument|(Required|Unrecognized) options)"
        )
        sentence = re.sub(titles, "", " ".join(text.split()))
        # The parser lists choices in the order of a set, with the None that stands for "not given".
        sentence = re.sub(
            r"\(('[\w.-]+'(?:, '[\w.-]+')+)\)",
            lambda choices: ", ".join(sorted(set(re.findall(r"'([\w.-]+)'", choices[1])) - {"None"})),
            sentence,
        )
        raise UsageError(re.sub(r"^ *Error parsing \w+: ", "", sentence).strip() or "bad options") from stop


_KINDS = {"INT": "a whole number", "FLOAT": "a number", "[INT [INT ...]]": "whole numbers"}
"""How the parser's names of types read in a sentence."""


def _describe_unread(complaint: str) -> str | None:
    """A value that the parser could not read: flag, expected type, what came. None for other complaints."""
    found = re.search(r"Error parsing (--\S+): (.*?)Argument helptext:\s*--\S+([^\n]*)", complaint, re.DOTALL)
    if found is None:
        return None
    flag, reason, kind = found.group(1), " ".join(found.group(2).split()), found.group(3).strip()
    quoted = re.findall(r"'([^']*)'", reason)
    parts = [part.strip("{}") for part in kind.split("|") if part != "{None}"]
    # Of a value that may be one of several kinds, each kind complains.
    came = quoted[0] if quoted and "|" in kind else " ".join(quoted)
    wanted = " or ".join(_KINDS.get(part, part) for part in parts)
    return f"{flag}: expected {wanted}, got {came!r}" if came else f"{flag}: {reason}"


def _describe_missing(complaint: str) -> str | None:
    """Required options that are not there, or None for other complaints."""
    if not re.search(r"Required options|Missing from", complaint):
        return None
    flags = re.findall(r"(--[\w.-]+) [A-Z]+\b", complaint)
    return f"expected {' and '.join(dict.fromkeys(flags))}, got none" if flags else None


def open_chosen(config: RunConfig) -> Domains:
    from poseda.datasets import open_domains, own_domains

    try:
        if config.target is not None:
            from poseda.config import picture_size

            return own_domains(
                config.source,
                config.target,
                picture_size(config.image_size),
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
