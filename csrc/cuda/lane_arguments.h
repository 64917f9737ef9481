// What the augment kernels are given: core's arguments with steps in bytes, so that a row further on is one
// instruction away.
#pragma once

#include "core/arguments.h"

namespace poseda {

// Rows of numbers at any stride and alignment; the numbers of a row are contiguous. `row` is the step from
// sequence to sequence, `step` the one along a run, from frame to frame; runs of single poses go along
// poses, so that there `step` is the step of poses and `row` is not used. Absent: no data and no steps.
template <class T>
struct Strided {
    const T* data;
    int64_t row, step;
    uint32_t short_step;  // the step, where is_short()

    Strided(const Rows<const T>& rows, bool sequences)
        : data(rows.data),
          row(rows.row * int64_t(sizeof(T))),
          step((sequences ? rows.frame : rows.row) * int64_t(sizeof(T))),
          short_step(uint32_t(step)) {}

    POSEDA_HD explicit operator bool() const { return data != nullptr; }
    POSEDA_HD const T* at_row(int64_t n) const {
        return reinterpret_cast<const T*>(reinterpret_cast<const char*>(data) + n * row);
    }
    bool is_short() const { return step >= 0 && step < (int64_t(1) << 32); }
};

template <class T>
struct LaneArguments {
    int64_t batch, table_rows;
    int frames, joints, scales;
    bool loose_scales;  // whether there is a scale that no bone has
    bool propagate;
    Options options;
    T min_depth;
    Strided<T> pose_3d, bone_rotation, bone_scale, body_rotation;
    Strided<T> root, placement, focal, center, distortion, aspect;
    Strided<bool> joint_mask;
    const int64_t* placement_index;
    int64_t index_stride;

    explicit LaneArguments(const AugmentArguments<T>& a)
        : batch(a.batch),
          table_rows(a.table_rows),
          frames(a.frames),
          joints(a.tree.joints),
          scales(a.tree.scales),
          loose_scales(false),
          propagate(a.propagate && a.bone_rotation),
          options(a.options),
          min_depth(T(a.options.min_depth)),
          pose_3d(a.pose_3d, a.frames > 1),
          bone_rotation(a.bone_rotation, a.frames > 1),
          bone_scale(a.bone_scale, a.frames > 1),
          body_rotation(a.body_rotation, a.frames > 1),
          root(a.root, false),
          placement(a.placement, false),
          focal(a.focal, false),
          center(a.center, false),
          distortion(a.distortion, false),
          aspect(a.aspect, false),
          joint_mask(a.joint_mask, false),
          placement_index(a.placement_index),
          index_stride(a.index_stride) {
        uint64_t used = 0;
        for (int k = 0; k < a.tree.bones(); ++k) used |= uint64_t(1) << a.tree.scale_of[k];
        loose_scales = a.bone_scale && used != (uint64_t(1) << scales) - 1;
    }
};

template <class T>
struct LaneGradients {
    Strided<T> grad_pose_3d, grad_pose_2d, augmented;
    AugmentGradients<T> to;  // where the gradients go, and what else the adjoint is given

    LaneGradients(const AugmentGradients<T>& g, bool sequences)
        : grad_pose_3d(g.grad_pose_3d, sequences),
          grad_pose_2d(g.grad_pose_2d, sequences),
          augmented(g.augmented, sequences),
          to(g) {}
    // Whether a gradient is wanted that only the general kernels have.
    bool wants_rare() const { return to.focal || to.center || to.distortion || to.root || to.placement; }
};

}  // namespace poseda
