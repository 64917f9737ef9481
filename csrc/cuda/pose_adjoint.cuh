// One pose by its team, adjoint.
#pragma once

#include "cuda/pose.cuh"

namespace poseda {

template <class T>
struct Incoming {
    Vec3<T> pose;
    Vec2<T> screen;
};

template <class T>
struct JointGradient {
    Vec3<T> turn;    // of the bone's rotation vector
    T scale;         // of the scale with the place's number
    Vec3<T> source;  // of the source joint
};

template <class V>
struct Gradient {
    using T = typename V::Number;
    Each<V, JointGradient<T>> at;
    T body_torque;  // about the root, before the body is turned. In quarters of the team: x, y, z
    T root_source;  // of a folded root's source, likewise
    // General kernels: of the root in space; where it was placed, of the ray, of the focal length by the
    // closed form, and of either size of the box.
    Vec3<T> root;
    Vec2<T> ray, focal;
    T size;
};

// What else the adjoint of one pose is given.
template <class T>
struct Given {
    T solved_depth;      // exact placement: as the forward found it
    Vec3<T> other_root;  // general: the root's gradient from the other frames of a sequence
    bool want_pose;      // whether the source's gradient is wanted
};

// The gradients of the joints in space, from those of both outputs. Adds the camera's, if wanted.
template <class V, class T = typename V::Number>
POSEDA_DEVICE Each<V, Vec3<T>> joint_gradients(const Team<V>& team, const Mode& mode, const Record<T>& record,
                                               const Each<V, Vec3<T>>& local, Vec3<T> root,
                                               const Each<V, Incoming<T>>& grad, Camera<T>& camera) {
    Each<V, Vec3<T>> g;
    each<V>([&](int s) {
        // A lane without a joint goes along with joint 0, whose gradient counts once.
        const Vec2<T> screen = team.used(s) ? grad[s].screen : zero2<T>();
        g[s] = grad[s].pose + project_vjp(record.camera, local[s] + root, screen, mode.want_camera, camera);
        if (!team.used(s)) g[s] = zero3<T>();
    });
    return g;
}

// Exact placement keeps size(depth, joints) at w + h: a joint that stretches the box on the screen pushes
// the body back. This adds to the joints' gradients, and returns that of the target's size.
template <class V, class T = typename V::Number>
POSEDA_DEVICE T push_back(const Team<V>& team, const Mode& mode, const Record<T>& record,
                          const Spans<V>& spans, const Each<V, Vec3<T>>& local, T depth, T grad_depth,
                          Each<V, Vec3<T>>& g, Camera<T>& camera) {
    const ProjectedBox<V> box(team, record, spans, local, depth);
    const T weight = quotient(-grad_depth, box.slope);
    each<V>([&](int s) {
        const auto pull = [&](typename Team<V>::Edge edge) { return team.is_here(edge, s) ? weight : T(0); };
        const Vec2<T> screen = {pull(box.edges.max_x) - pull(box.edges.min_x),
                                pull(box.edges.max_y) - pull(box.edges.min_y)};
        g[s] = g[s] + project_vjp(record.camera, local[s] + depth * line_of(record), screen, mode.want_camera,
                                  camera);
    });
    return -weight;
}

// Back through body rotation, stretch and turn, from the gradients of the bones in space.
template <class V, class T = typename V::Number>
POSEDA_DEVICE void bones_vjp(const Team<V>& team, const Mode& mode, uint32_t record_at,
                             const Each<V, JointMotion<T>>& in, const Each<V, Bone<T>>& bones, bool want_pose,
                             Each<V, Vec3<T>>& g, Gradient<V>& out) {
    const Matrix3<T> turn = read_turn<V>(record_at);
    Each<V, Vec3<T>> torque;
    Each<V, T> along;
    each<V>([&](int s) {
        g[s] = rotate_back(turn, g[s]);
        torque[s] = cross(bones[s].stretched, g[s]);
        along[s] = dot(bones[s].turned, g[s]);
    });
    out.body_torque = team.total_of_three(torque);
    along = team.of_members(along);
    each<V>([&](int s) {
        out.at[s].scale = along[s];
        g[s] = g[s] + in[s].stretch * g[s];
        torque[s] = cross(bones[s].turned, g[s]);
    });
    // A composed turn carries its whole subtree: torques add up, and come back through the turns of its
    // ancestors.
    if (V::kGeneral && mode.propagate) team.add_descendants(torque);
    Each<V, Vec3<T>> source;
    each<V>([&](int s) {
        const Bone<T>& bone = bones[s];
        const Vec3<T> own = mode.propagate ? rotate(bone.own, rotate_back(bone.chain, torque[s])) : torque[s];
        out.at[s].turn = rotation_vjp(bone.own, own);
        out.at[s].source = zero3<T>();
        source[s] = mode.propagate ? rotate_back(bone.chain, g[s]) : rotate_back(bone.own, g[s]);
        if (!team.has_bone(s)) source[s] = zero3<T>();
    });
    out.root_source = T(0);
    if (!want_pose) return;
    // A joint ends its own bone and begins those of its children.
    const Each<V, Vec3<T>> children = team.of_children(source);
    each<V>([&](int s) { out.at[s].source = source[s] - children[s]; });
    if (V::kFolded) {
        each<V>([&](int s) {
            if (!team.below_folded_root(s)) source[s] = zero3<T>();
        });
        out.root_source = -team.total_of_three(source);
    }
}

template <class V, class T = typename V::Number>
POSEDA_DEVICE Gradient<V> adjoint(const Team<V>& team, const Mode& mode, const Each<V, JointMotion<T>>& in,
                                  const Each<V, Incoming<T>>& grad, const Given<T>& given, uint32_t record_at,
                                  Camera<T>& camera) {
    const bool closed_form = mode.placed && !mode.exact;
    // Forward again, as far as needed.
    const Each<V, Bone<T>> bones = pose_bones<V>(team, mode, in, record_at);
    const Each<V, Vec3<T>> local = local_joints<V>(team, bones, record_at);
    const Record<T> record = read_record<V>(record_at, mode.distorted);
    const Vec3<T> line = line_of(record);
    const Vec2<T> focal = record.camera.focal;
    const Spans<V> spans(team, record_at);
    Box<T> box = {};
    T depth = given.solved_depth;
    if (closed_form) {
        const T edge = edge_of<V>(team, spans, flat<V>(local), zero2<T>());
        depth = team.size_of(edge, focal) * record.inverse_target;
        box = team.box_of(edge);
    }
    Vec3<T> root = depth * line;
    if (V::kGeneral && !mode.placed) root = read_root<V>(record_at);

    Gradient<V> out = {};
    Each<V, Vec3<T>> g = joint_gradients<V>(team, mode, record, local, root, grad, camera);
    // The gradient of the depth: how the loss changes as all joints move along the ray.
    T grad_depth = V::kGeneral ? dot(given.other_root, line) : T(0);
    if (mode.placed && (V::kFolded || mode.exact)) {
        Each<V, T> along;
        each<V>([&](int s) { along[s] = dot(g[s], line); });
        grad_depth = grad_depth + team.total(along) + (V::kFolded ? record.target : T(0));
    }
    if (mode.placed && mode.exact) {
        out.size = push_back<V>(team, mode, record, spans, local, depth, grad_depth, g, camera);
    }
    team.add_descendants(g);
    if (V::kGeneral) out.root = {team.of_root(g[0].x), team.of_root(g[0].y), team.of_root(g[0].z)};
    if (closed_form) {
        // depth = (fx dx + fy dy) / (w + h): the four joints at the edges of the box move it, and with each
        // of them all bones on its path from the root.
        if (V::kGeneral) {
            grad_depth = grad_depth + dot(out.root, line);
        } else if (!V::kFolded) {
            grad_depth = team.of_root(dot(g[0], line));
        }
        const T scaled = grad_depth * record.inverse_target;
        const Vec2<T> pull = scaled * focal;
        const Edges<V> edges(team, box, flat<V>(local), spans, zero2<T>());
        each<V>([&](int s) {
            if (team.at_or_beyond(edges.max_x, s)) g[s].x = g[s].x + pull.x;
            if (team.at_or_beyond(edges.min_x, s)) g[s].x = g[s].x - pull.x;
            if (team.at_or_beyond(edges.max_y, s)) g[s].y = g[s].y + pull.y;
            if (team.at_or_beyond(edges.min_y, s)) g[s].y = g[s].y - pull.y;
        });
        if (V::kGeneral) {
            out.size = -depth * scaled;
            out.focal = scaled * Vec2<T>{box.max_x - box.min_x, box.max_y - box.min_y};
        }
    }
    if (V::kGeneral) {
        out.ray = depth * Vec2<T>{out.root.x + given.other_root.x, out.root.y + given.other_root.y};
    }
    bones_vjp<V>(team, mode, record_at, in, bones, given.want_pose, g, out);
    return out;
}

}  // namespace poseda
