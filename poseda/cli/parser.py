"""The parser: a program's options as cyclopts reads them, from the command line and from a file."""

from __future__ import annotations

import inspect
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from cyclopts import App, CycloptsError, Parameter, Token, convert
from cyclopts.config import Dict
from cyclopts.exceptions import CoercionError

from poseda.cli.config_file import ConfigFileError, Options, read, without_preset
from poseda.cli.program import Program, UsageError, negative_name, option_name
from poseda.cli.screen import complain
from poseda.cli.wording import explain
from poseda.config.fields import Field
from poseda.config.limits import Bare, Found, Gathered, OneOrMore, Renamed, notes, words

if TYPE_CHECKING:
    from cyclopts.argument import ArgumentCollection


def read_arguments(program: Program, arguments: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of the options that were given, and the files that some of them come from, by name.

    Raises:
        UsageError: if arguments or a file are not understood.
    """
    fields, files = program.fields(), dict[str, str]()
    app = parser(program, fields)
    if "--" in arguments:
        raise UsageError("--: expected options, which begin with -- and a name, got -- alone; leave it out")
    app.config = [partial(_take_file, program, files)]
    try:
        _, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
    except ConfigFileError as error:
        raise UsageError(str(error)) from error
    except CycloptsError as error:
        raise UsageError(explain(error, program, arguments)) from error
    values = {entry.name: bound.arguments.get(_key(entry)) for entry in fields}
    for entry in fields:
        if (value := values[entry.name]) is not None and (bare := notes(entry.hint, Bare)):
            values[entry.name] = value[0] if value else Path(bare[0].value)
        if value == () and notes(entry.hint, OneOrMore):
            raise UsageError(f"{program.name_of(entry.name)}: expected {words(entry.hint)}, got nothing")
    return {name: value for name, value in values.items() if value is not None}, files


def parser(program: Program, fields: list[Field]) -> App:
    """The options as parameters of a function, which is what cyclopts reads."""

    def command(**_: Any) -> None:
        """Is never called: the options are all that is wanted."""

    parameters = [_parameter(entry, entry.name == program.positional) for entry in fields]
    parameters.sort(key=lambda parameter: parameter.kind)
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app = App(
        name=program.name,
        help=program.about,
        help_flags=(),
        version_flags=(),
        default_parameter=Parameter(allow_repeating=True, negative_iterable=(), negative_none=()),
    )
    app.default(command)
    return app


def _key(entry: Field) -> str:
    return entry.name.replace(".", "__")


def _parameter(entry: Field, positional: bool) -> inspect.Parameter:
    kind: Any = entry.kind
    many: bool | tuple[int, int] = get_origin(entry.kind) is tuple
    if notes(entry.hint, Bare):
        kind, many = tuple[Path, ...], (0, 1)
    several = positional and get_origin(entry.kind) is tuple
    if several:
        kind, many = get_args(entry.kind)[0], False
    found = notes(entry.hint, Found)
    reading = Parameter(
        name=entry.name.upper() if positional else option_name(entry.name),
        negative=(negative_name(entry.name),) if kind is bool else (),
        converter=partial(_convert, entry),
        consume_multiple=many,
        allow_leading_hyphen=bool(found) and found[0].dash,
    )
    alone = inspect.Parameter.POSITIONAL_ONLY if positional else inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(
        _key(entry),
        inspect.Parameter.VAR_POSITIONAL if several else alone,
        default=inspect.Parameter.empty if several else None,
        annotation=Annotated[kind, reading],
    )


def _convert(entry: Field, kind: Any, tokens: tuple[Token, ...]) -> Any:
    """The value of an option, under today's names. Of most lists given again, the later one counts."""
    if not notes(entry.hint, Gathered):
        tokens = tokens[max(at for at, token in enumerate(tokens) if token.index == 0) :]
    for renamed in notes(entry.hint, Renamed):
        tokens = tuple(token.evolve(value=renamed.names.get(token.value, token.value)) for token in tokens)
    for token in tokens:
        rounded = kind in (int, tuple[int, ...]) and not re.fullmatch(r"[+-]?\d[\d_]*", token.value)
        rounded |= int in get_args(kind) and re.fullmatch(r"[+-]?[\d_.e]*\.[\d_.e]*", token.value) is not None
        if rounded or (
            kind in (Path, tuple[Path, ...]) and not token.value
        ):  # cyclopts would take 2.5 for 2, nothing for .
            raise CoercionError(token=token, target_type=kind)
    return convert(kind, tokens)


def _take_file(
    program: Program,
    files: dict[str, str],
    app: App,
    commands: tuple[str, ...],
    arguments: ArgumentCollection,
) -> None:
    """Add the options of --config that are not on the command line."""
    tokens = next(argument.tokens for argument in arguments if argument.name == option_name("config"))
    if not tokens:
        return
    path = Path(tokens[-1].value)
    read_file = read(path)
    content = _for(program, path, read_file.options) if read_file.of_run else read_file.options
    # --print-config writes a list that is not given as an empty one.
    may_be_empty = {entry.name for entry in program.fields() if entry.default == ()}
    content = {name: value for name, value in content.items() if value != [] or name not in may_be_empty}
    presets = next((argument.tokens for argument in arguments if argument.name == option_name("preset")), [])
    if presets and presets[-1].value != content.get("preset"):
        content = without_preset(content)
    for argument in arguments:  # cyclopts takes no list of what has no name from a file
        if argument.field_info.kind is inspect.Parameter.VAR_POSITIONAL:
            given = content.pop(argument.field_info.name, [])
            if not argument.tokens:
                texts = [given] if isinstance(given, str) else given
                argument.tokens += [Token(value=text, source=str(path)) for text in texts]
    Dict(content, source=str(path))(app, commands, arguments)
    for argument in arguments:
        if argument.tokens and argument.tokens[0].source == str(path):
            files[argument.field_info.name.replace("__", ".")] = str(path)


def _for(program: Program, path: Path, options: Options) -> Options:
    """Those options of a run that a program takes. It says which it leaves out.

    Raises:
        ConfigFileError: if it takes no option of a run.
    """
    if not any(program.takes_of_run(entry.name) for entry in program.fields()):
        raise ConfigFileError(
            f"--config: expected options of {program.name}, got {path}, which holds those of poseda adapt"
        )
    # Of a rig's values, one for each camera, no other path knows its own; a model does.
    many = {entry.name for entry in program.fields() if get_origin(entry.kind) is tuple}
    kept = {
        name: value
        for name, value in options.items()
        if program.takes_of_run(name) and (name in many or isinstance(value, str))
    }
    left = list(dict.fromkeys(name.partition(".")[0] for name in options if name not in kept))
    if left:
        what = "1 option or section" if len(left) == 1 else f"{len(left)} options and sections"
        complain(
            f"{path}: left out {what} of the run, which {program.name} does not take from it: "
            f"{', '.join(left)}",
            program.caller,
        )
    return kept
