"""Spelling, help and refusals of the command line, of every command alike."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

from benchmarks.mocap import program as mocap
from benchmarks.step import lifters, processes, profile
from benchmarks.step import program as step
from benchmarks.tables import draw
from poseda import __version__
from poseda.cli import adapt, bench, doctor, evaluate, export, info, lift, main
from poseda.cli.help import help_text
from poseda.cli.options import parse
from poseda.cli.program import COMMANDS, Program, UsageError, option_name
from poseda.config import RunConfig, preset
from poseda.config.fields import help_texts
from poseda.config.limits import Above, AtLeast, choices, parts
from poseda.datasets.layouts import Layout

MODULES = (adapt, lift, evaluate, export, bench, doctor, info, step, lifters, processes, profile)
OURS = [module.PROGRAM for module in MODULES]
QUEUES = [
    mocap.program_of(name, __import__(f"benchmarks.mocap.{name}", fromlist=[name])) for name in mocap.QUEUES
]
PROGRAMS = pytest.mark.parametrize("program", [*OURS, *QUEUES], ids=lambda program: program.name)


def given(program: Program, *arguments: str) -> dict[str, object]:
    return dict(parse(program, list(arguments))[0].values)


def test_options_are_spelled_with_dashes_or_underscores_and_lists_with_spaces() -> None:
    expected = {"training.adapt_steps": 20, "image_size": ("1920x1080",)}
    for name, size in (("adapt-steps", "image-size"), ("adapt_steps", "image_size")):
        assert given(adapt.PROGRAM, f"--training.{name}", "20", f"--{size}", "1920x1080") == expected
        assert given(adapt.PROGRAM, f"--training.{name}=20", f"--{size}=1920x1080") == expected
    assert given(adapt.PROGRAM, "--arms", "gpa", "lpa", "--seeds", "0", "-1") == {
        "arms": ("gpa", "lpa"),
        "seeds": (0, -1),
    }
    assert given(adapt.PROGRAM, "--target-data.focal-error", "-0.1") == {"target_data.focal_error": -0.1}


def test_flags_are_switched_on_and_off() -> None:
    assert given(adapt.PROGRAM, "--resume", "--training.no-flip") == {"resume": True, "training.flip": False}
    assert given(adapt.PROGRAM, "--no-resume", "--training.flip") == {"resume": False, "training.flip": True}


def test_a_path_may_be_left_out_where_its_option_says_so(tmp_path: Path) -> None:
    assert given(bench.PROGRAM, "--json", "--quick") == {"json": Path("-"), "quick": True}
    assert given(bench.PROGRAM, "--json", "r.json") == {"json": Path("r.json")}
    (tmp_path / "config.json").write_text("")
    assert given(lift.PROGRAM, "--input", "-", "--model", str(tmp_path))["input"] == Path("-")
    assert given(evaluate.PROGRAM, str(tmp_path)) == {"run": tmp_path}


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["adpt"], "adapt"),
        (["adapt", "--trainin.batch", "3"], "--training.batch"),
        (["adapt", "--adapt-steps", "3"], "--training.adapt-steps"),
        (["adapt", "--batch", "3"], "--training.batch or --generator-training.batch or --wide.batch"),
        (["adapt", "--ressume"], "--resume"),
        (["adapt", "--preset", "tinny"], "tiny"),
        (["adapt", "--arms", "gpa_lpa_veiw"], "gpa_lpa_view"),
        (["lift", "--arm", "gpa_lpaa"], "gpa_lpa"),
        (["lift", "--modle", "r"], "--model"),
        (["bench", "--batch", "8"], "--batches"),
        (["info", "--jason"], "--json"),
        (["lift", "--person", "1"], "--people"),
        (["lift", "--seeds", "1"], "--seed"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_one_that_may_be_meant(
    capsys: pytest.CaptureFixture[str], arguments: list[str], meant: str
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.endswith(f"; did you mean {meant}?\n")


def test_an_option_of_another_command_is_answered_with_that_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, said in {
        "adapt --rate 30": "--rate: expected an option of poseda adapt, got one of poseda lift",
        "info --overwrite": "got one of poseda lift and poseda view and poseda export",
        "view --target x": "got one of poseda adapt",
    }.items():
        assert main(line.split()) == 2
        assert capsys.readouterr().err.endswith(f"{said}\n")
    (tmp_path / "options.yaml").write_text("rate: 30\n")
    assert main(["adapt", "--config", str(tmp_path / "options.yaml")]) == 2
    assert capsys.readouterr().err.endswith(
        "rate: expected an option of poseda adapt, got one of poseda lift\n"
    )


def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    for program, names in ((lift.PROGRAM, "--input"), (evaluate.PROGRAM, "RUN")):
        with pytest.raises(UsageError, match=f"^expected {names}, got none$"):
            parse(program, [])


def test_a_message_names_other_options_as_they_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapt", "--preset", "tiny", "--adversary.pool", "8"]) == 2
    expected = "--adversary.pool: expected at least --generator-training.batch = 64, got 8"
    assert capsys.readouterr().err == f"poseda: {expected}\n"


@PROGRAMS
@pytest.mark.parametrize("width", [60, 80, 200])
def test_help_fits_the_terminal_and_shows_what_people_use(program: Program, width: int) -> None:
    short, whole = help_text(program, width=width), help_text(program, everything=True, width=width)
    for text in (short, whole):
        assert max(map(len, text.splitlines())) <= max(width, 80)
        assert not re.search(r":\w+:|``|None|\|PATH|_conf", text)
    options = [line for line in short.splitlines() if re.match(r"  (-|[A-Z]+ )", line)]
    assert len(options) <= 18
    for entry in program.fields():
        assert program.name_of(entry.name) in whole


def test_help_says_more_when_it_is_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapt", "--preset", "tiny", "--help"]) == 0
    short = capsys.readouterr().out
    assert main(["adapt", "--help-all"]) == 0
    whole = capsys.readouterr().out
    for option in ("--data", "--arms", "--lifter", "--seeds", "--preset", "--out", "--resume", "--device"):
        assert f"  {option}" in short and f"  {option}" in whole
    assert "--training.adapt-steps" not in short and "--help-all" in short
    assert "--training.adapt-steps" in whole and "[0.205]" in whole and "training: How the lifter" in whole


@PROGRAMS
def test_every_whole_number_has_a_least_value(program: Program) -> None:
    def unlimited(hint: object) -> bool:
        bare, own = parts(hint)
        if bare is int:
            return not any(isinstance(note, AtLeast | Above) for note in own)
        return get_origin(bare) is not Literal and any(map(unlimited, get_args(bare)))

    assert [entry.name for entry in program.fields() if unlimited(entry.hint)] == []


@PROGRAMS
def test_every_closed_set_of_values_names_a_near_one(program: Program) -> None:
    for entry in program.fields():
        for value in choices(entry.hint):
            with pytest.raises(UsageError, match=rf", got '{value}x'; did you mean {value}\?$"):
                parse(program, [option_name(entry.name), f"{value}x"])


@pytest.mark.parametrize(
    ("refused", "meant"),
    [
        (lambda: Layout.named("coc17"), "coco17"),
        (lambda: draw("door-sped"), "door-speed"),
        (lambda: preset("tinny"), "tiny"),  # type: ignore[arg-type]
        (lambda: RunConfig(arms=("gpaa",)), "gpa"),  # type: ignore[arg-type]
    ],
)
def test_names_from_python_and_from_tables_have_near_ones_too(
    refused: Callable[[], object], meant: str
) -> None:
    with pytest.raises(ValueError, match=rf"expected one of .*; did you mean {meant}\?$"):
        refused()


@PROGRAMS
def test_every_option_has_a_help_text_of_short_sentences(program: Program) -> None:
    for record in program.records:
        for name, text in help_texts(record).items():
            assert text.endswith("."), name
            for sentence in re.split(r"[.:;] ", text):
                assert len(sentence.split()) <= 25, f"{name}: {sentence}"


def test_the_commands_and_the_version_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {command}" in shown for command in COMMANDS)
    assert max(map(len, shown.splitlines())) <= 80
    assert main([]) == 2
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.endswith(f"poseda {__version__}\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_learns_commands_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(command in script for command in COMMANDS)
    assert "generator-training.steps" in script and "smooth.filter" in script


def test_bash_completes_an_option_and_its_values(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--completion", "bash"]) == 0
    (tmp_path / "poseda.bash").write_text(capsys.readouterr().out)
    typed = """
        source ./poseda.bash
        COMP_WORDS=(poseda "$@") COMP_CWORD=$#
        $(complete -p poseda | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
        echo "${COMPREPLY[*]}"
    """
    for words, completed in {
        ("adap",): "adapt",
        ("adapt", "--pres"): "--preset",
        ("adapt", "--preset", "t"): "tiny",
    }.items():
        shell = ["bash", "-c", typed, "bash", *words]
        found = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert found.stdout.strip() == completed


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--completion", "bsh"]) == 2
    assert capsys.readouterr().err.startswith("poseda: --completion: expected one of bash, zsh, fish")


WITHOUT_TORCH = """
import sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "numpy", "lightning", "matplotlib"):
            raise AssertionError(f"{name} was imported")

