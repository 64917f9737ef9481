"""What residual, graph and attention lifters are made of, against hand-worked numbers and against torch."""

import pytest
import torch
from torch import nn

from poseda import lifters
from poseda.geometry.skeleton import COCO17, H36M16, MPI_INF_3DHP, Skeleton
from poseda.lifters.attention import Attention, AttentionBlock
from poseda.lifters.dstformer import DualStreamBlock
from poseda.lifters.graph import NodeNorm, NonLocal
from poseda.lifters.residual import Block
from poseda.lifters.semgcn import SemanticGraphConv
from poseda.lifters.stgcn import (
    GraphBlock,
    GraphConv,
    joint_neighbourhoods,
    part_members,
    part_neighbourhoods,
)

CHAIN = Skeleton.declare("chain", {"root": None, "middle": "root", "end": "middle"})
FORK = Skeleton.declare(
    "fork",
    {"root": None, "left": "root", "right": "root", "left_tip": "left"},
    [("left", "right")],
    {"left": ("left", "left_tip"), "right": ("right",)},
)


def test_a_semantic_convolution_of_a_worked_example():
    layer = SemanticGraphConv(CHAIN, 1, 1)
    with torch.no_grad():
        layer.transform.weight.copy_(torch.tensor([[1.0], [10.0]]))  # itself, then neighbours
    joints = torch.tensor([[1.0], [2.0], [4.0]])
    # Equal edge weights: the ends average over 2 joints, the middle over 3.
    expected = torch.tensor([[(1 + 20) / 2], [(2 + 10 + 40) / 3], [(4 + 20) / 2]])
    torch.testing.assert_close(layer(joints), expected)


def test_a_semantic_convolution_learns_the_weight_of_each_edge_and_sees_no_further():
    layer = SemanticGraphConv(CHAIN, 1, 1)
    assert layer.edge.shape == (3 + 2 * 2,)
    joints = torch.randn(3, 1, requires_grad=True)
    layer(joints)[0].sum().backward()
    assert joints.grad.flatten().ne(0).tolist() == [True, True, False]
    # softmax keeps the row's weights summing to one, so the gradients of a row's edges cancel
    assert layer.edge.grad.ne(0).tolist() == [True, True, False, False, False, False, False]


