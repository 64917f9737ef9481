"""Which value counts: of the preset, a file, an option, or one that follows from lifter and device."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.step import profile
from poseda.cli import main
from poseda.cli.adapt import parse_run
from poseda.cli.config_file import write
from poseda.cli.options import parse
from poseda.cli.recipe import resolve
from poseda.config import FIELD, ConfigError, check_resumable, preset, to_json
from poseda.config.fields import flatten
from poseda.config.run import FOOTAGE_ARMS, LABELLED_ARMS, TABLE_ARMS, WIDE_ARMS


def run_of(line: str) -> dict[str, object]:
    """The options of the run that a command line asks for, by name."""
    return flatten(to_json(parse_run(line.split())))


def written(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


def test_the_later_of_two_presets_counts_in_every_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)  # of a CPU without bf16
    assert run_of("--device cpu --preset full --preset tiny") == run_of("--device cpu --preset tiny")
    tiny = flatten(to_json(preset("tiny")))
    assert run_of("--preset full --preset=tiny --device cpu") == tiny | {
        "device": "cpu",
        "precision": "32-true",
        "arms": list(LABELLED_ARMS),
    }


@pytest.mark.parametrize("line", ["--preset tiny --training.batch 8", "--training.batch 8 --preset tiny"])
def test_an_option_wins_over_the_preset_wherever_it_stands(line: str) -> None:
    run = run_of(line)
    assert run["training.batch"] == 8 and run["training.adapt_steps"] == 60


def test_the_later_of_two_values_counts() -> None:
    run = run_of("--preset tiny --frames 3 --frames 1 --resume --no-resume --arms gpa lpa --arms random")
    assert (run["frames"], run["resume"], run["arms"]) == (1, False, ["random"])


def test_a_file_stands_between_preset_and_options(tmp_path: Path) -> None:
    path = written(tmp_path, "preset: tiny\ntraining:\n  batch: 8\n  adapt_steps: 7\nseeds: [3, 4]\n")
    for line in (f"--config {path} --training.batch 16", f"--training.batch 16 --config {path}"):
        run = run_of(line)
        assert (run["training.batch"], run["training.adapt_steps"], run["seeds"]) == (16, 7, [3, 4])
        assert run["training.pretrain_steps"] == 60, "of the preset that the file names"
    assert run_of(f"--config {path} --preset default")["training.pretrain_steps"] == 1500


def test_words_of_a_file_stay_words_and_null_is_not_given(tmp_path: Path) -> None:
    path = written(tmp_path, "preset: tiny\ngate: on\ncompile: off\nresume: yes\ntarget: null\ndata:\n")
    run = run_of(f"--config {path}")
    assert (run["gate"], run["compile"], run["resume"]) == ("on", "off", True)
    assert run["target"] is None and run["data"] is None and run["arms"] == list(LABELLED_ARMS)


def test_a_printed_configuration_asks_for_the_same_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "--preset tiny --lifter stgcn --frames 9 --arms gpa --seeds 1 2 --gate on --training.no-flip"
    assert main(["adapt", *line.split(), "--print-config"]) == 0
    path = written(tmp_path, capsys.readouterr().out)
    assert run_of(f"--config {path}") == run_of(line)
    assert not (tmp_path / "poseda-run").exists()


def test_a_printed_configuration_names_arms_where_its_command_named_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Others follow from the data: wide_target is left out where the target is too small for it."""
    for line, shown in (("--preset tiny", "arms: null\n"), ("--arms wide gpa", "arms:\n- wide\n- gpa\n")):
        assert main(["adapt", *line.split(), "--print-config"]) == 0
        printed = capsys.readouterr().out
        assert shown in printed
        assert run_of(f"--config {written(tmp_path, printed)}") == run_of(line)


def test_the_record_of_a_run_asks_for_the_same_run_under_todays_names(tmp_path: Path) -> None:
    record = to_json(preset("tiny"))
    record |= {"arms": ["gpa", "plus"], "seeds": [5], "out": "elsewhere", "precision": "32-true"}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"config": record, "versions": {}, "data": {}}, indent=2))
    expected = flatten(record) | {"arms": ["gpa", "gpa_lpa_view"], "out": "new"}
    assert run_of(f"--config {path} --out new") == expected


