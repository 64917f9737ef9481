"""Lifters: the contract of all, published sizes, the two forms of the temporal convolutions, the registry."""

import sys

import pytest
import torch
from torch import nn

from poseda import lifters
from poseda.config import RunConfig
from poseda.config.fields import help_texts
from poseda.geometry.skeleton import COCO17, H36M16, H36M17, Skeleton
from poseda.lifters import registry, sizes

SMALL = {
    "simple_baseline": {"width": 32},
    "residual": {"width": 32},
    "videopose3d": {"channels": 32},
    "semgcn": {"width": 32, "blocks": 1},
    "stgcn": {"width": 16},
    "mixste": {"width": 32, "blocks": 1},
    "dstformer": {"width": 32, "blocks": 1, "representation": 32},
}
WITHOUT_EFFECT = {
    # As published: linear layers with a bias before a batch norm.
    "simple_baseline": {f"network.{layer}.bias" for layer in ("0", "4.layers.0", "4.layers.4", "5.layers.0")}
    | {"network.5.layers.4.bias"},
    # The same for every joint up to the output: goes with the root.
    "stgcn": {"non_local.norm.bias"},
}
SINGLE_FRAME = ("simple_baseline", "residual", "semgcn")
TEMPORAL = ("videopose3d", "stgcn", "mixste", "dstformer")


pytestmark = pytest.mark.usefixtures("one_thread")


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture
def own_registry(monkeypatch):
    """Registrations of a test do not outlive it."""
    monkeypatch.setattr(registry, "_REGISTERED", dict(registry._REGISTERED))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("skeleton", [H36M16, H36M17, COCO17], ids=lambda s: s.name)
@pytest.mark.parametrize("channels", [2, 3])
def test_a_lifter_maps_windows_to_poses_with_the_root_at_the_origin(name, skeleton, channels):
    lifter = lifters.build(name, skeleton, in_channels=channels, **SMALL[name]).eval()
    pose = lifter(torch.randn(5, 1, skeleton.num_joints, channels))
    assert pose.shape == (5, 1, skeleton.num_joints, 3)
    assert pose[:, :, 0].eq(0).all()
    assert pose[:, :, 1:].abs().gt(0).all()


@pytest.mark.parametrize("name", TEMPORAL)
def test_a_temporal_lifter_maps_windows_to_one_pose_or_one_a_frame(name):
    lifter = lifters.build(name, H36M17, 9, **SMALL[name]).eval()
    pose = lifter(torch.randn(5, 9, 17, 2))
    assert pose.shape == (5, 1 if name == "videopose3d" else 9, 17, 3)
    assert pose[:, :, 0].eq(0).all()


@pytest.mark.parametrize("name", SMALL)
def test_a_lifter_is_built_for_any_tree(name):
    tree = {"root": None, "a": "root", "b": "a", "c": "root", "d": "c", "alone": "root"}
    skeleton = Skeleton.declare(
        "spider", tree, [("a", "c"), ("b", "d")], {"one": ("a", "b"), "two": ("c", "d")}
    )
    pose = lifters.build(name, skeleton, **SMALL[name]).eval()(torch.randn(2, 1, 6, 2))
    assert pose.shape == (2, 1, 6, 3)
    assert pose[:, :, 1:].abs().gt(0).all()


@pytest.mark.parametrize("name", SMALL)
def test_a_lifter_with_any_frames_takes_windows_of_other_lengths(name):
    lifter = lifters.build(name, H36M16, 1 if name in SINGLE_FRAME else 9, **SMALL[name]).eval()
    assert lifter.any_frames is (name != "videopose3d")
    assert lifters.build(name, H36M16, 1, **SMALL[name]).any_frames is (name in (*SINGLE_FRAME, "stgcn"))
    if name != "videopose3d":
        assert lifter(torch.randn(2, 4, 16, 2)).shape == (2, 4, 16, 3)


@pytest.mark.parametrize("name", [*SINGLE_FRAME, "stgcn"])
def test_lifters_of_one_frame_lift_each_frame_by_itself(name):
    lifter = lifters.build(name, H36M16, **SMALL[name]).eval()
    with torch.no_grad():
        for parameter in lifter.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # leaves the zeros some layers begin with
    pose_2d = torch.randn(3, 7, 16, 2)
    together = lifter(pose_2d)
    assert together.shape == (3, 7, 16, 3)
    torch.testing.assert_close(together[:, 4:5], lifter(pose_2d[:, 4:5]))