def test_each_kind_of_neighbour_of_a_joint_has_its_matrix():
    itself, parent, children, twin = joint_neighbourhoods(FORK)
    assert torch.equal(itself, torch.eye(4))
    assert parent.tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
    assert children.tolist() == [[0, 0.5, 0.5, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert twin.tolist() == [[0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]


def test_parts_hold_both_ends_of_their_bones():
    assert part_members(FORK).int().tolist() == [[1, 1, 0, 1], [1, 0, 1, 0]]
    spider = Skeleton.declare("spider", {"a": None, "b": "a", "c": "b"}, parts={"first": ("b",)})
    assert part_members(spider).int().tolist() == [[1, 1, 0], [0, 0, 1]]  # c is in no part


def test_parts_know_what_they_touch_and_their_twins():
    names = list(H36M16.parts)
    itself, inwards, outwards, twins = part_neighbourhoods(H36M16)
    torso, right_arm, left_arm = (names.index(part) for part in ("torso", "right_arm", "left_arm"))
    assert torch.equal(itself, torch.eye(5))
    assert inwards[torso].sum() == 0
    assert outwards[torso].tolist() == [0.25 * (part != torso) for part in range(5)]
    assert inwards[right_arm].tolist() == [float(part == torso) for part in range(5)]
    assert outwards[right_arm].sum() == 0
    assert twins[right_arm, left_arm] == 1 and twins[right_arm].sum() == 1
    assert twins[torso].sum() == 0


def test_parts_of_a_chain_look_towards_its_middle_and_away():
    names = ["root", *"abcde"]
    parents = dict(zip(names, [None, *names], strict=False))
    chain = Skeleton.declare("chain", parents, parts={joint: (joint,) for joint in names[1:]})
    _, inwards, outwards, twins = part_neighbourhoods(chain)
    # Parts hold both ends of their bone and touch two on: a is next to b and c. Only c is next to all others.
    near = (part_members(chain).float() @ part_members(chain).float().mT).fill_diagonal_(0)
    assert near.count_nonzero() == 8
    assert inwards.gt(0).int().tolist() == [
        [0, 0, 1, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 0, 0],
    ]
    assert outwards.gt(0).int().tolist() == [
        [0, 1, 0, 0, 0],
        [1, 0, 0, 1, 0],
        [1, 1, 0, 1, 1],
        [0, 1, 0, 0, 1],
        [0, 0, 0, 1, 0],
    ]
    assert twins.sum() == 0


def test_a_graph_convolution_of_a_worked_example():
    layer = GraphConv(joint_neighbourhoods(FORK), 1, 1, temporal=True)
    with torch.no_grad():  # itself, parent, children, twin, past, future: weight and bias of each
        weights = [1.0, 0.5, 10.0, 0.0, 100.0, 0.25, 1e3, 0.0, 1e4, 0.0, 1e5, 0.125]
        layer.weight.weight.copy_(torch.tensor([weights]))
    nodes = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]]).reshape(1, 2, 4, 1)
    expected = torch.tensor(
        [
            [1 + 250 + 5e5, 2 + 10 + 400 + 3e3 + 6e5, 3 + 10 + 2e3 + 7e5, 4 + 20 + 8e5],
            [5 + 650 + 1e4, 6 + 50 + 800 + 7e3 + 2e4, 7 + 50 + 6e3 + 3e4, 8 + 60 + 4e4],
        ]
    )
    # Biases of neighbours that are there: everybody's own, children of the first two, a frame that follows.
    expected += 0.5 + torch.tensor([0.25, 0.25, 0, 0]) + torch.tensor([[0.125], [0]])
    torch.testing.assert_close(layer(nodes).squeeze(), expected)


def test_a_graph_block_adds_its_input_before_the_last_relu():
    kinds = joint_neighbourhoods(FORK)
    nodes = torch.randn(2, 3, 4, 6)
    same, wider, first = (
        GraphBlock(kinds, 6, width, temporal=False, dropout=0.0, skip=skip).eval()
        for width, skip in ((6, True), (8, True), (6, False))
    )
    torch.testing.assert_close(same(nodes), torch.relu(nodes + same.layers(nodes)))
    torch.testing.assert_close(wider(nodes), torch.relu(wider.skip(nodes) + wider.layers(nodes)))
    torch.testing.assert_close(first(nodes), torch.relu(first.layers(nodes)))
    assert wider(nodes).shape == (2, 3, 4, 8)


def test_a_non_local_layer_is_its_formula():
    layer = NonLocal(4).eval()
    nodes = torch.randn(2, 3, 5, 4)
    assert torch.equal(layer(nodes), nodes)  # begins as the identity
    nn.init.ones_(layer.norm.weight)
    theta, phi, value = layer.theta(nodes), layer.phi(nodes), layer.value(nodes)
    expected = nodes.clone()
    for i in range(5):
        for j in range(5):
            score = layer.affinity_theta(theta[:, :, i]) + layer.affinity_phi(phi[:, :, j])
            expected[:, :, i] += layer.output(score.relu() / 5 * value[:, :, j]) / (1 + layer.norm.eps) ** 0.5
    torch.testing.assert_close(layer(nodes), expected)