sys.meta_path.insert(0, Forbidden())
from poseda.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("lift --input op --output m.fbx", "--output: expected a file ending in .npz, .json, .csv, .bvh"),
        ("lift --input op --output old.bvh", "--output: expected a new file, got old.bvh, which exists"),
        ("lift --input - --output old.jsonl", "--output: expected a new file, got old.jsonl, which exists"),
        ("lift --input - --output m.bvh", "--output: expected a file of JSON lines (.jsonl, .ndjson, .json)"),
        ("lift --input op --output m.bvh --overlay m.avi", "--overlay: expected a file ending in .mp4, .gif"),
        (
            "lift --input op --output m.bvh --image-size 9x9 --overlay old.gif",
            "--overlay: expected a new file, got old.gif",
        ),
        (
            "lift --input op --output m.bvh",
            "op: image size: expected width x height in pixels (--image-size)",
        ),
        ("lift --input old.bvh --output m.bvh", "old.bvh: file: expected COCO results"),
        ("view old.bvh", "PATH: expected the folder of a run, with config.json, or an npz of `poseda lift`"),
    ],
)
def test_what_needs_no_model_is_refused_before_torch_and_a_model_are_loaded(
    tmp_path: Path, line: str, said: str
) -> None:
    (tmp_path / "op").mkdir()
    people = [{"pose_keypoints_2d": [float(100 + at % 40) for at in range(75)]}]
    for at in range(3):
        picture = json.dumps({"version": 1.3, "people": people})
        (tmp_path / "op" / f"walk_{at:012d}_keypoints.json").write_text(picture)
    (tmp_path / "old.bvh").write_text("HIERARCHY\n")
    (tmp_path / "old.gif").touch()
    (tmp_path / "old.jsonl").touch()
    code = WITHOUT_TORCH.replace('"numpy", ', "")
    command = [sys.executable, "-c", code, *line.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "m.bvh").exists()


