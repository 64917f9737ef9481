// Bones, forward kinematics and kinematic chain space, as maps of rows, and their adjoints.
#pragma once

#include "core/row_map.h"

namespace poseda {

// Joints to [root, bones], or back (`inverse`), or the transpose of either. All gradients of these maps are
// again such maps.
struct TreeTransform {
    Tree tree;
    bool inverse, transpose;

    static constexpr int kMostNumbers = 6 * kMaxJoints;
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
                    to.subtract_vec3(j, to.vec3(parent));
                }
            }
        } else {
            for (int j = 1; j < tree.joints; ++j) {
                const int parent = tree.parent[j];
                if (inverse) {
                    to.add_vec3(j, to.vec3(parent));
                } else {
                    to.subtract_vec3(parent, from.vec3(j));
                }
            }
        }
    }
};

constexpr int kMaxParts = 32;
constexpr int kMaxPartBones = 192;  // over all parts; several may share a bone
constexpr int kMaxPartPairs = (kMaxJoints - 1) * (kMaxJoints - 2) / 2;  // over all parts

// The parts of a body, whose bones kinematic chain space compares with each other.
struct ChainParts {
    Tree tree;
    int parts;
    uint8_t size[kMaxParts];
    uint8_t bone[kMaxPartBones];

    POSEDA_HD int features() const {
        int count = 0;
        for (int p = 0; p < parts; ++p) count += size[p] * (size[p] - 1) / 2;
        return count;
    }
};

// Joints to unit bones in place, bone k in slot k + 1. A bone without length stays zero. The inverse lengths
// go into `scale`, if given.
template <class S>
POSEDA_HD void unit_bones_in_place(const Tree& tree, const Slots<S>& pose, const Slots<S>* scale) {
    const S zero = literal<S>(0), one = literal<S>(1);
    for (int j = tree.joints - 1; j > 0; --j) {
        const Vec3<S> b = pose.vec3(j) - pose.vec3(tree.parent[j]);
        const S squared = dot(b, b);
        const Mask<S> none = squared == zero;
        const S inverse = select(none, zero, one / square_root(select(none, one, squared)));
        pose.set_vec3(j, inverse * b);
        if (scale) (*scale)[j - 1] = inverse;
    }
}

// Kinematic chain space: the cosines between the bones of each body part, which are the strict upper triangle
// of the Gram matrix of unit bones. They do not change with the body's rotation or its bones' lengths.
// After Wandt et al. (2018), part by part as in PoseAug (2021).
struct KinematicChain {
    ChainParts chain;

    static constexpr int kMostNumbers = 3 * kMaxJoints + kMaxPartPairs;
    POSEDA_HD int in_size(int i) const { return i == 0 ? 3 * chain.tree.joints : 0; }
    POSEDA_HD int out_size(int i) const { return i == 0 ? chain.features() : 0; }

    template <class S>
    POSEDA_HD void operator()(const Slots<S>* in, const Slots<S>* out) const {
        unit_bones_in_place(chain.tree, in[0], static_cast<const Slots<S>*>(nullptr));
        int feature = 0;
        const uint8_t* bone = chain.bone;
        for (int p = 0; p < chain.parts; bone += chain.size[p++]) {
            for (int a = 0; a < chain.size[p]; ++a) {
                const Vec3<S> u = in[0].vec3(bone[a] + 1);
                for (int b = a + 1; b < chain.size[p]; ++b)
                    out[0][feature++] = dot(u, in[0].vec3(bone[b] + 1));
            }
        }
    }
};

// Pose and gradient of the features to the gradient of the pose. The second output is scratch.
struct KinematicChainBackward {
    ChainParts chain;

    static constexpr int kMostNumbers = 7 * kMaxJoints + kMaxPartPairs;
    POSEDA_HD int in_size(int i) const {
        return i == 0 ? 3 * chain.tree.joints : i == 1 ? chain.features() : 0;
    }
    POSEDA_HD int out_size(int i) const { return i == 0 ? 3 * chain.tree.joints : chain.tree.bones(); }

    template <class S>
    POSEDA_HD void operator()(const Slots<S>* in, const Slots<S>* out) const {
        const Slots<S>&unit = in[0], &grad = out[0], &scale = out[1];
        unit_bones_in_place(chain.tree, unit, &scale);
        grad.zero(3 * chain.tree.joints);
        int feature = 0;
        const uint8_t* bone = chain.bone;
        for (int p = 0; p < chain.parts; bone += chain.size[p++]) {
            for (int a = 0; a < chain.size[p]; ++a) {
                for (int b = a + 1; b < chain.size[p]; ++b) {
                    const S g = in[1][feature++];
                    grad.add_vec3(bone[a] + 1, g * unit.vec3(bone[b] + 1));
                    grad.add_vec3(bone[b] + 1, g * unit.vec3(bone[a] + 1));
                }
            }
        }
        // d(b/|b|) = (I - u u^T) db / |b|; then bones to joints, root first.
        for (int j = 1; j < chain.tree.joints; ++j) {
            const Vec3<S> u = unit.vec3(j), g = grad.vec3(j);
            grad.set_vec3(j, scale[j - 1] * (g - dot(u, g) * u));
        }
        for (int j = 1; j < chain.tree.joints; ++j) grad.subtract_vec3(chain.tree.parent[j], grad.vec3(j));
    }
};

}  // namespace poseda