def test_an_arm_may_have_the_name_it_had_before() -> None:
    assert run_of("--preset tiny --arms plus gpa")["arms"] == ["gpa_lpa_view", "gpa"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("training:\n  adapt_step: 3\n", "run.yaml: training.adapt_step: expected an option of poseda adapt"),
        ("training:\n  adapt_step: 3\n", "did you mean training.adapt_steps?"),
        ("training: 3\n", "run.yaml: training: expected options of this section"),
        ("training:\n  batch: abc\n", "run.yaml: training.batch: expected a whole number, got 'abc'"),
        ("training:\n  batch: 1\n", "run.yaml: training.batch: expected a number of at least 4, got 1"),
        ("seeds: [[1]]\n", "run.yaml: seeds: expected a value or a list of values"),
        ("seeds: [1\n", "run.yaml, which is not one (line 2)"),
        ("seeds\n", "expected lines as `seeds: [0, 1]`"),
        ("a: &a {x: *a}\n", "run.yaml, which is not one (line 1)"),
        ("training: {batch: {x: 1}}\n", "run.yaml: training.batch: expected a value or a list of values"),
        ("training.batch: 1\n", "run.yaml: training.batch: expected a number of at least 4, got 1"),
        ("? [1]\n: 2\n", "run.yaml, which is not one (line 1)"),
        ("data: nowhere.npz\n", "run.yaml: data: expected a file or folder, got nowhere.npz"),
        (
            "seeds: [1]\nout: r\nseeds: [2]\n",
            "run.yaml: seeds: expected once, got it in line 1 and again in line 3",
        ),
        (
            "training: {batch: 8}\ntraining: {clip: 1}\n",
            "run.yaml: training: expected once, got it in line 1 and",
        ),
        (
            "training:\n  clip: 1\n  clip: 1\n",
            "run.yaml: clip: expected once, got it in line 2 and again in line 3",
        ),
        (
            "training:\n  clip: 1\ntraining.clip: 2\n",
            "training.clip: expected once, got it in line 2 and again in line 3",
        ),
        (
            "training:\n  adapt-steps: 1\n  adapt_steps: 2\n",
            "adapt_steps: expected once, got it in line 2 and",
        ),
        ('{"out": "r",\n "out": "s"}', "run.yaml: out: expected once, got it in line 1 and again in line 2"),
        (
            '{"config": {"out": "r",\n "out": "s"}}',
            "run.yaml: out: expected once, got it in line 1 and again in line 2",
        ),
    ],
)
def test_a_mistake_in_a_file_is_named_with_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    path = written(tmp_path, text)
    assert main(["adapt", "--config", str(path), "--out", str(tmp_path / "r")]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_a_file_that_is_not_there_is_named_with_one_that_is_near(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "preset: tiny\n")
    for missing in ("runs.yaml", "run.json"):
        assert main(["adapt", "--config", str(path.with_name(missing))]) == 2
        said = f"got {path.with_name(missing)}, which does not exist; did you mean {path}?\n"
        assert capsys.readouterr().err.endswith(said)
    assert main(["adapt", "--config", str(tmp_path)]) == 2
    assert f"expected a file to read, got {tmp_path} (Is a directory)" in capsys.readouterr().err


def test_other_commands_take_of_a_run_what_they_share_and_say_what_they_leave_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = to_json(preset("tiny")) | {"target": ".", "fov": 60.0, "device": "cpu", "cameras": "."}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"config": record}))
    commands = {
        ("lift", "--model", str(tmp_path), "--input", "-"): ("fov: 60.0\n", "arms", "training"),
        ("evaluate", str(tmp_path)): ("cameras: null\n", "cameras", "device"),
        ("bench",): ("device: cpu\n", "seeds", "fov"),
    }
    for command, (taken, *left) in commands.items():
        assert main([*command, "--config", str(path), "--print-config"]) == 0
        shown = capsys.readouterr()
        assert taken in shown.out
        counted, names = re.fullmatch(
            rf"poseda: {path}: left out (\d+) options and sections of the run, which poseda {command[0]} "
            rf"does not take from it: (.*)\n",
            shown.err,
        ).groups()  # type: ignore[union-attr]
        assert set(left) <= set(names.split(", ")) and len(names.split(", ")) == int(counted)
    assert main(["info", "--config", str(path)]) == 2
    assert "expected options of poseda info, got " in capsys.readouterr().err


