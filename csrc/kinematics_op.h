// Bones, forward kinematics and kinematic chain space, on either device; see map_op.h for what Device provides.
#pragma once

#include "core/kinematics.h"
#include "map_op.h"

namespace poseda {

template <class Device>
Tensor tree_transform_op(Tensor rows, Integers parents, bool inverse, bool transpose) {
    const TreeTransform map = {tree_of(parents, {}), inverse, transpose};
    const int64_t joints = map.tree.joints;
    return map_rows<Device>(map, {{rows, "rows", {joints, 3}}}, {joints, 3});
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
    return map_rows<Device>(map, {{pose_3d, "pose_3d", {map.chain.tree.joints, 3}}}, {map.chain.features()});
}

template <class Device>
Tensor kinematic_chain_backward_op(Tensor grad, Tensor pose_3d, Integers parents, Integers part_bones,
                                   Integers part_sizes) {
    const KinematicChainBackward map = {chain_of(parents, part_bones, part_sizes)};
    const int64_t joints = map.chain.tree.joints;
    return map_rows<Device>(map, {{pose_3d, "pose_3d", {joints, 3}}, {grad, "grad", {map.chain.features()}}},
                            {joints, 3});
}

}  // namespace poseda
