// Maps from rows of numbers to rows of numbers, one row a pose: the small ops beside augment. A map states
// the sizes of its rows and computes on slots; drivers on either device move rows to slots and back.
//
// A map has
//     int in_size(int i), out_size(int i)    numbers a row; 0: there is none
//     void operator()(const Slots<S>* in, const Slots<S>* out) const
// It may overwrite its input slots, which are copies. An output without a destination is scratch.
#pragma once

#include "core/arguments.h"

namespace poseda {

constexpr int kMapInputs = 3;
constexpr int kMapOutputs = 2;

template <class T>
struct MapArguments {
    int64_t rows;
    int frames;  // row r is frame r % frames of sequence r / frames
    Rows<const T> in[kMapInputs];
    T* out[kMapOutputs];  // contiguous, or null
};

// Joints to [root, bones] and back (`inverse`), and the transposes of both: all the gradients of either are
// again such maps.
struct TreeTransform {
    Tree tree;
    bool inverse, transpose;

    POSEDA_HD int in_size(int i) const { return i == 0 ? 3 * tree.joints : 0; }
    POSEDA_HD int out_size(int i) const { return i == 0 ? 3 * tree.joints : 0; }

    template <class S>
    POSEDA_HD void operator()(const Slots<S>* in, const Slots<S>* out) const {
        const Slots<S>&from = in[0], &to = out[0];
        for (int j = 0; j < tree.joints; ++j) to.set_vec3(j, from.vec3(j));
        if (inverse == transpose) {  // difference, or transposed sum: leaves first
            for (int j = tree.joints - 1; j > 0; --j) {
                const int parent = tree.parent[j];
                if (inverse) {
                    to.add_vec3(parent, to.vec3(j));
                } else {
                    to.set_vec3(j, to.vec3(j) - to.vec3(parent));
                }
            }
        } else {
            for (int j = 1; j < tree.joints; ++j) {
                const int parent = tree.parent[j];
                if (inverse) {
                    to.add_vec3(j, to.vec3(parent));
                } else {
                    to.set_vec3(parent, to.vec3(parent) - from.vec3(j));
                }
            }
        }
    }
};

// A camera as a row: fx, fy, cx, cy, k1, k2, k3, p1, p2.
constexpr int kCameraNumbers = 9;

template <class S>
POSEDA_HD Camera<S> camera_of(const Slots<S>& row, bool distorted) {
    Camera<S> c = zero_camera<S>();
    c.fx = row[0], c.fy = row[1], c.cx = row[2], c.cy = row[3];
    if (distorted) c.k1 = row[4], c.k2 = row[5], c.k3 = row[6], c.p1 = row[7], c.p2 = row[8];
    return c;
}

// Points and their camera to the screen.
struct Project {
    int points;
    bool distorted;

    POSEDA_HD int in_size(int i) const { return i == 0 ? 3 * points : i == 1 ? kCameraNumbers : 0; }
    POSEDA_HD int out_size(int i) const { return i == 0 ? 2 * points : 0; }

    template <class S>
    POSEDA_HD void operator()(const Slots<S>* in, const Slots<S>* out) const {
        const Camera<S> camera = camera_of(in[1], distorted);
        for (int j = 0; j < points; ++j) {
            const Vec2<S> uv = project(camera, distorted, in[0].vec3(j));
            out[0][2 * j] = uv.x;
            out[0][2 * j + 1] = uv.y;
        }
    }
};

// Points, camera and the gradient of the screen to the gradients of points and camera.
struct ProjectBackward {
    int points;
    bool distorted;

    POSEDA_HD int in_size(int i) const { return i == 0 ? 3 * points : i == 1 ? kCameraNumbers : 2 * points; }
    POSEDA_HD int out_size(int i) const { return i == 0 ? 3 * points : kCameraNumbers; }

    template <class S>
    POSEDA_HD void operator()(const Slots<S>* in, const Slots<S>* out) const {
        const Camera<S> camera = camera_of(in[1], distorted);
        Camera<S> grad = zero_camera<S>();
        for (int j = 0; j < points; ++j) {
            const Vec2<S> grad_screen = {in[2][2 * j], in[2][2 * j + 1]};
            out[0].set_vec3(j, project_vjp(camera, distorted, in[0].vec3(j), grad_screen, true, grad));
        }
        const S numbers[kCameraNumbers] = {grad.fx, grad.fy, grad.cx, grad.cy, grad.k1,
                                           grad.k2, grad.k3, grad.p1, grad.p2};
        for (int i = 0; i < kCameraNumbers; ++i) out[1][i] = numbers[i];
    }
};

}  // namespace poseda