def test_every_ending_that_lift_takes_has_a_writer() -> None:
    from poseda.config.commands import MOVIES, POSES
    from poseda.export import movie, write

    assert set(POSES) == {*write.WHOLE, *write.PERSON, *write.CLIP} and set(MOVIES) == set(movie.MOVIES)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("adapt --data nowhere.npz", 2, "--data: expected a file or folder, got nowhere.npz"),
        ("adapt --target footage/vedio.json", 2, "did you mean footage/video.json?"),
        ("adapt --target footage --source nowhere", 2, "--source: expected a file or folder, got nowhere"),
        ("adapt --target footage --cameras no.json", 2, "--cameras: expected a file or folder, got no.json"),
        ("adapt --target footage --intrinsics no.json", 2, "--intrinsics: expected a file or folder"),
        ("lift --model footage --input -", 2, "--model: expected the folder of a run, got footage without"),
        ("lift --model run --input nowhere", 2, "--input: expected a file or folder, got nowhere"),
        ("evaluate nowhere", 2, "RUN: expected the folder of a run, got nowhere, which does not exist"),
        ("evaluate run --data nowhere", 2, "--data: expected a file or folder, got nowhere"),
        ("bench --markdown nowhere", 2, "--markdown: expected a file or folder, got nowhere"),
        ("adapt --training.batch 1", 2, "--training.batch: expected a number of at least 4, got 1"),
        ("adapt --bogus", 2, "--bogus: expected an option of poseda adapt"),
        ("--help", 0, "usage: poseda COMMAND"),
        ("--version", 0, "poseda "),
        ("adapt --help", 0, "usage: poseda adapt"),
        ("lift --help-all", 0, "usage: poseda lift"),
    ],
)
def test_mistakes_and_help_need_no_torch(tmp_path: Path, line: str, code: int, said: str) -> None:
    (tmp_path / "footage").mkdir()
    (tmp_path / "footage" / "video.json").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").touch()
    command = [sys.executable, "-c", WITHOUT_TORCH, *line.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert done.returncode == code and said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["footage", "run"]
