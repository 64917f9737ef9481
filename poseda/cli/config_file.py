"""The file of --config: YAML, also as --print-config writes it, or the config.json of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poseda.cli.paths import near

ABSENT = ("", "~", "null")
"""What stands in YAML and JSON for an option that is not given."""


class ConfigFileError(ValueError):
    """A file that holds no options; the message is one sentence that names it."""


Options = dict[str, str | list[str]]
"""Options by dotted name, each as text or as a list of texts."""


def without_preset(content: Options) -> Options:
    """The options of a file that its own preset does not explain, for a run by another preset.

    A file of --print-config holds all numbers of its preset. Under another preset's name they would be wrong.
    """
    from poseda.config import preset

    try:
        own = _flat(yaml_of(preset(content.get("preset", "default"))))  # type: ignore[arg-type]
    except ValueError:
        return content  # refused later, by name
    return {name: value for name, value in content.items() if name == "preset" or own.get(name) != value}


@dataclass(frozen=True)
class Content:
    """What is in a file.

    Args:
        options: by dotted name.
        of_run: whether it is the config.json of a run, which holds the options of `poseda adapt`.
    """

    options: Options
    of_run: bool


def read(path: Path) -> Content:
    """The options in a file.

    Raises:
        ConfigFileError: if the file cannot be read, holds something else than options, or names one twice.
    """
    import yaml

    try:
        content = _load(path.read_text())
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        reason = f", which does not exist{near(path)}" if missing else f" ({error.strerror})"
        raise ConfigFileError(f"--config: expected a file to read, got {path}{reason}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" (line {mark.line + 1})"
        raise ConfigFileError(
            f"--config: expected a YAML file, got {path}, which is not one{where}"
        ) from error
    except TwiceError as error:
        raise ConfigFileError(f"{path}: {error}") from error
    of_run = isinstance(content, Lines) and isinstance(content.get("config"), Lines)
    if of_run:
        content = content["config"]
    if not isinstance(content, Lines):
        raise ConfigFileError(f"--config: expected lines as `seeds: [0, 1]`, got {path} without any")
    try:
        flat = _flat(content)
    except TwiceError as error:
        raise ConfigFileError(f"{path}: {error}") from error
    return Content({name: _text(path, name, value) for name, value in flat.items()}, of_run)


def yaml_of(record: Any) -> Any:
    """A record as a file of it would be read."""
    return _load(write(record))


class TwiceError(ValueError):
    """A name that stands in a file twice; the message names both lines."""

    def __init__(self, name: str, *lines: int) -> None:
        first, second = sorted(lines)
        super().__init__(f"{name}: expected once, got it in line {first} and again in line {second}")


class Lines(dict[str, Any]):
    """A mapping of a file, with the line of each name."""

    lines: dict[str, int]


def _spelled(name: str) -> str:
    """A name as records have it; files may spell it with dashes."""
    return name.replace("-", "_")


def _load(text: str) -> Any:
    """The content of a YAML or JSON file, every value as text. Its mappings know their lines.

    Raises:
        TwiceError: if a name stands in a mapping twice.
        yaml.YAMLError: if it is no YAML.
    """
    import yaml

    # The base loader makes text of every value. So `gate: on` stays a word, and nothing is executed.
    class Loader(yaml.BaseLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Lines:
            found = Lines(super().construct_mapping(node, deep))
            found.lines = {}
            for key, _ in node.value:
                name, line = _spelled(str(key.value)), key.start_mark.line + 1
                if name in found.lines:
                    raise TwiceError(name, found.lines[name], line)
                found.lines[name] = line
            return found

    return yaml.load(text, Loader)


def _flat(content: Lines) -> dict[str, Any]:
    """Options by dotted name, those that are not given left out.

    Raises:
        TwiceError: if one stands in its section and again with a dotted name.
    """
    found: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for name, value in content.items():
        sections = isinstance(value, Lines)
        for option, given in value.items() if sections else [("", value)]:
            whole = f"{name}.{option}" if option else name
            line = value.lines[_spelled(option)] if sections else content.lines[_spelled(name)]
            if (one := _spelled(whole)) in lines:
                raise TwiceError(one, lines[one], line)
            lines[one] = line
            if given not in ABSENT:
                found[whole] = given
    return found


def _text(path: Path, name: str, value: Any) -> str | list[str]:
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(part, str) for part in value)):
        return value
    raise ConfigFileError(f"{path}: {name}: expected a value or a list of values, got more levels than that")


def write(*records: Any, without: frozenset[str] = frozenset(), unset: frozenset[str] = frozenset()) -> str:
    """YAML of the options of records, as :func:`read` reads it.

    Args:
        records: of earlier ones win where names are the same.
        without: options and sections that are left out.
        unset: options that are written as not given.
    """
    import yaml

    from poseda.config import to_json

    found: dict[str, Any] = {}
    for record in records:
        found = to_json(record) | found
    found |= dict.fromkeys(unset & found.keys())
    kept = {name: value for name, value in found.items() if name not in without}
    return str(yaml.safe_dump(kept, sort_keys=False))
