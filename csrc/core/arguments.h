// What the augment kernels are given: plain pointers and strides, the same on both devices. The arguments
// themselves are described in csrc/augment_arguments.h.
#pragma once

#include "core/posing.h"

namespace poseda {

// A table whose rows (and frames) lie `row` (and `frame`) numbers apart, 0 where all share one. The numbers
// of a row are contiguous. Without data the argument is absent.
template <class T>
struct Rows {
    T* data = nullptr;
    int64_t row = 0;
    int64_t frame = 0;

    POSEDA_HD explicit operator bool() const { return data != nullptr; }
    POSEDA_HD T* at(int64_t n, int64_t t = 0) const { return data + n * row + t * frame; }
};

enum class RootFrom { kSource, kGiven, kPlacement };

struct Options {
    RootFrom root;
    bool exact;
    bool require_in_frame;
    double min_depth;
    bool want_camera;  // adjoint only: whether a gradient of the camera is wanted
};

template <class T>
struct AugmentArguments {
    int64_t batch;
    int frames;
    Tree tree;
    Options options;
    bool propagate;
    Rows<const T> pose_3d;        // J x 3
    Rows<const T> bone_rotation;  // K x 3
    Rows<const T> bone_scale;     // tree.scales
    Rows<const T> body_rotation;  // 3
    Rows<const T> root;           // 3
    Rows<const bool> joint_mask;  // J
    // Tables, of which placement_index, if there is one, picks each pose's row.
    Rows<const T> placement;   // 4
    Rows<const T> focal;       // 2
    Rows<const T> center;      // 2
    Rows<const T> distortion;  // 5
    Rows<const T> aspect;      // 1
    const int64_t* placement_index;
    int64_t table_rows;
    int64_t index_stride;
};

// All contiguous.
template <class T>
struct AugmentOutputs {
    T* pose_3d;  // N x T x J x 3
    T* pose_2d;  // N x T x J x 2
    bool* valid;
};

template <class T>
struct AugmentGradients {
    Rows<const T> grad_pose_3d;
    Rows<const T> grad_pose_2d;
    Rows<const T> augmented;  // exact GPA: the forward's pose_3d, whose root holds the solved depth
    const bool* valid;
    int rotation_frames, scale_frames, body_rotation_frames;  // 1 or T
    // Gradients, by the names of their arguments. Contiguous, a row a sequence even where the argument's rows
    // are shared or picked; null where not wanted.
    T* pose_3d;
    T* focal;
    T* center;
    T* distortion;
    T* bone_rotation;
    T* bone_scale;
    T* body_rotation;
    T* root;
    T* placement;
};

}  // namespace poseda
