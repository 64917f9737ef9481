// What a kernel is given: plain pointers and strides, the same on both devices.
#pragma once

#include "core/augment.h"

namespace poseda {

// A table whose rows (and frames) lie `row` (and `frame`) numbers apart, 0 where one is shared; the numbers
// within are contiguous. No data: absent.
template <class T>
struct Rows {
    T* data = nullptr;
    int64_t row = 0;
    int64_t frame = 0;

    POSEDA_HD explicit operator bool() const { return data != nullptr; }
    POSEDA_HD T* at(int64_t n, int64_t t = 0) const { return data + n * row + t * frame; }
};

template <class T>
struct AugmentArguments {
    int64_t batch;
    int frames;
    Tree tree;
    Options options;
    bool propagate;
    Rows<const T> pose;           // J x 3
    Rows<const T> bone_rotation;  // K x 3
    Rows<const T> bone_scale;     // tree.scales
    Rows<const T> body_rotation;  // 3
    Rows<const T> root;           // 3
    // Tables below are gathered by placement_index, if there is one.
    Rows<const T> placement;   // 4
    Rows<const T> focal;       // 2
    Rows<const T> center;      // 2
    Rows<const T> distortion;  // 5
    Rows<const T> aspect;      // 1
    Rows<const bool> joint_mask;
    const int64_t* placement_index;
    int64_t table_rows;
    int64_t index_stride;
};

// Outputs are contiguous.
template <class T>
struct AugmentOutputs {
    T* pose;    // N x T x J x 3
    T* screen;  // N x T x J x 2
    bool* valid;
};

template <class T>
struct AugmentGradients {
    Rows<const T> grad_pose;
    Rows<const T> grad_screen;
    Rows<const T>
        augmented;  // the forward's poses in space, for exact GPA: their root holds the solved depth
    const bool* valid;
    int rotation_frames, scale_frames, body_frames;  // 1 or T
    // Contiguous, one row a sequence whatever the input's sharing; null where not wanted.
    T* pose;
    T* bone_rotation;
    T* bone_scale;
    T* body_rotation;
    T* root;
    T* placement;
    T* focal;
    T* center;
    T* distortion;
};

}  // namespace poseda
