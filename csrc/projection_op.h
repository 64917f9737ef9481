// The projection ops on either device. Device provides
//     static void row_map(const Map&, const MapArguments<T>&, const Tensor& like)
#pragma once

#include <tuple>

#include "core/projection.h"
#include "guards.h"

namespace poseda {

// Points and camera of a projection; `points` is (N, T, P, 3).
template <class T>
MapArguments<T> projection(const Tensor& points, const Tensor& camera, Guard& guard) {
    require(points.dim() == 4 && points.size(3) == 3, "points: unexpected shape ", points);
    require(points.size(2) >= 1 && points.size(2) <= kMaxJoints, "points: expected 1 to ", kMaxJoints,
            " points, got ", points.size(2));
    require(points.size(1) <= INT32_MAX, "points: expected at most 2^31 - 1 frames");
    MapArguments<T> a = {};
    a.in[0] = guard.rows<T>(points, "points", points.size(0), points.size(1), {points.size(2), 3});
    a.in[1] = guard.rows<T>(camera, "camera", points.size(0), -1, {kCameraNumbers});
    a.rows = points.size(0) * points.size(1), a.frames = int(points.size(1) > 0 ? points.size(1) : 1);
    return a;
}

template <class Device>
Tensor project_op(Tensor points, Tensor camera, bool distorted) {
    return for_type(points, "points", [&](auto zero) {
        using T = decltype(zero);
        Guard guard(points, "points");
        MapArguments<T> a = projection<T>(points, camera, guard);
        const Tensor out =
            allocate(points, points.scalar_type(), {points.size(0), points.size(1), points.size(2), 2});
        a.out[0] = numbers<T>(out);
        if (a.rows > 0) Device::row_map(Project{int(points.size(2)), distorted}, a, points);
        return out;
    });
}

template <class Device>
std::tuple<Tensor, Tensor> project_backward_op(Tensor grad, Tensor points, Tensor camera, bool distorted) {
    return for_type(points, "points", [&](auto zero) {
        using T = decltype(zero);
        Guard guard(points, "points");
        MapArguments<T> a = projection<T>(points, camera, guard);
        const int64_t n = points.size(0), t = points.size(1), p = points.size(2);
        a.in[2] = guard.rows<T>(grad, "grad", n, t, {p, 2});
        const Tensor grad_points = allocate(points, points.scalar_type(), {n, t, p, 3});
        const Tensor grad_camera = allocate(points, points.scalar_type(), {n, t, kCameraNumbers});
        a.out[0] = numbers<T>(grad_points), a.out[1] = numbers<T>(grad_camera);
        if (a.rows > 0) Device::row_map(ProjectBackward{int(p), distorted}, a, points);
        return std::tuple<Tensor, Tensor>(grad_points, grad_camera);
    });
}

}  // namespace poseda
