// Points to the screen, as a map of rows, and its adjoint.
#pragma once

#include "core/camera.h"
#include "core/row_map.h"

namespace poseda {

// A camera as a row: fx, fy, cx, cy, k1, k2, k3, p1, p2.
constexpr int kCameraNumbers = 9;

template <class S>
POSEDA_HD Camera<S> camera_of(const Slots<S>& row, bool distorted) {
    Camera<S> c = zero_camera<S>();
    c.focal = row.vec2(0), c.center = row.vec2(1);
    if (distorted) c.k1 = row[4], c.k2 = row[5], c.k3 = row[6], c.tangential = {row[7], row[8]};
    c.distorted = distorted;
    return c;
}

template <class S>
POSEDA_HD void set_camera(const Slots<S>& row, const Camera<S>& c) {
    row.set_vec2(0, c.focal);
    row.set_vec2(1, c.center);
    row[4] = c.k1, row[5] = c.k2, row[6] = c.k3, row[7] = c.tangential.x, row[8] = c.tangential.y;
}

// Points and their camera to the screen.
struct Project {
    int points;
    bool distorted;

    static constexpr int kMostNumbers = 5 * kMaxJoints + kCameraNumbers;
    POSEDA_HD int in_size(int i) const { return i == 0 ? 3 * points : i == 1 ? kCameraNumbers : 0; }
    POSEDA_HD int out_size(int i) const { return i == 0 ? 2 * points : 0; }

    template <class S>
    POSEDA_HD void operator()(const Slots<S>* in, const Slots<S>* out) const {
        const Camera<S> camera = camera_of(in[1], distorted);
        for (int j = 0; j < points; ++j) out[0].set_vec2(j, project(camera, in[0].vec3(j)));
    }
};

// Points, camera and the gradient of the screen to the gradients of points and camera.
struct ProjectBackward {
    int points;
    bool distorted;

    static constexpr int kMostNumbers = 8 * kMaxJoints + 2 * kCameraNumbers;
    POSEDA_HD int in_size(int i) const { return i == 0 ? 3 * points : i == 1 ? kCameraNumbers : 2 * points; }
    POSEDA_HD int out_size(int i) const { return i == 0 ? 3 * points : kCameraNumbers; }

    template <class S>
    POSEDA_HD void operator()(const Slots<S>* in, const Slots<S>* out) const {
        const Camera<S> camera = camera_of(in[1], distorted);
        Camera<S> grad = zero_camera<S>();
        for (int j = 0; j < points; ++j) {
            out[0].set_vec3(j, project_vjp(camera, in[0].vec3(j), in[2].vec2(j), true, grad));
        }
        set_camera(out[1], grad);
    }
};

}  // namespace poseda
