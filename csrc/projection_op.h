// The projection ops on either device. Device provides
//     static void row_map(const Map&, const MapArguments<T>&, const Tensor& like)
#pragma once

#include <tuple>

#include "core/projection.h"
#include "guards.h"

namespace poseda {

// Points (N, T, P, 3) as a map takes them. A row has room for kMaxJoints points: more are cut into pieces of equal
// size, each of which is a frame of its own.
struct PointRows {
    int64_t sequences, frames, points, pieces;

    explicit PointRows(const Tensor& given) {
        require(given.dim() == 4 && given.size(3) == 3, "points: unexpected shape ", given);
        sequences = given.size(0), frames = given.size(1), points = given.size(2), pieces = 1;
        if (points > kMaxJoints) {
            int64_t size = kMaxJoints;
            while (points % size != 0) --size;
            pieces = points / size, points = size;
        }
        require(frames <= INT32_MAX / pieces, "points: expected at most 2^31 - 1 frames");
    }

    int64_t rows() const { return sequences * frames * pieces; }

    // A tensor (N, T, P, axes) in pieces.
    Tensor cut(const Tensor& given, int64_t axes) const {
        if (pieces == 1 || given.dim() != 4) return given;
        const int64_t all[3] = {given.size(0), given.size(1), given.size(2)};
        if (all[0] != sequences || all[1] != frames || all[2] != pieces * points) return given;
        return torch::stable::reshape(given, {sequences, frames * pieces, points, axes});
    }
};

// Points and camera of a projection.
template <class T>
MapArguments<T> projection(const PointRows& size, const Tensor& points, const Tensor& camera, Guard& guard) {
    MapArguments<T> a = {};
    a.rows = size.rows(), a.frames = int(size.frames > 0 ? size.frames * size.pieces : 1);
    a.in[0] = guard.rows<T>(points, "points", size.sequences, size.frames * size.pieces, {size.points, 3});
    a.in[1] = guard.rows<T>(camera, "camera", size.sequences, -1, {kCameraNumbers});
    return a;
}

template <class Device>
Tensor project_op(Tensor points, Tensor camera, bool distorted) {
    return for_type(points, "points", [&](auto zero) {
        using T = decltype(zero);
        Guard guard(points, "points");
        const PointRows size(points);
        const Tensor cut = size.cut(points, 3);
        MapArguments<T> a = projection<T>(size, cut, camera, guard);
        const Tensor out =
            allocate(points, points.scalar_type(), {points.size(0), points.size(1), points.size(2), 2});
        a.out[0] = numbers<T>(out);
        if (a.rows > 0) Device::row_map(Project{int(size.points), distorted}, a, points);
        return out;
    });
}

template <class Device>
std::tuple<Tensor, Tensor> project_backward_op(Tensor grad, Tensor points, Tensor camera, bool distorted) {
    return for_type(points, "points", [&](auto zero) {
        using T = decltype(zero);
        Guard guard(points, "points");
        const PointRows size(points);
        const Tensor cut_points = size.cut(points, 3), cut_grad = size.cut(grad, 2);
        MapArguments<T> a = projection<T>(size, cut_points, camera, guard);
        const int64_t n = size.sequences, t = size.frames;
        a.in[2] = guard.rows<T>(cut_grad, "grad", n, t * size.pieces, {size.points, 2});
        const Tensor grad_points = allocate(points, points.scalar_type(), {n, t, points.size(2), 3});
        const Tensor grad_camera =
            allocate(points, points.scalar_type(), {n, t, size.pieces, kCameraNumbers});
        a.out[0] = numbers<T>(grad_points), a.out[1] = numbers<T>(grad_camera);
        if (a.rows > 0) Device::row_map(ProjectBackward{int(size.points), distorted}, a, points);
        const int64_t over_pieces[1] = {2};
        return std::tuple<Tensor, Tensor>(
            grad_points, size.pieces == 1 ? torch::stable::view(grad_camera, {n, t, kCameraNumbers})
                                          : torch::stable::sum(grad_camera, over_pieces));
    });
}

}  // namespace poseda