@pytest.mark.parametrize("name", TEMPORAL)
def test_temporal_lifters_see_the_neighbouring_frames(name):
    lifter = lifters.build(name, H36M16, 9, **SMALL[name]).eval()
    window = torch.randn(2, 9, 16, 2, requires_grad=True)
    pose = lifter(window)
    pose[:, pose.shape[1] // 2, 1:].sum().backward()
    assert window.grad.abs().sum((0, 2, 3))[3:6].gt(0).all()


@pytest.mark.parametrize("name", SMALL)
def test_outputs_begin_well_below_a_metre(name):
    # He's initialisation begins at metres, from which a short training hardly returns.
    lifter = lifters.build(name, H36M16).train()
    assert lifter(torch.randn(8, 1, 16, 2)).abs().max() < 0.5


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_is_trained(name):
    frames = 1 if name in SINGLE_FRAME else 9
    lifter = lifters.build(name, H36M16, frames, dropout=0.0, **SMALL[name])
    with torch.no_grad():
        for parameter in lifter.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # leaves the zeros some layers begin with
    lifter(torch.randn(8, frames, 16, 2)).square().mean().backward()
    # A parameter without effect still collects rounding errors.
    idle = {n for n, p in lifter.named_parameters() if p.grad is None or p.grad.norm() < 1e-6 * p.norm()}
    assert idle == WITHOUT_EFFECT.get(name, set())


@pytest.mark.parametrize("name", SMALL)
def test_a_lifter_is_one_graph_for_the_compiler(name):
    lifter = lifters.build(name, H36M16, **SMALL[name]).eval()
    torch._dynamo.reset()
    pose_2d = torch.randn(2, 1, 16, 2)
    compiled = torch.compile(lifter, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(pose_2d), lifter(pose_2d))


@pytest.mark.parametrize("name", SMALL)
def test_a_lifter_learns_a_linear_map(name):
    lifter = lifters.build(name, H36M16, dropout=0.0, **SMALL[name])
    source = torch.randn(64, 1, 16, 2) * 0.3
    target = torch.nn.functional.pad(source, (0, 1))
    target = target - target[:, :, :1]
    optimizer = torch.optim.Adam(lifter.parameters(), 3e-3)
    losses = []
    for _ in range(80):
        loss = (lifter(source) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_simple_baseline_has_the_published_size():
    # Linear 32 -> 1024, 4 of 1024 -> 1024, 1024 -> 45; 5 batch norms of 2 * 1024: "4 to 5 million".
    expected = (32 * 1024 + 1024) + 4 * (1024 * 1024 + 1024) + (1024 * 45 + 45) + 5 * 2 * 1024
    assert parameters(lifters.build("simple_baseline", H36M16)) == expected == 4_288_557


@pytest.mark.parametrize(("frames", "published"), [(27, 8.56), (81, 12.75), (243, 16.95)])
def test_videopose3d_has_the_published_size(frames, published):
    # Pavllo et al. 2019: millions of parameters, 17 joints, 1024 channels.
    millions = parameters(lifters.build("videopose3d", H36M17, frames)) / 1e6
    assert round(millions, 2) == published


@pytest.mark.parametrize(("non_local", "published"), [(True, 0.43), (False, 0.27)])
def test_semgcn_has_the_published_size(non_local, published):
    # Zhao et al. 2019: millions of parameters, 16 joints, 128 channels, four blocks. The 0.4 % of biases that
    # norms and the root's subtraction remove are not in ours, which does not change two decimals.
    millions = parameters(lifters.build("semgcn", H36M16, non_local=non_local)) / 1e6
    assert round(millions, 2) == published


@pytest.mark.parametrize(("frames", "published"), [(1, 3.63), (7, 5.04)])
def test_stgcn_has_the_published_size(frames, published):
    # Millions of the network that Cai et al. (2019) released, 17 joints, by layers. kinds: of neighbours of
    # joints, and of parts; seen: frames that the body sees. Ours leaves out biases that norms remove, 0.07 %.
    kinds, seen = (6, 3) if frames > 1 else (4, 1)

    def block(inputs, outputs, skip=0):
        mixing = kinds * (inputs + 1) * outputs + outputs * outputs + outputs
        return mixing + 2 * 2 * outputs + skip * (inputs * outputs + outputs + 2 * outputs)

    joints = 2 * 17 * 2 + block(2, 128) + block(128, 128) + block(128, 256, skip=1)
    parts = block(256, 512, skip=1) + block(512, 512)
    body = (seen * 512 * 512 + 3 * 512) + (1024 * 256 + 3 * 256)
    non_local = 3 * (512 * 256 + 256) + (256 * 512 + 3 * 512)
    released = joints + parts + body + non_local + (512 * 3 + 3)
    assert round(released / 1e6, 2) == published
    assert parameters(lifters.build("stgcn", H36M17, frames)) == pytest.approx(released, rel=1e-3)


def test_mixste_has_the_size_of_the_paper():
    # Zhang et al. 2022: 16 blocks of width 512, perceptrons of twice that, 243 frames, 17 joints; later
    # papers count 33.8 million. One block: queries, keys, values and their output, perceptron, two norms.
    block = (512 * 1536 + 1536) + (512 * 512 + 512) + (512 * 1024 + 1024) + (1024 * 512 + 512) + 2 * 1024
    rest = (2 * 512 + 512) + (17 + 243) * 512 + 2 * 1024 + 512 + 512 * 3
    lifter = lifters.build("mixste", H36M17, 243)
    assert parameters(lifter) == 16 * block + rest
    assert round(parameters(lifter) / 1e6, 1) == 33.8


@pytest.mark.parametrize(("options", "published"), [({}, 162), ({"width": 256, "mlp_ratio": 4.0}, 61)])
def test_dstformer_has_the_published_size(options, published):
    # Zhu et al. 2023 give the sizes of their float32 weights, 162 MB and 61 MB (light): mebibytes.
    with torch.device("meta"):
        lifter = lifters.build("dstformer", H36M17, 243, in_channels=3, **options)
    assert round(4 * parameters(lifter) / 2**20) == published


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("frames", "widths"), [(1, None), (9, None), (27, None), (15, (3, 5)), (15, (5, 3)), (5, (5,))]
)
def test_strided_windows_agree_with_the_dilated_sequence(frames, widths, causal):
    lifter = lifters.build("videopose3d", H36M16, frames, filter_widths=widths, channels=16, causal=causal)
    lifter = lifter.double().train()
    lifter(torch.randn(64, frames, 16, 2, dtype=torch.float64))  # moves the batch norms' running statistics
    lifter.eval()
    length = frames + 11
    pose_2d = torch.randn(2, length, 16, 2, dtype=torch.float64)
    sequence = lifter.sequence(pose_2d)
    assert sequence.shape == (2, length, 16, 3)
    windows = pose_2d.unfold(1, frames, 1).permute(0, 1, 4, 2, 3)  # (2, 12, frames, 16, 2)
    single = lifter(windows.flatten(0, 1)).reshape(2, 12, 16, 3)
    first = lifter.target_frame
    torch.testing.assert_close(sequence[:, first : first + 12], single, rtol=1e-9, atol=1e-11)


def test_a_causal_model_does_not_see_the_future():
    lifter = lifters.build("videopose3d", H36M16, 9, channels=16, causal=True).eval()
    past = torch.randn(1, 20, 16, 2)
    other = past.clone()
    other[:, 12:] += 1.0
    before, after = lifter.sequence(past), lifter.sequence(other)
    assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.equal(before[:, 12], after[:, 12])


@pytest.mark.parametrize(("causal", "seen"), [(False, [3, 4, 5]), (True, [6, 7, 8])])
def test_the_residual_carries_the_frame_of_the_output(causal, seen):
    lifter = lifters.build("videopose3d", H36M16, 9, channels=16, causal=causal).eval()
    for block in lifter.blocks:
        nn.init.zeros_(block.features.weight)
    window = torch.randn(1, 9, 16, 2, requires_grad=True)
    lifter(window)[..., 1:, :].sum().backward()
    assert window.grad.abs().sum((0, 2, 3)).nonzero().flatten().tolist() == seen


def test_a_window_is_seen_from_its_first_frame_to_its_last():
    lifter = lifters.build("videopose3d", H36M16, 9, channels=16, dropout=0.0).eval()
    window = torch.randn(1, 9, 16, 2, requires_grad=True)
    lifter(window)[..., 1:, :].sum().backward()
    assert window.grad.abs().sum((0, 2, 3)).gt(0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 10}, "frames: expected 1 or a power of 3"),
        ({"frames": 0}, "frames: expected 1 or a power of 3"),
        ({"frames": 4, "filter_widths": (2, 2)}, "filter_widths: expected odd numbers"),
        ({"frames": 9, "filter_widths": (3, 5)}, r"filter_widths: expected a product of frames = 9.*15"),
        ({"frames": 1, "filter_widths": ()}, "filter_widths"),
        (
            {"chanels": 16},
            "expected options among filter_widths, channels, dropout, causal, in_channels, got chanels",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        lifters.build("videopose3d", H36M16, **options)


@pytest.mark.parametrize("name", SMALL)
def test_inputs_of_another_shape_are_refused(name):
    lifter = lifters.build(name, H36M16, **SMALL[name])
    with pytest.raises(ValueError, match=r"pose_2d: expected shape \(N, T, 16, 2\), got \(4, 16, 2\)"):
        lifter(torch.zeros(4, 16, 2))
    with pytest.raises(ValueError, match=r"got \(4, 1, 17, 2\)"):
        lifter(torch.zeros(4, 1, 17, 2))


def test_frame_counts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="pose_2d: expected 9 frames, got 8"):
        lifters.build("videopose3d", H36M16, 9, channels=16)(torch.zeros(2, 8, 16, 2))
    for name in SINGLE_FRAME:
        with pytest.raises(ValueError, match=f"frames: expected 1, as {name} sees single frames, got 9"):
            lifters.build(name, H36M16, frames=9)
    for name in ("stgcn", "mixste", "dstformer"):
        with pytest.raises(ValueError, match="frames: expected at least 1, got 0"):
            lifters.build(name, H36M16, frames=0)
    for name in ("mixste", "dstformer"):
        with pytest.raises(
            ValueError, match="pose_2d: expected at most 9 frames, as the lifter was built, got 10"
        ):
            lifters.build(name, H36M16, 9, **SMALL[name])(torch.zeros(1, 10, 16, 2))
        with pytest.raises(ValueError, match="width: expected a multiple of heads = 8, got 36"):
            lifters.build(name, H36M16, width=36)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ValueError, match=r"lifter: expected one of .*simple_baseline.*videopose3d.*'transformer'"
    ):
        lifters.build("transformer", H36M16)


