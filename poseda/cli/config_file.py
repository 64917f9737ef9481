"""The file of --config: YAML, also as --print-config writes it, or the config.json of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def read(path: Path) -> Options:
    """The options in a file.

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
    return {name: _text(path, name, value) for name, value in _flat(content).items()}


def yaml_of(record: Any) -> Any:
    """A record as a file of it would be read."""
    import yaml

    return yaml.load(write(record), yaml.BaseLoader)


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in content.items():
        inside = value if isinstance(value, Mapping) else {"": value}
        for option, given in inside.items():
            if given not in ABSENT:
                found[f"{name}.{option}" if option else name] = given
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
