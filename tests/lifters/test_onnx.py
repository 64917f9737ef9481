"""Every lifter as an ONNX file, run by onnxruntime, against torch."""

import json
from types import SimpleNamespace

import onnxruntime
import pytest
import torch
from torch import nn

from poseda import lifters
from poseda.geometry.skeleton import H36M16
from poseda.lifters.onnx import check_batch

SMALL = {
    "simple_baseline": (1, {"width": 16}),
    "videopose3d": (9, {"channels": 16}),
    "semgcn": (1, {"width": 8, "blocks": 1}),
    "stgcn": (5, {"width": 8}),
    "mixste": (5, {"width": 16, "blocks": 1}),
    "dstformer": (5, {"width": 16, "blocks": 1, "representation": 16}),
}


def untrained(lifter: nn.Module) -> nn.Module:
    """The lifter with weights of everyday size everywhere: outputs of a fresh one are close to zero."""
    with torch.no_grad():
        for parameter in lifter.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return lifter.eval()


def assert_runs_alike(lifter: nn.Module, session: onnxruntime.InferenceSession, *shape: int) -> None:
    pose_2d = torch.randn(*shape)
    (lifted,) = session.run(["pose_3d"], {"pose_2d": pose_2d.numpy()})
    expected = lifter(pose_2d).detach()
    assert expected.abs().mean() > 1e-3
    torch.testing.assert_close(torch.from_numpy(lifted), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_an_exported_lifter_of_one_frame_agrees_with_torch(name, tmp_path):
    lifter = untrained(lifters.build(name, H36M16, **SMALL[name][1]))
    session = onnxruntime.InferenceSession(lifters.export_onnx(lifter, tmp_path / "lifter.onnx", H36M16))
    assert_runs_alike(lifter, session, 4, 1, 16, 2)


@pytest.mark.parametrize("name", SMALL)
def test_an_exported_lifter_agrees_with_torch(name, tmp_path):
    frames, options = SMALL[name]
    lifter = untrained(lifters.build(name, H36M16, frames, **options))
    path = lifters.export_onnx(lifter, tmp_path / "lifter.onnx", H36M16, frames)
    session = onnxruntime.InferenceSession(path)
    for batch in (1, 7):
        assert_runs_alike(lifter, session, batch, frames, 16, 2)
    (given,) = session.get_inputs()
    if name == "videopose3d":
        assert given.shape[1] == frames
    else:
        assert isinstance(given.shape[1], str)
        # The transformers have positions for the frames that they were built for.
        for length in (1, 4) if name in ("mixste", "dstformer") else (1, 4, 12):
            assert_runs_alike(lifter, session, 3, length, 16, 2)
    assert [path] == list(tmp_path.iterdir())  # the weights are inside


def test_an_exported_flip_average_holds_the_mirror_and_describes_itself(tmp_path):
    lifter = untrained(lifters.build("simple_baseline", H36M16, width=16, in_channels=3)).train()
    average = lifters.FlipAverage(lifter, H36M16)
    path = lifters.export_onnx(average, tmp_path / "lifter.onnx", H36M16, in_channels=3, any_frames=False)
    assert lifter.training  # exporting leaves the lifter as it was
    session = onnxruntime.InferenceSession(path)
    assert_runs_alike(average.eval(), session, 4, 1, 16, 3)
    about = session.get_modelmeta().custom_metadata_map
    assert about["skeleton"] == "h36m16" and about["frames"] == "1"
    assert json.loads(about["joint_names"]) == list(H36M16.joint_names)
    (given,) = session.get_inputs()
    assert given.name == "pose_2d" and given.shape[1:] == [1, 16, 3] and isinstance(given.shape[0], str)


def test_a_batch_that_the_exporter_fixed_is_refused() -> None:
    free, fixed = SimpleNamespace(name="rays", shape=("batch", 1)), SimpleNamespace(name="seen", shape=(2, 1))
    check_batch([free])
    with pytest.raises(ValueError, match="leave the batch of seen free"):
        check_batch([free, fixed])
