// Every op on one device: an implementation for each schema of library.cpp.
#pragma once

#include <torch/csrc/stable/library.h>

#include "augment_op.h"
#include "kinematics_op.h"
#include "procrustes_op.h"
#include "projection_op.h"
#include "random_op.h"
#include "row_sums_op.h"

namespace poseda {

// `m` is the library of STABLE_TORCH_LIBRARY_IMPL. Device provides what the headers above ask for.
template <class Device, class Library>
void implement_ops(Library& m) {
    m.impl("augment", &augment_op<Device>);
    m.impl("augment_backward", &augment_backward_op<Device>);
    m.impl("tree_transform", TORCH_BOX(&tree_transform_op<Device>));
    m.impl("project", TORCH_BOX(&project_op<Device>));
    m.impl("project_backward", TORCH_BOX(&project_backward_op<Device>));
    m.impl("kinematic_chain_space", TORCH_BOX(&kinematic_chain_op<Device>));
    m.impl("kinematic_chain_space_backward", TORCH_BOX(&kinematic_chain_backward_op<Device>));
    m.impl("procrustes_align", TORCH_BOX(&procrustes_align_op<Device>));
    m.impl("random_parameters", TORCH_BOX(&random_parameters_op<Device>));
    m.impl("sum_rows", TORCH_BOX(&sum_rows_op<Device>));
    m.impl("sum_picked_rows", TORCH_BOX(&sum_picked_rows_op<Device>));
}

}  // namespace poseda
