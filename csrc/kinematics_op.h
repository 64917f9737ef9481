// The kinematics ops on either device: bones and joints, and kinematic chain space. Device provides
//     static void row_map(const Map&, const MapArguments<T>&, const Tensor& like)
#pragma once

#include "core/kinematics.h"
#include "guards.h"

namespace poseda {

template <class Device>
Tensor tree_transform_op(Tensor rows, Integers parents, bool inverse, bool transpose) {
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

inline ChainParts chain_of(const Integers& parents, const Integers& bones, const Integers& sizes) {
    ChainParts chain = {};
    chain.tree = tree_of(parents, {});
    require(sizes.size() <= size_t(kMaxParts), "part_sizes: expected at most ", kMaxParts, " parts");
    require(bones.size() <= size_t(kMaxPartBones), "part_bones: expected at most ", kMaxPartBones,
            " bones over all parts");
    int64_t total = 0;
    for (size_t p = 0; p < sizes.size(); ++p) {
        require(sizes[p] >= 1 && sizes[p] <= chain.tree.bones(), "part_sizes: out of range");
        chain.size[p] = uint8_t(sizes[p]);
        total += sizes[p];
    }
    require(total == int64_t(bones.size()), "part_sizes: do not add up to the bones given");
    for (size_t i = 0; i < bones.size(); ++i) {
        require(bones[i] >= 0 && bones[i] < chain.tree.bones(), "part_bones: out of range");
        chain.bone[i] = uint8_t(bones[i]);
    }
    chain.parts = int(sizes.size());
    require(chain.features() <= kMaxPartPairs, "part_sizes: too many pairs of bones");
    return chain;
}

template <class Device>
Tensor kinematic_chain_op(Tensor pose_3d, Integers parents, Integers part_bones, Integers part_sizes) {
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
Tensor kinematic_chain_backward_op(Tensor grad, Tensor pose_3d, Integers parents, Integers part_bones,
                                   Integers part_sizes) {
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

}  // namespace poseda
