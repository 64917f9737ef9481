// The ops that map rows to rows, on either device. Device provides
//     static void row_map(const Map&, const MapArguments<T>&, const Tensor& like)
#pragma once

#include <tuple>

#include "core/kinematic_chain.h"
#include "core/procrustes.h"
#include "guards.h"

namespace poseda {

// Run `body` with a zero of the tensor's type.
template <class F>
auto for_type(const Tensor& tensor, const char* name, const F& body) {
    return floating_type(tensor, name) == ScalarType::Float ? body(float()) : body(double());
}

template <class T>
T* numbers(const Tensor& tensor) {
    return static_cast<T*>(tensor.data_ptr());
}

template <class Device>
Tensor tree_transform_op(Tensor rows, std::vector<int64_t> parents, bool inverse, bool transpose) {
    const TreeTransform map = {tree_of(parents, {}), inverse, transpose};
    return for_type(rows, "rows", [&](auto zero) {
        using T = decltype(zero);
        Guard guard(rows, "rows");
        const int64_t joints = map.tree.joints;
        MapArguments<T> a = {};
        a.rows = row_count(rows, "rows"), a.frames = 1;
        a.in[0] = guard.rows<T>(rows, "rows", a.rows, -1, {joints, 3});
        const Tensor out = allocate(rows, rows.scalar_type(), {a.rows, joints, 3});
        a.out[0] = numbers<T>(out);
        if (a.rows > 0) Device::row_map(map, a, rows);
        return out;
    });
}

// Points and camera of a projection; `points` is (N, T, P, 3).
template <class T>
MapArguments<T> projection(const Tensor& points, const Tensor& camera, Guard& guard) {
    STD_TORCH_CHECK(points.dim() == 4 && points.size(3) == 3, "points: unexpected shape ",
                    shape_text(points));
    STD_TORCH_CHECK(points.size(2) >= 1 && points.size(2) <= kMaxJoints, "points: expected 1 to ",
                    std::to_string(kMaxJoints), " points, got ", std::to_string(points.size(2)));
    STD_TORCH_CHECK(points.size(1) <= INT32_MAX, "points: expected at most 2^31 - 1 frames");
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

inline ChainParts chain_of(const std::vector<int64_t>& parents, const std::vector<int64_t>& bones,
                           const std::vector<int64_t>& sizes) {
    ChainParts chain = {};
    chain.tree = tree_of(parents, {});
    STD_TORCH_CHECK(sizes.size() <= size_t(kMaxParts), "part_sizes: expected at most ",
                    std::to_string(kMaxParts), " parts");
    STD_TORCH_CHECK(bones.size() <= size_t(kMaxPartBones), "part_bones: expected at most ",
                    std::to_string(kMaxPartBones), " bones over all parts");
    int64_t total = 0;
    for (size_t p = 0; p < sizes.size(); ++p) {
        STD_TORCH_CHECK(sizes[p] >= 1 && sizes[p] <= chain.tree.bones(), "part_sizes: out of range");
        chain.size[p] = uint8_t(sizes[p]);
        total += sizes[p];
    }
    STD_TORCH_CHECK(total == int64_t(bones.size()), "part_sizes: do not add up to the bones given");
    for (size_t i = 0; i < bones.size(); ++i) {
        STD_TORCH_CHECK(bones[i] >= 0 && bones[i] < chain.tree.bones(), "part_bones: out of range");
        chain.bone[i] = uint8_t(bones[i]);
    }
    chain.parts = int(sizes.size());
    STD_TORCH_CHECK(chain.features() <= (kMaxJoints - 1) * (kMaxJoints - 2) / 2,
                    "part_sizes: too many pairs of bones");
    return chain;
}

template <class Device>
Tensor kinematic_chain_op(Tensor pose_3d, std::vector<int64_t> parents, std::vector<int64_t> part_bones,
                          std::vector<int64_t> part_sizes) {
    const KinematicChain map = {chain_of(parents, part_bones, part_sizes)};
    return for_type(pose_3d, "pose_3d", [&](auto zero) {
        using T = decltype(zero);
        Guard guard(pose_3d, "pose_3d");
        const int64_t rows = row_count(pose_3d, "pose_3d"), joints = map.chain.tree.joints;
        MapArguments<T> a = {};
        a.in[0] = guard.rows<T>(pose_3d, "pose_3d", rows, -1, {joints, 3});
        const Tensor out = allocate(pose_3d, pose_3d.scalar_type(), {rows, map.chain.features()});
        a.rows = rows, a.frames = 1, a.out[0] = numbers<T>(out);
        if (out.numel() > 0) Device::row_map(map, a, pose_3d);
        return out;
    });
}

template <class Device>
Tensor kinematic_chain_backward_op(Tensor grad, Tensor pose_3d, std::vector<int64_t> parents,
                                   std::vector<int64_t> part_bones, std::vector<int64_t> part_sizes) {
    const KinematicChainBackward map = {chain_of(parents, part_bones, part_sizes)};
    return for_type(pose_3d, "pose_3d", [&](auto zero) {
        using T = decltype(zero);
        Guard guard(pose_3d, "pose_3d");
        const int64_t rows = row_count(pose_3d, "pose_3d"), joints = map.chain.tree.joints;
        MapArguments<T> a = {};
        a.in[0] = guard.rows<T>(pose_3d, "pose_3d", rows, -1, {joints, 3});
        a.in[1] = guard.rows<T>(grad, "grad", rows, -1, {map.chain.features()});
        const Tensor out = allocate(pose_3d, pose_3d.scalar_type(), {rows, joints, 3});
        a.rows = rows, a.frames = 1, a.out[0] = numbers<T>(out);
        if (rows > 0) Device::row_map(map, a, pose_3d);
        return out;
    });
}

template <class Device>
Tensor procrustes_align_op(Tensor prediction, Tensor target) {
    return for_type(prediction, "prediction", [&](auto zero) {
        using T = decltype(zero);
        Guard guard(prediction, "prediction");
        STD_TORCH_CHECK(prediction.dim() == 3 && prediction.size(1) >= 1 && prediction.size(1) <= kMaxJoints,
                        "prediction: unexpected shape ", shape_text(prediction));
        const int64_t rows = prediction.size(0), points = prediction.size(1);
        MapArguments<T> a = {};
        a.in[0] = guard.rows<T>(prediction, "prediction", rows, -1, {points, 3});
        a.in[1] = guard.rows<T>(target, "target", rows, -1, {points, 3});
        const Tensor out = allocate(prediction, prediction.scalar_type(), {rows, points, 3});
        a.rows = rows, a.frames = 1, a.out[0] = numbers<T>(out);
        if (rows > 0) Device::row_map(ProcrustesAlign{int(points)}, a, prediction);
        return out;
    });
}

}  // namespace poseda