def test_a_program_with_the_options_of_a_run_leaves_out_those_it_sets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"config": to_json(preset("tiny"))}))
    given, _ = parse(profile.PROGRAM, ["--config", str(path)])
    assert given.values["training.batch"] == 64
    assert not {"out", "resume", "json"} & given.values.keys()
    assert capsys.readouterr().err.endswith("does not take from it: out, resume, json\n")


def test_nothing_in_a_file_is_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, 'preset: tiny\nlayout: !!python/object/apply:os.mkdir ["made"]\n')
    assert main(["adapt", "--config", str(path), "--out", "r"]) == 2
    assert "run.yaml: layout: expected text" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapt", "--config", "nowhere.yaml"]) == 2
    assert "--config: expected a file to read, got nowhere.yaml" in capsys.readouterr().err


def test_footage_is_aligned_too_unless_the_lifter_sees_several_frames() -> None:
    target = {"target": Path("footage.json"), "source": Path("motion.bvh"), "device": "cpu"}
    assert "gpa_lpa_view" in resolve(target).arms and "gpa_lpa_view" in resolve(target | {"frames": 1}).arms
    several = resolve(target | {"lifter": "videopose3d", "frames": 9})
    assert several.frames == 9 and several.arms == ("source_only", "gpa", "gpa_lpa")
    assert resolve(target | {"arms": ("lpa",)}).arms == ("lpa",)
    assert resolve({"preset": "tiny"}).arms == LABELLED_ARMS


@pytest.mark.parametrize(
    ("options", "device", "size"),
    [
        ("", "cpu", (256, 2)),
        ("--lifter mixste", "cpu", (48, 2)),
        ("--lifter mixste", "cuda", (512, 8)),
        ("--lifter mixste --preset full", "cpu", (512, 8)),
        ("--lifter mixste --preset tiny", "cuda", (32, 1)),
        ("--lifter stgcn --preset tiny", "cpu", (8, 1)),
        ("--lifter mixste --network.width=96", "cuda", (96, 8)),
        ("--lifter simple_baseline --network.blocks 3", "cuda", (1024, 3)),
        ("--lifter of_another", "cuda", (256, 2)),
    ],
)
def test_the_network_has_the_size_that_suits_lifter_and_device(
    monkeypatch: pytest.MonkeyPatch, options: str, device: str, size: tuple[int, int]
) -> None:
    monkeypatch.setattr("poseda.lifters.sizes.choose", lambda name: torch.device(device))
    network = parse_run([*options.split(), "--network.dropout", "0.3"]).network
    assert (network.width, network.blocks) == size and network.dropout == 0.3


def test_a_network_that_a_file_sizes_keeps_its_size_on_every_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("poseda.lifters.sizes.choose", lambda name: torch.device("cuda"))
    path = written(tmp_path, "lifter: mixste\nnetwork: {width: 96}\n")
    network = parse_run(["--config", str(path)]).network
    assert (network.width, network.blocks) == (96, 8)


def test_another_preset_replaces_the_numbers_of_the_files_own(tmp_path: Path) -> None:
    """What --print-config wrote for one preset is not trained under the name of another."""
    tiny = parse_run(["--preset", "tiny", "--log-every", "10"])
    path = str(written(tmp_path, write(tiny)))
    full = parse_run(["--preset", "full", "--config", path])
    assert full.training == parse_run(["--preset", "full"]).training and full.domain_size == 1
    assert full.log_every == 10  # which no preset explains
    assert parse_run(["--config", path]) == tiny


