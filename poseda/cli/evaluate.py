"""`poseda evaluate`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from poseda.cli.options import read
from poseda.cli.program import Program, UsageError
from poseda.cli.screen import open_console, print_card, print_json, print_table, print_text
from poseda.config import EvaluateConfig

if TYPE_CHECKING:
    from poseda.datasets import Domains
    from poseda.runs import RunFolder

PROGRAM = Program(
    "poseda evaluate",
    "Evaluate every lifter of a run on a domain file or by a published protocol; write RUN/evaluation.json.",
    (EvaluateConfig,),
    positional="run",
    of_run=("data",),
)


def run(arguments: list[str]) -> int:
    """Evaluate the lifters of a run on a domain file or by a published protocol."""
    options = read(PROGRAM, arguments, lambda given: given.build(EvaluateConfig))

    from poseda import report
    from poseda.runs import RunFolder

    folder = RunFolder(options.run)
    try:
        evaluated = _published if options.protocol is not None else _domains
        name, card, data, rows = evaluated(options, folder)
        recommended = (folder.verdict.read() or {}).get("recommended")
    except (ValueError, OSError) as error:
        raise PROGRAM.refusal(error) from error
    console = open_console(options.json)
    evaluation = {"protocol": card, "data": data, "results": rows}
    try:
        folder.evaluation.write(evaluation)
    except OSError as error:
        raise UsageError(
            f"{options.run}: expected a folder that can be written ({error.strerror})"
        ) from error
    print_card(console, card)
    split = rows[0]["split"]
    print_table(console, report.summarise(rows, split), f"{name}: {split}", recommended)
    print_text(console, f"written: {folder.evaluation.path}", whole=True)
    if options.json:
        print_json(evaluation)
    return 0


Evaluation = tuple[str, dict[str, str], dict[str, Any], list[dict[str, Any]]]
"""Name of the data, protocol card, which data, rows."""


def _domains(options: EvaluateConfig, folder: RunFolder) -> Evaluation:
    """On the run's own data or another domain file."""
    from poseda.cli.recipe import open_chosen
    from poseda.datasets import NoLabelsError
    from poseda.evaluation.evaluate import evaluate_folder
    from poseda.runs.card import evaluation_card
    from poseda.runs.origin import describe_data

    record, config = folder.read_record(), folder.read_config()
    if options.data is not None:
        own = ("target", "source", "image_size", "fov", "cameras", "intrinsics", "layout")
        without: dict[str, Any] = dict.fromkeys(own)
        config = replace(config, data=options.data, **without)
    domains = open_chosen(config)
    try:
        poses, skeleton = domains.evaluation(options.split), domains.skeleton
    except NoLabelsError as error:
        raise UsageError(f"{error}; {_labels_elsewhere(domains, config.frames)}") from error
    rows = evaluate_folder(folder, poses, skeleton, options.split)
    data = {"run": record["data"], "evaluated": describe_data(domains)}
    return domains.name, evaluation_card(record, domains, options.split), data, rows


def _labels_elsewhere(domains: Domains, frames: int) -> str:
    """The remedy where a split has no labels."""
    from poseda.evaluation.evaluate import labelled_splits

    file = "--data FILE compares with those of a domain file"
    return " or ".join(
        [*(f"--split {split} takes those of the source" for split in labelled_splits(domains, frames)), file]
    )


def _published(options: EvaluateConfig, folder: RunFolder) -> Evaluation:
    """By a published protocol, on the files it names."""
    from poseda.datasets.own import digest
    from poseda.evaluation.evaluate import evaluate_folder
    from poseda.evaluation.protocols import PROTOCOLS
    from poseda.geometry.skeleton import Skeleton

    assert options.protocol is not None and options.data is not None, "checked by the record"
    record, config = folder.read_record(), folder.read_config()
    protocol = PROTOCOLS[options.protocol]
    skeleton = Skeleton.named(record["data"]["skeleton"])
    poses = protocol.open(options.data, skeleton, options.cameras)
    rows = evaluate_folder(folder, poses, skeleton, protocol.name, protocol.measure)
    files = [path for path in (options.data, options.cameras) if path is not None]
    evaluated = {"name": protocol.name, "skeleton": skeleton.name, "sha256": digest(files, protocol.name)}
    card = {
        **protocol.describe(poses, skeleton, config.training.flip),
        "target": f"the lifters were adapted on {record['data']['name']}; "
        f"whether it shares frames with this set was not checked",
        "seeds": ", ".join(map(str, config.seeds)),
    }
    return options.data.name, card, {"run": record["data"], "evaluated": evaluated}, rows
