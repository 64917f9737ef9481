"""The run folder: who may write to it, and the files that say how its numbers came about."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from poseda.config import RunConfig, TargetDataConfig, check_resumable, from_json, to_json
from poseda.datasets import Domains, OwnDomains
from poseda.evaluation import gate
from poseda.evaluation.gate import Verdict
from poseda.runs.checkpoint import load_checkpoint
from poseda.runs.files import is_leftover, write_json
from poseda.runs.lock import NAME as LOCK
from poseda.runs.lock import FolderError, FolderLock

PACKAGES = ("poseda", "torch", "numpy", "lightning", "safetensors")


def lock_folder(out: Path, wanted: bool) -> FolderLock:
    """The lock of a run folder, taken if the folder was ever a run's; nothing is written to others.

    Args:
        out: the folder.
        wanted: whether this process, of several, is the one to hold it.

    Raises:
        FolderError: if another run has it.
    """
    lock = FolderLock(out, wanted)
    try:
        if (out / LOCK).exists():
            lock.take()
    except OSError as error:
        raise _unusable(out, error) from error
    return lock


def open_folder(
    config: RunConfig,
    domains: Domains,
    splits: Sequence[str],
    lock: FolderLock,
    verdict: Verdict | None = None,
) -> RunConfig:
    """Make the run folder, or check that it holds the run to resume; write what says how it came about.

    Args:
        config: resolved.
        domains: to be named in the record.
        splits: with labels.
        lock: of the folder; held afterwards.
        verdict: of the gate, or None where it was not asked.

    Returns:
        the configuration, with the arms and seeds of the resumed run before the new ones.

    Raises:
        FolderError: if the folder is in use by another run, or there is none to resume.
    """
    data = describe_data(domains)
    _examine(config, data)  # what is refused is left without a lock's file
    try:
        lock.take()
        config, earlier = _examine(config, data)  # another run may have come between
        _remove_leftovers(config.out)
        _write_record(config, domains, splits, data, earlier)
        if verdict is None:
            (config.out / gate.FILE).unlink(missing_ok=True)  # of an earlier start that did ask
        else:
            write_json(config.out / gate.FILE, verdict.to_json(gate.recommend(verdict, config.arms)))
    except OSError as error:
        raise _unusable(config.out, error) from error
    return config


def _examine(config: RunConfig, data: dict[str, str]) -> tuple[RunConfig, list[dict[str, str]]]:
    """The configuration to run, and the versions a resumed run was computed with before.

    Raises:
        FolderError: if the folder holds what it should not, or no run to resume.
    """
    if not config.resume:
        if _occupied(config.out):
            raise FolderError(
                f"--out: expected a new or empty folder, got {config.out} with files in it; "
                f"--resume continues it"
            )
        return config, []
    saved = read_folder(config.out)
    earlier = saved.get("earlier_versions", [])
    if saved["versions"] not in (versions(), *earlier):
        earlier = [*earlier, saved["versions"]]
    return _resumed(config, saved, data), earlier


def _remove_leftovers(out: Path) -> None:
    """Remove what killed writes left behind; only the holder of the lock may."""
    for path in filter(is_leftover, list(out.rglob("*"))):
        path.unlink()


def _write_record(
    config: RunConfig,
    domains: Domains,
    splits: Sequence[str],
    data: dict[str, str],
    earlier: list[dict[str, str]],
) -> None:
    record = {
        "config": to_json(config),
        "versions": versions(),
        "earlier_versions": earlier,
        "seeds": list(config.seeds),
        "data": data,
    }
    write_json(config.out / "config.json", record)
    write_json(config.out / "protocol.json", protocol_card(config, domains, splits))


def _occupied(out: Path) -> bool:
    """Whether a folder holds anything but what a run leaves that was killed during its first write."""
    try:
        if out.exists() and not out.is_dir():
            raise FolderError(f"--out: expected a folder, got the file {out}")
        return out.exists() and any(not is_leftover(path) and path.name != LOCK for path in out.iterdir())
    except OSError as error:
        raise _unusable(out, error) from error


def _unusable(out: Path, error: OSError) -> FolderError:
    return FolderError(f"--out: expected a folder that can be written, got {out} ({error.strerror or error})")


def check_partials(out: Path, device: str) -> None:
    """Check that what is unfinished was begun on this kind of device: its random numbers exist there only.

    Raises:
        FolderError: if not.
    """
    for path in sorted(out.rglob("*.partial")):
        begun = load_checkpoint(path)[1].get("device", device)
        if begun != device:
            raise FolderError(
                f"--device: the run to resume has {path.relative_to(out)} unfinished on {begun}, got {device}"
            )


def _resumed(config: RunConfig, saved: dict[str, Any], data: dict[str, str]) -> RunConfig:
    try:
        check_resumable(config, saved["config"])
    except ValueError as error:
        raise FolderError(str(error)) from error
    if saved["data"]["sha256"] != data["sha256"]:
        raise FolderError(
            f"--data: expected the data of the run to resume ({saved['data']['name']}), got other content"
        )
    before = from_json(saved["config"])
    return replace(
        config,
        arms=tuple(dict.fromkeys(before.arms + config.arms)),
        seeds=tuple(dict.fromkeys(before.seeds + config.seeds)),
    )


def read_folder(out: Path) -> dict[str, Any]:
    """Read config.json of a run folder.

    Raises:
        FolderError: if it is not there or damaged.
    """
    path = out / "config.json"
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        from_json(record["config"])
        for entry in ("name", "skeleton", "sha256"):
            record["data"][entry]
        record["versions"]["poseda"]
        return record
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise FolderError(
            f"{path}: expected the config.json of a run, found none that can be read ({error})"
        ) from error


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    # With the build, such as +cu130, which the metadata of torch's wheels leaves out.
    found["torch"] = str(torch.__version__)
    return found


def describe_data(domains: Domains) -> dict[str, str]:
    """Which data: its name, skeleton and content hash."""
    return {"name": domains.name, "skeleton": domains.skeleton.name, "sha256": domains.fingerprint()}


def protocol_card(config: RunConfig, domains: Domains, splits: Sequence[str]) -> dict[str, str]:
    """What a reader must know to compare the numbers with others'; ``splits`` are those with labels."""
    skeleton = domains.skeleton
    camera = {"target camera": domains.camera} if isinstance(domains, OwnDomains) else {}
    if "target_test" in splits:
        target = "inductive: unlabelled 2D of target_train is adapted on, target_test holds other clips"
    else:
        target = "unlabelled 2D is adapted on; it has no labels, so the numbers are of source_val"
    worse = config.target_data
    if worse != TargetDataConfig():
        target += (
            f"; made worse first: {worse.size or 'all'} poses, noise of {worse.noise:g} half screen widths, "
            f"focal length off by {worse.focal_error:+.0%}"
        )
    return {
        "data": domains.name,
        "joints": f"all {skeleton.num_joints} of {skeleton.name}, root-relative by subtraction",
        "frames": _describe_frames(config),
        "2D source": "as the data file gives it",
        "test-time flip": "averaged with the mirrored pose" if config.training.flip else "off",
        "scale fix": "none",
        "target": target,
        **camera,
        "selection": "none: averaged weights of the last step; no target label in any choice",
        "seeds": ", ".join(map(str, config.seeds)),
        "averages": "pooled over joints and frames",
        "PCK, AUC": "joints strictly under 150 mm; mean of PCK at 0, 5, ... 150 mm",
    }


def _describe_frames(config: RunConfig) -> str:
    if config.frames == 1:
        return "1"
    what = "past frames" if config.network.causal else "frames around each"
    within = f"{config.frames}: {what}, within its clip, whose first or last frame is repeated at the ends"
    return f"{within}; a lifter of every frame is tested on windows side by side"


def evaluation_card(record: dict[str, Any], domains: Domains, split: str) -> dict[str, str]:
    """The card of a later evaluation, perhaps on other data than the run's.

    Args:
        record: config.json of the run.
        domains: evaluated on.
        split: of the domains.
    """
    learned, evaluated = record["data"], describe_data(domains)
    card = protocol_card(from_json(record["config"]), domains, ("target_test",)) | {"split": split}
    if learned["sha256"] != evaluated["sha256"]:
        card["target"] = (
            f"other data: the lifters were adapted on {learned['name']}, evaluated on {evaluated['name']}; "
            f"whether the two share clips was not checked"
        )
    elif split == "source_val":
        card["target"] = "unlabelled 2D of target_train was adapted on; the numbers are of source_val"
    return card