@pytest.mark.parametrize(
    ("device", "capability", "name", "precision"),
    [
        ("cpu", None, "default", "32-true"),
        ("cpu", "avx512_bf16", "default", "bf16-mixed"),
        ("cuda", (9, 0), "full", "tf32"),
        ("cuda", (7, 5), "full", "32-true"),
    ],
)
def test_preset_and_precision_follow_from_the_device(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    capability: tuple[int, int] | str | None,
    name: str,
    precision: str,
) -> None:
    monkeypatch.setattr("poseda.device.choose", lambda _: torch.device(device))
    monkeypatch.setattr("poseda.lifters.sizes.choose", lambda _: torch.device(device))
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda *_: capability)
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {capability: True})
    run = resolve({})
    assert (run.preset, run.precision, run.graphs) == (name, precision, "auto")
    assert run.training == preset(name).training  # type: ignore[arg-type]
    assert resolve({"preset": "auto"}) == run
    between = {"cpu": "demo", "cuda": "full"}[
        device
    ]  # the embedded domains, where adapt is asked for nothing
    assert parse_run([]).preset == between
    assert resolve({"target": Path("footage.json")}, demo=True).preset == name
    chosen = resolve({"preset": "tiny", "precision": "bf16-mixed"})
    assert (chosen.preset, chosen.precision) == ("tiny", "bf16-mixed")


