// Steps 1 to 5 of augment, and their adjoint: bones, rotation, scale, body rotation, forward kinematics.
#pragma once

#include "core/rotation.h"

namespace poseda {

constexpr int kMaxJoints = 64;

// A skeleton's tree, small enough to pass to a kernel by value. parent[j] < j; bone k ends at joint k + 1.
struct Tree {
    int joints;
    int scales;  // K, or G for one scale per symmetric group
    int8_t parent[kMaxJoints];
    int8_t scale_of[kMaxJoints];  // scale index of each bone

    POSEDA_HD int bones() const { return joints - 1; }
};

// What is done to one frame's bones. Slots of absent arguments are not read.
template <class S>
struct Motion {
    bool has_rotation, has_scale, has_body_rotation, propagate;
    Slots<S> rotation;  // K rotation vectors
    Slots<S> scale;     // relative change of length
    Slots<S> chain;     // K composed quaternions, filled by pose_body when propagating
    Vec3<S> body_rotation;
};

template <class S>
POSEDA_HD Quaternion<S> chained(const Slots<S>& chain, int bone) {
    return {chain[4 * bone], {chain[4 * bone + 1], chain[4 * bone + 2], chain[4 * bone + 3]}};
}

template <class S>
POSEDA_HD S length_factor(const Tree& tree, const Motion<S>& motion, int bone) {
    return literal<S>(1) + motion.scale[tree.scale_of[bone]];
}

// False where a scale would turn a bone inside out, a rotation is longer than kMaxRotation, or either is NaN.
template <class S>
POSEDA_HD Mask<S> motion_valid(const Tree& tree, const Motion<S>& motion) {
    Mask<S> valid = all_true<S>();
    if (motion.has_scale) {
        for (int i = 0; i < tree.scales; ++i) valid = both<S>(valid, motion.scale[i] > literal<S>(-1));
    }
    if (motion.has_rotation) {
        for (int k = 0; k < tree.bones(); ++k) {
            const Vec3<S> w = motion.rotation.vec3(k);
            valid = both<S>(valid, in_range(dot(w, w)));
        }
    }
    if (motion.has_body_rotation)
        valid = both<S>(valid, in_range(dot(motion.body_rotation, motion.body_rotation)));
    return valid;
}

// Where one frame's joints are.
template <class S>
struct JointSlots {
    Slots<S> source;  // joints as given
    Slots<S> local;   // joints of the posed body, the root at the origin
    // Kept for the adjoint only: bones after their rotation; sine, cosine and |w|^2 of each rotation.
    Slots<S> rotated, turns;
    bool keep;
};

// The whole body's rotation.
template <class S>
struct BodyTurn {
    Rotation<S> rotation;
    Matrix3<S> matrix;
};

template <class S>
POSEDA_HD BodyTurn<S> body_turn(Vec3<S> w) {
    const Rotation<S> r = rotation(w);
    return {r, matrix(r)};
}

// Bone k turned by its rotation or, propagating, by all rotations from the root to it.
template <class S>
POSEDA_HD Vec3<S> rotated_bone(const Tree& tree, const Motion<S>& motion, const JointSlots<S>& joints, int k,
                               Vec3<S> bone) {
    const Rotation<S> own = rotation(motion.rotation.vec3(k));
    if (joints.keep) joints.turns.set_vec3(k, Vec3<S>{own.sine, own.cosine, own.squared});
    if (!motion.propagate) return rotate(own, bone);
    Quaternion<S> q = quaternion(own);
    const int parent = tree.parent[k + 1];
    if (parent > 0) q = chained(motion.chain, parent - 1) * q;
    motion.chain[4 * k] = q.w;
    motion.chain[4 * k + 1] = q.v.x;
    motion.chain[4 * k + 2] = q.v.y;
    motion.chain[4 * k + 3] = q.v.z;
    return rotate(q, bone);
}

// The local joints of the posed body. Returns the source's root.
template <class S>
POSEDA_HD Vec3<S> pose_body(const Tree& tree, const Motion<S>& motion, const BodyTurn<S>& turn,
                            const JointSlots<S>& joints) {
    const Vec3<S> source_root = joints.source.vec3(0);
    joints.local.set_vec3(0, zero3<S>());
    for (int j = 1; j < tree.joints; ++j) {
        const int parent = tree.parent[j];
        Vec3<S> b = joints.source.vec3(j) - joints.source.vec3(parent);
        if (motion.has_rotation) b = rotated_bone(tree, motion, joints, j - 1, b);
        if (joints.keep) joints.rotated.set_vec3(j, b);
        if (motion.has_scale) b = length_factor(tree, motion, j - 1) * b;
        if (motion.has_body_rotation) b = rotate(turn.matrix, b);
        if (parent > 0) b += joints.local.vec3(parent);
        joints.local.set_vec3(j, b);
    }
    return source_root;
}

// Where the gradients of one frame's motion go. `rotation` may be Motion::rotation, unless propagating.
template <class S>
struct MotionGradient {
    bool want_pose, want_rotation, want_scale, want_body_rotation;
    Slots<S> rotation;
    Slots<S> scale;
    Vec3<S> body_rotation;
};

// A bone's rotation, as pose_body kept it.
template <class S>
POSEDA_HD Rotation<S> own_rotation(const Motion<S>& motion, const JointSlots<S>& joints, int k) {
    const Vec3<S> w = motion.rotation.vec3(k);
    const Vec3<S> kept = joints.turns.vec3(k);
    return {w, kept.x, kept.y, kept.z, literal<S>(0), literal<S>(0)};
}

// Adjoint of pose_body, after pose_body and over the same slots. On entry joints.local holds the gradients of
// the local joints, on return those of the source joints, if wanted. The rotations' gradients are set, those
// of the scales and of the body rotation are added.
template <class S>
POSEDA_HD void pose_body_vjp(const Tree& tree, const Motion<S>& motion, const BodyTurn<S>& turn,
                             const JointSlots<S>& joints, MotionGradient<S>& out) {
    const Slots<S>& grad = joints.local;
    const bool chain = motion.has_rotation && motion.propagate;
    Vec3<S> body_torque = zero3<S>();
    if (chain && out.want_rotation) out.rotation.zero(3 * tree.bones());
    for (int j = tree.joints - 1; j > 0; --j) {
        const int k = j - 1, parent = tree.parent[j];
        Vec3<S> g = grad.vec3(j);  // by now the sum over everything that hangs from this bone
        if (parent > 0) grad.add_vec3(parent, g);
        const Vec3<S> u = joints.rotated.vec3(j);
        if (motion.has_body_rotation) {
            g = rotate_back(turn.matrix, g);
            if (out.want_body_rotation) {
                const Vec3<S> s = motion.has_scale ? length_factor(tree, motion, k) * u : u;
                body_torque += cross(s, g);
            }
        }
        if (motion.has_scale) {
            if (out.want_scale) out.scale[tree.scale_of[k]] += dot(u, g);
            g = length_factor(tree, motion, k) * g;
        }
        if (motion.has_rotation && !chain && (out.want_rotation || out.want_pose)) {
            const Rotation<S> own = own_rotation(motion, joints, k);
            if (out.want_rotation) out.rotation.set_vec3(k, rotation_vjp(own, cross(u, g)));
            if (out.want_pose) g = rotate_back(own, g);
        }
        if (chain) {
            if (out.want_rotation) {
                // A bone's rotation turns its whole subtree about itself: torques add up towards the root.
                Vec3<S> torque = out.rotation.vec3(k) + cross(u, g);
                if (parent > 0) {
                    out.rotation.add_vec3(parent - 1, torque);
                    torque = rotate_back(chained(motion.chain, parent - 1), torque);
                }
                out.rotation.set_vec3(k, rotation_vjp(own_rotation(motion, joints, k), torque));
            }
            if (out.want_pose) g = rotate_back(chained(motion.chain, k), g);
        }
        if (out.want_pose) grad.set_vec3(j, g);
    }
    if (motion.has_body_rotation && out.want_body_rotation)
        out.body_rotation += rotation_vjp_before(turn.rotation, body_torque);
    grad.set_vec3(0, zero3<S>());
    if (!out.want_pose) return;
    // Bone gradients to joints, root first: a joint's own bone is read before its children subtract theirs.
    for (int j = 1; j < tree.joints; ++j) {
        grad.subtract_vec3(tree.parent[j], grad.vec3(j));
    }
}

}  // namespace poseda
