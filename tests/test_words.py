"""Texts for users are in plain English: READMEs and the help of every command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from poseda.cli.program import COMMANDS
from poseda.config.fields import help_texts

ROOT = Path(__file__).parents[1]
READMES = sorted(path for path in ROOT.glob("**/README.md") if path.relative_to(ROOT).parts[0] != "build")

LONGEST = 25
"""Words of a sentence."""

DIALECT = (
    *("manieth", "anew", "that is none", "none of", "let go", "told", "tells", "put away", "taken? up"),
    *("whatever", "what is", "that is there", "nobody", "halves apart", "turns? GPA", "built people"),
)
"""Turns of phrase that the texts of 0.1.0 had, as regular expressions."""


def sentences(text: str) -> Iterator[str]:
    """The sentences of a paragraph. Code in backticks counts as one word."""
    plain = re.sub(r"`[^`]*`", "X", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(text.split())))
    return (part for part in re.split(r"(?<=[.!?])[)*]*\s+", plain))


def paragraphs(page: str) -> Iterator[str]:
    """Paragraphs, items of lists and cells of tables, without code and comments."""
    prose = re.sub(r"<!--.*?-->", "", re.sub(r"```.*?```", "\n\n", page, flags=re.DOTALL))
    for block in re.split(r"\n\s*\n|\n(?=[-|#]|\d+\. )", prose):
        yield from block.strip("|").split("|") if block.startswith("|") else [block]


def help_of(command: str) -> dict[str, str]:
    """Every help text of a command, by option."""
    program = import_module(f"poseda.cli.{command}").PROGRAM
    texts = {"": program.about}
    for record in program.records:
        texts |= help_texts(record)
    return texts


def faults(text: str) -> list[str]:
    """What is not plain in a text."""
    found = [f"{word!r} in: {text}" for word in DIALECT if re.search(rf"\b{word}\b", text, re.IGNORECASE)]
    found += [f"too long: {one}" for one in sentences(text) if len(re.findall(r"\S*\w\S*", one)) > LONGEST]
    return found


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_readmes_are_in_plain_english(path: Path) -> None:
    found = [fault for text in paragraphs(path.read_text()) for fault in faults(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_in_plain_english(command: str) -> None:
    for option, text in help_of(command).items():
        found = faults(text)
        assert not found, f"{command} {option}: {found}"
        assert not re.search(r":\w+:`", text), f"{command} {option}: a role of the documentation"


def test_a_long_sentence_and_dialect_are_found() -> None:
    words = "word " * LONGEST
    assert not faults(f"{words.strip().capitalize()}. {words.strip().capitalize()}.")
    assert faults(f"One {words.strip()}.") and faults("Take every so manieth frame.")
    assert not faults("Read every N-th frame.")