def test_a_resumed_run_keeps_its_preset_and_precision_on_another_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a run that was begun before the defaults followed from the device."""
    record = to_json(preset("default")) | {"precision": "32-true", "graphs": "off"}
    (tmp_path / "config.json").write_text(json.dumps({"config": record}))
    monkeypatch.setattr("poseda.device.choose", lambda _: torch.device("cuda"))
    monkeypatch.setattr("poseda.lifters.sizes.choose", lambda _: torch.device("cpu"))
    run = resolve({"resume": True, "out": tmp_path})
    assert (run.preset, run.precision) == ("default", "32-true")
    check_resumable(run, record | {"network": to_json(run.network)})
    (tmp_path / "config.json").write_text("{")
    assert resolve({"resume": True, "out": tmp_path, "precision": "tf32"}).preset == "full"


def test_the_options_of_a_resumed_run_are_checked_against_its_own_preset(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"config": to_json(preset("tiny"))}))
    resumed = resolve({"resume": True, "out": tmp_path, "save_every": 40})
    assert (resumed.preset, resumed.save_every, resumed.log_every) == ("tiny", 40, 20)


def test_a_wide_lifter_that_an_older_run_trained_is_not_taken_for_the_packages() -> None:
    config = resolve({"target": Path("footage.json"), "arms": ("wide",)})
    older = {name: value for name, value in to_json(config).items() if name != "from_scratch"}
    with pytest.raises(ConfigError, match="from_scratch: the run to resume has True, got False"):
        check_resumable(config, older)
    check_resumable(config, to_json(config))


def test_the_arms_follow_from_the_data(tmp_path: Path) -> None:
    clip = tmp_path / "clip.npz"
    clip.touch()
    tiny = "--preset tiny --device cpu"
    assert tuple(run_of(tiny)["arms"]) == LABELLED_ARMS  # type: ignore[arg-type]
    assert tuple(run_of(f"{tiny} --lifter stgcn --frames 9")["arms"]) == TABLE_ARMS  # type: ignore[arg-type]
    footage = run_of(f"{tiny} --target {clip} --source {clip}")["arms"]
    assert tuple(footage) == FOOTAGE_ARMS  # type: ignore[arg-type]
    scratch = run_of(f"{tiny} --target {clip} --from-scratch")["arms"]
    assert tuple(scratch) == FOOTAGE_ARMS  # type: ignore[arg-type]
    packaged = run_of(f"{tiny} --target {clip}")["arms"]
    assert tuple(packaged) == WIDE_ARMS  # type: ignore[arg-type]


def test_the_packages_lifter_learns_a_target_for_less_long_than_one_of_the_run(tmp_path: Path) -> None:
    def taught(**given: Any) -> tuple[int, int]:
        wide = resolve({"target": (Path("clip.json"),), "device": "cpu", **given}).wide
        return wide.rounds, wide.target_steps

    assert taught() == (2, 300) and taught(from_scratch=True) == (2, 1500)
    assert taught(**{"wide.rounds": 3}) == (3, 300) and taught(preset="tiny") == (2, 40)
    older = to_json(resolve({"target": (Path("clip.json"),), "wide.target_steps": 1500, "wide.rounds": 2}))
    (tmp_path / "config.json").write_text(json.dumps({"config": older}))
    assert taught(resume=True, out=tmp_path) == (2, 1500)

    def pictures(**given: Any) -> tuple[float, float]:
        wide = resolve({"target": (Path("clip.json"),), "device": "cpu", **given}).wide
        return wide.weight_reprojection, wide.weight_consistency

    assert pictures() == pictures(from_scratch=True) == pictures(preset="tiny") == (1.0, 0.3)
    assert pictures(**{"wide.weight_consistency": 0.0}) == (1.0, 0.0)
    older["wide"] |= {"weight_reprojection": 0.0, "weight_consistency": 0.0}  # begun before it was so
    (tmp_path / "config.json").write_text(json.dumps({"config": older}))
    assert pictures(from_scratch=True, resume=True, out=tmp_path) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("recorded", "gate", "arms"),
    [
        (["gpa", "plus"], "report", ["gpa", "gpa_lpa_view"]),  # a name of 0.1.0
        (["source_only"], "on", list(LABELLED_ARMS)),  # what the gate left is not what was asked for
        (["ours"], "report", list(LABELLED_ARMS)),
        (3, "report", list(LABELLED_ARMS)),
    ],
)
def test_a_resumed_run_keeps_its_arms_where_none_are_named(
    tmp_path: Path, recorded: object, gate: str, arms: list[str]
) -> None:
    record = to_json(preset("tiny")) | {"arms": recorded, "gate": gate}
    (tmp_path / "config.json").write_text(json.dumps({"config": record}))
    line = f"--device cpu --resume --out {tmp_path}"
    assert run_of(line)["arms"] == arms
    assert run_of(f"{line} --arms gpa")["arms"] == ["gpa"]


def test_footage_is_drawn_as_detectors_show_people_and_simulated_2d_is_not(tmp_path: Path) -> None:
    (tmp_path / "target.npz").touch()
    footage = resolve({"target": (tmp_path / "target.npz",), "device": "cpu", "from_scratch": True})
    assert {name: flatten(to_json(footage))[name] for name in FIELD} == FIELD
    own = resolve(
        {"target": (tmp_path / "target.npz",), "device": "cpu", "from_scratch": True, "views.knees": 5.0}
    )
    assert own.views.knees == 5 and own.views.lean == FIELD["views.lean"]
    assert not any(flatten(to_json(resolve({"device": "cpu"})))[name] for name in FIELD)


def test_what_a_run_with_the_packages_lifter_prints_is_what_it_reads(tmp_path: Path) -> None:
    (tmp_path / "target.npz").touch()
    given = {"target": (tmp_path / "target.npz",), "device": "cpu"}
    printed = flatten(to_json(resolve(given)))
    again = resolve(
        {name: value for name, value in printed.items() if name.startswith(("views.", "wide."))} | given
    )
    assert again == resolve(given)


def test_a_run_with_the_packages_lifter_goes_on_with_the_views_that_it_began_with(tmp_path: Path) -> None:
    (tmp_path / "target.npz").touch()
    line = f"--target {tmp_path / 'target.npz'} --device cpu --out {tmp_path / 'run'}"
    began = to_json(parse_run(line.split()))
    began["views"] |= {"anatomical": 0.0, "hips": 0.0, "knees": 0.0, "lean": 0.0}
    assert began["detector"].pop("cropped") > 0 and began["detector"].pop("burst") > 0  # later than the run
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text(json.dumps({"config": began}))
    resumed = parse_run(f"{line} --resume".split())
    views, detector = resumed.views, resumed.detector
    assert views.knees == views.lean == views.hips == views.anatomical == 0
    assert detector.cropped == detector.burst == 0