def test_a_node_norm_takes_each_channel_over_all_nodes():
    normalised = NodeNorm(3)(torch.randn(4, 2, 5, 3) * 7 + 2)
    torch.testing.assert_close(normalised.mean((0, 1, 2)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalised.var((0, 1, 2), correction=0), torch.ones(3), atol=1e-4, rtol=0)


@pytest.mark.parametrize("skeleton", [H36M16, COCO17, MPI_INF_3DHP], ids=lambda s: s.name)
@pytest.mark.parametrize("name", ["semgcn", "stgcn"])
def test_an_untrained_graph_treats_left_and_right_alike(name, skeleton):
    # Weights are shared by joints and the graph is its own mirror image: swapping sides swaps the output's.
    lifter = lifters.build(name, skeleton, width=16).eval()
    pose_2d = torch.randn(2, 1, skeleton.num_joints, 2)
    swapped = lifter(pose_2d[:, :, list(skeleton.mirror)])
    expected = lifter(pose_2d)[:, :, list(skeleton.mirror)]
    torch.testing.assert_close(swapped, expected, rtol=1e-4, atol=1e-6)
    assert (swapped - lifter(pose_2d)).abs().max() > 1e-4


@pytest.mark.parametrize("count", [1, 5])
def test_attention_agrees_with_torch(count):
    ours, theirs = Attention(12, 3, 0.0), nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        nn.init.normal_(ours.query_key_value.bias)
        theirs.in_proj_weight.copy_(ours.query_key_value.weight)
        theirs.in_proj_bias.copy_(ours.query_key_value.bias)
        theirs.out_proj.load_state_dict(ours.output.state_dict())
    tokens = torch.randn(4, count, 12)
    mixed, expected = ours(tokens), theirs(tokens, tokens, tokens)[0]
    torch.testing.assert_close(mixed, expected)
    weights = torch.randn_like(mixed)
    (mixed * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.query_key_value.weight.grad, theirs.in_proj_weight.grad)


def test_a_block_mixes_the_joints_of_a_frame_or_the_frames_of_a_joint():
    block = AttentionBlock(8, 2, 2.0, 0.0).eval()
    features = torch.randn(2, 3, 4, 8)
    over_joints, over_frames = block(features, "joints"), block(features, "frames")
    for frame in range(3):
        alone = block(features[:, frame : frame + 1], "joints")
        torch.testing.assert_close(over_joints[:, frame : frame + 1], alone)
    for joint in range(4):
        alone = block(features[:, :, joint : joint + 1], "frames")
        torch.testing.assert_close(over_frames[:, :, joint : joint + 1], alone)
    assert not torch.allclose(over_joints, over_frames)


@pytest.mark.parametrize("name", ["mixste", "dstformer"])
def test_an_untrained_transformer_distinguishes_joints(name):
    lifter = lifters.build(name, H36M16, width=64, blocks=1).eval()
    tokens = lifter.tokens(torch.zeros(1, 1, 16, 2))[0, 0]  # all joints in one place
    between = tokens.std(0).norm()
    assert between > 0.5 * tokens.mean(0).norm()


def test_the_two_streams_are_averaged_at_first_and_weighed_once_trained():
    block = DualStreamBlock(8, 2, 2.0, 0.0).eval()
    features = torch.randn(2, 3, 4, 8)
    space_time = block.time_second(block.space_first(features, "joints"), "frames")
    time_space = block.space_second(block.time_first(features, "frames"), "joints")
    torch.testing.assert_close(block(features), (space_time + time_space) / 2)
    nn.init.constant_(block.choose.bias[:1], 50.0)
    torch.testing.assert_close(block(features), space_time)
    nn.init.constant_(block.choose.bias[1:], 100.0)
    torch.testing.assert_close(block(features), time_space)


def test_an_untrained_residual_block_hands_its_input_on_and_yet_learns():
    block = Block(8, 0.0)
    features = torch.randn(4, 8)
    torch.testing.assert_close(block(features), features + block.layers[-1].bias)
    block(features).square().sum().backward()
    assert block.layers[-1].weight.grad.norm() > 0


def test_a_residual_block_never_normalises_its_skip():
    block = Block(8, 0.0)
    nn.init.normal_(block.layers[-1].weight)
    features = torch.randn(4, 8)
    added = block(features) - features
    assert added.norm() > 0
    torch.testing.assert_close(block(100 * features) - 100 * features, added, rtol=1e-3, atol=1e-3)
