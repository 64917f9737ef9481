// Every op's schema. Implementations register themselves in cpu/ops.cpp and cuda/ops.cpp; fakes and autograd stand in
// poseda/ops.py under the functions they serve.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(poseda, m) {
    m.def("instruction_set() -> str");
    m.def(
        "augment(Tensor pose_3d, Tensor focal, Tensor center, Tensor? distortion, Tensor? aspect, "
        "Tensor? bone_rotation, Tensor? bone_scale, Tensor? body_rotation, Tensor? root, Tensor? placement, "
        "Tensor? placement_index, Tensor? joint_mask, int[] parents, int[] groups, bool propagate, bool exact, "
        "float min_depth, bool require_in_frame) -> (Tensor pose_3d, Tensor pose_2d, Tensor valid)");
    // Gradients of the arguments whose bit of `wanted` is set (see csrc/augment_op.h), a row a sequence even where
    // the argument's row is shared or gathered; the others are empty.
    m.def(
        "augment_backward(Tensor? grad_pose_3d, Tensor? grad_pose_2d, Tensor valid, Tensor? augmented, int wanted, "
        "Tensor pose_3d, Tensor focal, Tensor center, Tensor? distortion, Tensor? aspect, "
        "Tensor? bone_rotation, Tensor? bone_scale, Tensor? body_rotation, Tensor? root, Tensor? placement, "
        "Tensor? placement_index, Tensor? joint_mask, int[] parents, int[] groups, bool propagate, bool exact, "
        "float min_depth, bool require_in_frame) -> (Tensor pose_3d, Tensor focal, Tensor center, "
        "Tensor distortion, Tensor bone_rotation, Tensor bone_scale, Tensor body_rotation, Tensor root, "
        "Tensor placement)");
    // Gradient of a row shared by all poses (rows (N, C) to (1, C)), and of rows picked by an index (to (M, C)).
    m.def("sum_rows(Tensor rows) -> Tensor");
    m.def("sum_picked_rows(Tensor rows, Tensor sorted_index, Tensor order, int table_rows) -> Tensor");
}
