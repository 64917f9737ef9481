// The schema of every op. implement.h has their implementations, poseda/ops/ their fakes and their autograd.
#include <torch/csrc/stable/library.h>

#include "augment_arguments.h"

STABLE_TORCH_LIBRARY(poseda, m) {
    m.def("instruction_set() -> str");
    m.def(poseda::AugmentInputs::schema().c_str());
    // The gradients have a row a sequence, also where the argument's row is shared or picked.
    m.def(poseda::AugmentBackwardInputs::schema().c_str());
    // Joints (R, J, 3) to [root, bones] or, inverse, back; or the transpose of either.
    m.def("tree_transform(Tensor rows, int[] parents, bool inverse, bool transpose) -> Tensor");
    // Points (N, T, P, 3) and a camera a row, (N or 1, 9): fx fy cx cy k1 k2 k3 p1 p2.
    m.def("project(Tensor points, Tensor camera, bool distorted) -> Tensor");
    m.def(
        "project_backward(Tensor grad, Tensor points, Tensor camera, bool distorted) -> (Tensor points, "
        "Tensor camera)");
    // Poses (R, J, 3) to cosines (R, F). `part_bones` has the bones of all parts, `part_sizes` their numbers.
    m.def(
        "kinematic_chain_space(Tensor pose_3d, int[] parents, int[] part_bones, int[] part_sizes) -> Tensor");
    m.def(
        "kinematic_chain_space_backward(Tensor grad, Tensor pose_3d, int[] parents, int[] part_bones, "
        "int[] part_sizes) -> Tensor");
    m.def("procrustes_align(Tensor prediction, Tensor target) -> Tensor");
    // rng_state: (seed, offset) int64; `advance` adds one to the offset. Without a table the index is empty.
    m.def(
        "random_parameters(Tensor(a!) rng_state, Tensor like, SymInt batch, SymInt first, bool advance, "
        "int bones, int scales, SymInt table_rows, float bone_angle, float bone_scale, float body_yaw, "
        "float body_tilt) -> (Tensor bone_rotation, Tensor bone_scale, Tensor body_rotation, Tensor "
        "placement_index)");
    // Rows (N, C) to their sum (1, C), or to a sum (M, C) for each row of a table that an index picked.
    m.def("sum_rows(Tensor rows) -> Tensor");
    m.def("sum_picked_rows(Tensor rows, Tensor sorted_index, Tensor order, SymInt table_rows) -> Tensor");
    // An index (N,) of a table's rows, sorted stably, and its order. CPU only: on CUDA torch.sort is as fast.
    m.def("sort_index(Tensor index, SymInt table_rows) -> (Tensor sorted_index, Tensor order)");
}
