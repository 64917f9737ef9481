"""The file of --config: YAML, also as --print-config writes it, or the config.json of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

ABSENT = ("", "~", "null")
"""What stands in YAML and JSON for an option that is not given."""


class ConfigFileError(ValueError):
    """A file that holds no options; the message is one sentence that names it."""


def read(path: Path) -> dict[str, str | list[str]]:
    """The options in a file by dotted name, each as text or as a list of texts.

    Raises:
        ConfigFileError: if the file cannot be read, or holds something else than options.
    """
    import yaml

    try:
        # The base loader makes text of every value. So `gate: on` stays a word, and nothing is executed.
        content = yaml.load(path.read_text(), yaml.BaseLoader)
    except OSError as error:
        raise ConfigFileError(f"--config: expected a file to read, got {path} ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" (line {mark.line + 1})"
        raise ConfigFileError(
            f"--config: expected a YAML file, got {path}, which is not one{where}"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("config"), Mapping):
        content = content["config"]  # of a run's config.json
    if not isinstance(content, Mapping):
        raise ConfigFileError(f"--config: expected lines as `seeds: [0, 1]`, got {path} without any")
    found: dict[str, str | list[str]] = {}
    for name, value in content.items():
        inside = value if isinstance(value, Mapping) else {"": value}
        for option, given in inside.items():
            if given not in ABSENT:
                whole = f"{name}.{option}" if option else name
                found[whole] = _text(path, whole, given)
    return found


def _text(path: Path, name: str, value: Any) -> str | list[str]:
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(part, str) for part in value)):
        return value
    raise ConfigFileError(f"{path}: {name}: expected a value or a list of values, got more levels than that")


def write(*records: Any, without: frozenset[str] = frozenset()) -> str:
    """YAML of the options of records, as :func:`read` reads it.

    Args:
        records: of earlier ones win where names are the same.
        without: options and sections that are left out.
    """
    import yaml

    from poseda.config import to_json

    found: dict[str, Any] = {}
    for record in records:
        found = to_json(record) | found
    kept = {name: value for name, value in found.items() if name not in without}
    return str(yaml.safe_dump(kept, sort_keys=False))
