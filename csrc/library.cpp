// Every op's schema. Implementations register themselves in cpu/ops.cpp and cuda/ops.cpp; fakes and autograd
// stand in poseda/ops/ under the functions they serve.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(poseda, m) {
    m.def("instruction_set() -> str");
    m.def(
        "augment(Tensor pose_3d, Tensor focal, Tensor center, Tensor? distortion, Tensor? aspect, "
        "Tensor? bone_rotation, Tensor? bone_scale, Tensor? body_rotation, Tensor? root, Tensor? placement, "
        "Tensor? placement_index, Tensor? joint_mask, int[] parents, int[] groups, bool propagate, bool "
        "exact, "
        "float min_depth, bool require_in_frame) -> (Tensor pose_3d, Tensor pose_2d, Tensor valid)");
    // Gradients of the arguments whose bit of `wanted` is set (see csrc/augment_op.h), a row a sequence even
    // where the argument's row is shared or gathered; the others are empty.
    m.def(
        "augment_backward(Tensor? grad_pose_3d, Tensor? grad_pose_2d, Tensor valid, Tensor? augmented, int "
        "wanted, "
        "Tensor pose_3d, Tensor focal, Tensor center, Tensor? distortion, Tensor? aspect, "
        "Tensor? bone_rotation, Tensor? bone_scale, Tensor? body_rotation, Tensor? root, Tensor? placement, "
        "Tensor? placement_index, Tensor? joint_mask, int[] parents, int[] groups, bool propagate, bool "
        "exact, "
        "float min_depth, bool require_in_frame) -> (Tensor pose_3d, Tensor focal, Tensor center, "
        "Tensor distortion, Tensor bone_rotation, Tensor bone_scale, Tensor body_rotation, Tensor root, "
        "Tensor placement)");
    // Joints (R, J, 3) to [root, bones] or, inverse, back; or the transpose of either.
    m.def("tree_transform(Tensor rows, int[] parents, bool inverse, bool transpose) -> Tensor");
    // Points (N, T, P, 3) and a camera a row, (N or 1, 9): fx fy cx cy k1 k2 k3 p1 p2.
    m.def("project(Tensor points, Tensor camera, bool distorted) -> Tensor");
    m.def(
        "project_backward(Tensor grad, Tensor points, Tensor camera, bool distorted) -> (Tensor points, "
        "Tensor camera)");
    // Poses (R, J, 3) to cosines (R, F); `part_bones` are the bones of all parts, `part_sizes` how many each
    // has.
    m.def(
        "kinematic_chain_space(Tensor pose_3d, int[] parents, int[] part_bones, int[] part_sizes) -> Tensor");
    m.def(
        "kinematic_chain_space_backward(Tensor grad, Tensor pose_3d, int[] parents, int[] part_bones, "
        "int[] part_sizes) -> Tensor");
    m.def("procrustes_align(Tensor prediction, Tensor target) -> Tensor");
    // rng_state: (seed, offset) int64; the offset is advanced by one where `advance`. Empty index without
    // table rows.
    m.def(
        "random_parameters(Tensor(a!) rng_state, Tensor like, int batch, int first, bool advance, int bones, "
        "int scales, int table_rows, float bone_angle, float bone_scale, float body_yaw, float body_tilt) -> "
        "(Tensor bone_rotation, Tensor bone_scale, Tensor body_rotation, Tensor placement_index)");
    // Gradient of a row shared by all poses (rows (N, C) to (1, C)), and of rows picked by an index (to (M,
    // C)).
    m.def("sum_rows(Tensor rows) -> Tensor");
    m.def("sum_picked_rows(Tensor rows, Tensor sorted_index, Tensor order, int table_rows) -> Tensor");
}
