"""Installations that do not fit: one sentence with the remedy, whatever is wrong."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from poseda.cli import main
from poseda.ops import _native as native


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As in a new process: nothing is loaded yet."""
    monkeypatch.setattr(native, "_loaded", False)
    monkeypatch.setattr(native, "_cuda_missing", native._NO_CUDA)
    return monkeypatch


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["info"]) == 1
    sentence = capsys.readouterr().err
    assert sentence.startswith("poseda: ") and sentence.count("\n") == 1
    return sentence


def break_library(monkeypatch: pytest.MonkeyPatch, name: str, reason: str) -> None:
    load = torch.ops.load_library

    def load_library(path: str) -> None:
        if Path(path).name == name:
            raise OSError(reason)
        load(path)

    monkeypatch.setattr(torch.ops, "load_library", load_library)


def with_cuda(
    monkeypatch: pytest.MonkeyPatch, folder: Path, built: str, running: str
) -> None:  # as on a machine with a CUDA torch and our CUDA library
    (folder / "libposeda_cuda.so").write_bytes(b"")
    (folder / "libposeda_ops.so").symlink_to(native._folder() / "libposeda_ops.so")
    monkeypatch.setattr(native, "_folder", lambda: folder)
    monkeypatch.setattr(native, "_host", lambda: SimpleNamespace(cuda_version=built))
    monkeypatch.setattr(torch.version, "cuda", running)


def test_the_libraries_export_only_what_python_loads() -> None:
    """No template of the standard library may leave them, nor be taken from another library in its stead."""
    libraries = sorted(native._folder().glob("*.so"))
    exported = {}
    for library in libraries:
        command = ["nm", "--dynamic", "--defined-only", "--format=just-symbols", str(library)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        exported[library.name.partition(".")[0]] = done.stdout.split()
    assert exported.pop("_host") == ["PyInit__host"]
    assert exported and not any(exported.values())


def test_an_old_torch_is_named(unloaded: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    unloaded.setattr(torch, "__version__", "2.9.1+cpu")
    sentence = refused(capsys)
    assert "needs torch 2.11 or newer, found 2.9.1+cpu; run `pip install --upgrade torch`" in sentence


def test_ops_that_do_not_load_say_with_which_torch(
    unloaded: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_library(unloaded, "libposeda_ops.so", "undefined symbol: aoti_torch_new")
    sentence = refused(capsys)
    assert f"do not load with torch {torch.__version__}" in sentence and "pip install ." in sentence


def test_a_missing_extension_is_named(
    unloaded: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unloaded.setitem(__import__("sys").modules, "poseda._host", None)
    unloaded.delattr("poseda._host", raising=False)
    assert "compiled extension is missing" in refused(capsys)


@pytest.mark.parametrize(
    ("built", "running", "reason"),
    [
        ("13.0", "12.8", r"are for CUDA 13\.0, not for torch .* \(CUDA 12\.8\); reinstall poseda beside it"),
        ("13.0", "13.1", r"do not load with torch .*: libcudart\.so\.13: cannot open .*; reinstall poseda"),
    ],
    ids=["major", "library"],
)
def test_cuda_kernels_that_do_not_fit_stop_cuda_only(
    unloaded: pytest.MonkeyPatch, tmp_path: Path, built: str, running: str, reason: str
) -> None:
    with_cuda(unloaded, tmp_path, built, running)
    break_library(unloaded, "libposeda_cuda.so", "libcudart.so.13: cannot open shared object file")
    native.load()
    assert not native.cuda_loaded()
    with pytest.raises(RuntimeError) as caught:
        native.require_cuda()
    assert re.search(reason, str(caught.value)) and "\n" not in str(caught.value)