def test_a_built_in_lifter_is_named_wherever_the_package_asks_for_it():
    """The places of "How to add a lifter" in the package's docstring."""
    known = set(sizes.SMALL)
    assert known == set(sizes._OPTIONS) == set(SMALL) and known <= set(lifters.names())
    assert all(name in help_texts(RunConfig)["lifter"] for name in known)
    built = {type(lifters.build(name, H36M16, **SMALL[name])).__name__ for name in known}
    assert built <= set(lifters.__all__)


def test_a_program_registers_its_own_lifter(own_registry):
    @lifters.register_lifter("flat")
    class Flat(nn.Module):
        def __init__(self, skeleton: Skeleton, frames: int = 1, depth: float = 0.0) -> None:
            super().__init__()
            self.depth = depth

    assert "flat" in lifters.names()
    assert lifters.build("flat", H36M16, depth=2.0).depth == 2.0
    with pytest.raises(ValueError, match="'flat' is registered already"):
        lifters.register_lifter("flat")(nn.Identity)


@pytest.fixture
def elsewhere(own_registry, monkeypatch, tmp_path):
    """Writes a package that offers a lifter called elsewhere, by a function of one line."""

    def write(line: str) -> None:
        (tmp_path / "elsewhere_lifters.py").write_text(
            f"from torch import nn\n\ndef build(skeleton, frames=1, **options):\n    {line}\n"
        )
        info = tmp_path / "elsewhere-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[poseda.lifters]\nelsewhere = elsewhere_lifters:build\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "elsewhere_lifters", raising=False)

    return write


