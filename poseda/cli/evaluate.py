"""`poseda evaluate`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from poseda.cli.options import UsageError, open_chosen, parse
from poseda.cli.screen import open_console, print_card, print_json, print_table


def run(arguments: list[str]) -> int:
    """Evaluate the lifters of a run on a domain file."""
    import tyro

    from poseda import report
    from poseda.config import EvaluateConfig, from_json
    from poseda.files import write_json
    from poseda.training import describe_data, evaluate_folder, evaluation_card, read_folder

    markers = (tyro.conf.PositionalRequiredArgs,)
    options = parse(EvaluateConfig, arguments, prog="poseda evaluate", config=markers)
    try:
        record = read_folder(options.run)
        config = from_json(record["config"])
        if options.data is not None:
            own = ("target", "source", "image_size", "fov", "cameras", "intrinsics", "layout")
            without: dict[str, Any] = dict.fromkeys(own)
            domains = open_chosen(replace(config, data=options.data, **without))
        else:
            domains = open_chosen(config)
        rows = evaluate_folder(options.run, config, domains, options.split)
    except ValueError as error:
        raise UsageError(str(error)) from error
    console = open_console(options.json)
    card = evaluation_card(record, domains, options.split)
    data = {"run": record["data"], "evaluated": describe_data(domains)}
    evaluation = {"protocol": card, "data": data, "results": rows}
    try:
        write_json(options.run / "evaluation.json", evaluation)
    except OSError as error:
        raise UsageError(
            f"{options.run}: expected a folder that can be written ({error.strerror})"
        ) from error
    print_card(console, card)
    print_table(console, report.summarise(rows, options.split), f"{domains.name}: {options.split}")
    console.print(f"written: {options.run / 'evaluation.json'}", highlight=False)
    if options.json:
        print_json(evaluation)
    return 0