def test_another_package_brings_a_lifter_by_entry_point(elsewhere):
    elsewhere("return nn.Linear(skeleton.num_joints, frames)")
    assert "elsewhere" in lifters.names()
    assert lifters.build("elsewhere", H36M17, frames=3, anything=1).weight.shape == (3, 17)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("return 1 +", "expected to import elsewhere_lifters:build, got an error .SyntaxError"),
        ("return {}['x']", "expected to be built from a skeleton and frames=3, got an error .KeyError: 'x'"),
        ("return skeleton.name", "expected an nn.Module, got str"),
    ],
)
def test_a_lifter_from_elsewhere_that_fails_is_named(elsewhere, line, message):
    elsewhere(line)
    with pytest.raises(ValueError, match=f"^lifter 'elsewhere': {message}"):
        lifters.build("elsewhere", H36M17, frames=3)


def test_an_entry_point_that_is_no_class_is_named(elsewhere, tmp_path):
    elsewhere("return None")
    entry = tmp_path / "elsewhere-1.0.dist-info" / "entry_points.txt"
    entry.write_text("[poseda.lifters]\nelsewhere = elsewhere_lifters\n")
    wanted = "^lifter 'elsewhere': expected a class or function at elsewhere_lifters, got module"
    with pytest.raises(ValueError, match=wanted):
        lifters.build("elsewhere", H36M17)
