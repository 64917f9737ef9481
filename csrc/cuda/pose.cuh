// One pose by its team, forward. A lane has its joint (or two) in registers, and the bone that ends there.
#pragma once

#include "cuda/record.cuh"

namespace poseda {

template <class V, class X>
using Each = PerLane<X, V::kSlots>;

// What is done to a pose. Known at compile time but for the general kernels.
struct Mode {
    bool placed;  // the root stands where GPA places it
    bool exact, propagate, in_frame, distorted, want_camera;
};
template <class V, class T = typename V::Number>
POSEDA_DEVICE Mode mode_of(const LaneArguments<T>& a) {
    if (!V::kGeneral) return {true, V::kExact, false, false, true, false};
    const Options& o = a.options;
    const bool placed = o.root == RootFrom::kPlacement, distorted = bool(a.distortion);
    if (V::kPlain) return {placed, false, false, false, distorted, false};
    return {placed, o.exact, a.propagate, o.require_in_frame, distorted, o.want_camera};
}

template <class T>
struct JointMotion {
    Vec3<T> joint;  // of the source
    Vec3<T> turn;   // rotation vector of the bone
    T stretch;      // relative change of its length
    bool sound;     // whether a scale without bones is valid
};

template <class T>
struct Bone {
    Vec3<T> turned, stretched;
    Rotation<T> own;
    Quaternion<T> chain;  // all turns from the root to this bone, if they are composed
    bool sound;
};

template <class V, class T = typename V::Number>
POSEDA_DEVICE Each<V, Bone<T>> pose_bones(const Team<V>& team, const Mode& mode,
                                          const Each<V, JointMotion<T>>& in, uint32_t record_at) {
    Each<V, Vec3<T>> joint;
    each<V>([&](int s) { joint[s] = in[s].joint; });
    Each<V, Vec3<T>> source = team.of_parents(joint);
    Each<V, Bone<T>> bones;
    each<V>([&](int s) {
        if (team.below_folded_root(s)) source[s] = read_source_root<V>(record_at);
        source[s] = joint[s] - source[s];  // zero for a root with a lane, at the end of no bone
        Vec3<T> turn = in[s].turn;
        if (mode.propagate && team.is_root(s)) turn = zero3<T>();
        bones[s].own = rotation(turn);
    });
    if (V::kGeneral && mode.propagate) {
        Each<V, Quaternion<T>> chain;
        each<V>([&](int s) { chain[s] = quaternion(bones[s].own); });
        if constexpr (V::kGeneral) team.compose_ancestors(chain);
        each<V>([&](int s) { bones[s].chain = chain[s]; });
    }
    each<V>([&](int s) {
        Bone<T>& bone = bones[s];
        bone.turned = mode.propagate ? rotate(bone.chain, source[s]) : rotate(bone.own, source[s]);
        bone.stretched = bone.turned + in[s].stretch * bone.turned;
        bone.sound = in[s].sound & (in[s].stretch > T(-1)) & in_range(bone.own.squared);
    });
    return bones;
}

// Joints of the posed body, the root at the origin.
template <class V, class T = typename V::Number>
POSEDA_DEVICE Each<V, Vec3<T>> local_joints(const Team<V>& team, const Each<V, Bone<T>>& bones,
                                            uint32_t record_at) {
    Each<V, Vec3<T>> local;
    each<V>([&](int s) { local[s] = bones[s].stretched; });
    team.add_ancestors(local);
    const Matrix3<T> turn = read_turn<V>(record_at);
    each<V>([&](int s) { local[s] = rotate(turn, local[s]); });
    return local;
}

// Which points make the box: a lane's own, and a folded root's. One that does not count becomes NaN, which
// a box passes over.
template <class V>
struct Spans {
    using T = typename V::Number;
    Each<V, bool> own;
    bool root;

    POSEDA_DEVICE Spans(const Team<V>& team, uint32_t record_at) {
        const MaskBits mask = read_mask<V>(record_at);
        each<V>([&](int s) { own[s] = mask.has(team.joint(s)); });
        root = mask.has(0);
    }
    POSEDA_DEVICE Vec2<T> of_root(Vec2<T> p) const { return root ? p : Vec2<T>{T(NAN), T(NAN)}; }
};

template <class V, class T = typename V::Number>
POSEDA_DEVICE T edge_of(const Team<V>& team, const Spans<V>& spans, Each<V, Vec2<T>> points, Vec2<T> root) {
    each<V>([&](int s) {
        if (!spans.own[s]) points[s] = {T(NAN), T(NAN)};
    });
    const T edge = team.edge_of(points);
    return V::kFolded ? team.with_root(edge, spans.of_root(root)) : edge;
}

// Of each edge of a box, the first joint there.
template <class V>
struct Edges {
    using T = typename V::Number;
    typename Team<V>::Edge max_x, min_x, max_y, min_y;

    POSEDA_DEVICE Edges(const Team<V>& team, const Box<T>& box, const Each<V, Vec2<T>>& points,
                        const Spans<V>& spans, Vec2<T> root) {
        Each<V, T> x, y;
        each<V>([&](int s) { x[s] = points[s].x, y[s] = points[s].y; });
        root = spans.of_root(root);
        max_x = team.first_at(x, box.max_x, spans.own, root.x);
        min_x = team.first_at(x, box.min_x, spans.own, root.x);
        max_y = team.first_at(y, box.max_y, spans.own, root.y);
        min_y = team.first_at(y, box.min_y, spans.own, root.y);
    }
};

template <class T>
POSEDA_DEVICE Vec3<T> line_of(const Record<T>& record) {
    return {record.ray.x, record.ray.y, T(1)};
}
template <class V, class T = typename V::Number>
POSEDA_DEVICE Each<V, Vec2<T>> flat(const Each<V, Vec3<T>>& points) {
    Each<V, Vec2<T>> p;
    each<V>([&](int s) { p[s] = {points[s].x, points[s].y}; });
    return p;
}

// The box of the joints' projections with the root at `root`, and how fast width + height changes along the
// ray.
template <class V>
struct ProjectedBox {
    using T = typename V::Number;
    Edges<V> edges;
    T size, slope;

    POSEDA_DEVICE ProjectedBox(const Team<V>& team, const Record<T>& record, const Spans<V>& spans,
                               const Each<V, Vec3<T>>& local, T depth)
        : ProjectedBox(team, record, spans, project_all(record, local, depth)) {}

   private:
    static POSEDA_DEVICE Each<V, Projected<T>> project_all(const Record<T>& record,
                                                           const Each<V, Vec3<T>>& local, T depth) {
        Each<V, Projected<T>> seen;
        const Vec3<T> line = line_of(record);
        each<V>([&](int s) { seen[s] = project_along(record.camera, local[s] + depth * line, line); });
        return seen;
    }
    static POSEDA_DEVICE Each<V, Vec2<T>> screens(const Each<V, Projected<T>>& seen) {
        Each<V, Vec2<T>> screen;
        each<V>([&](int s) { screen[s] = seen[s].screen; });
        return screen;
    }
    POSEDA_DEVICE ProjectedBox(const Team<V>& team, const Record<T>& record, const Spans<V>& spans,
                               const Each<V, Projected<T>>& seen)
        : ProjectedBox(team, record, spans, seen,
                       team.box_of(edge_of<V>(team, spans, screens(seen), record.root_screen))) {}
    POSEDA_DEVICE ProjectedBox(const Team<V>& team, const Record<T>& record, const Spans<V>& spans,
                               const Each<V, Projected<T>>& seen, const Box<T>& box)
        : edges(team, box, screens(seen), spans, record.root_screen) {
        size = (box.max_x - box.min_x) + (box.max_y - box.min_y);
        Each<V, T> x, y;
        each<V>([&](int s) { x[s] = seen[s].along.x, y[s] = seen[s].along.y; });
        slope = (team.of_edge(x, edges.max_x) - team.of_edge(x, edges.min_x)) +
                (team.of_edge(y, edges.max_y) - team.of_edge(y, edges.min_y));
    }
};

// The bracket in which the exact depth lies. See core/placement.h.
template <class V, class T = typename V::Number>
POSEDA_DEVICE Bracket<T> bracket_of(const Team<V>& team, const Record<T>& record, bool distorted,
                                    const Spans<V>& spans, const Each<V, Vec3<T>>& local, T closed_form) {
    Each<V, T> z;
    each<V>([&](int s) { z[s] = spans.own[s] ? local[s].z : T(INFINITY); });
    T nearest = team.least(z);
    if (V::kFolded && spans.root) nearest = smaller(nearest, T(0));
    Vec2<T> span = zero2<T>();
    if (!distorted) {
        Each<V, Vec2<T>> offset;
        each<V>([&](int s) { offset[s] = Vec2<T>{local[s].x, local[s].y} - local[s].z * record.ray; });
        const Box<T> box = team.box_of(edge_of<V>(team, spans, offset, zero2<T>()));
        span = {larger(box.max_x, T(0)) - smaller(box.min_x, T(0)),
                larger(box.max_y, T(0)) - smaller(box.min_y, T(0))};
    }
    Camera<T> camera = record.camera;
    camera.distorted = distorted;
    return depth_bracket(camera, nearest, span, record.target, closed_form);
}

// The depth of exact placement, NaN where there is none. All lanes of a team find the same. A team that is
// done waits for the other with its depth unchanged: its bits do not depend on its neighbour.
template <class V, class T = typename V::Number>
POSEDA_DEVICE T solve_depth(const Team<V>& team, const Record<T>& record, bool distorted,
                            const Spans<V>& spans, const Each<V, Vec3<T>>& local, T closed_form) {
    const bool solvable = record.inverse_target == record.inverse_target;
    DepthSearch<T> search(bracket_of<V>(team, record, distorted, spans, local, closed_form), record.target,
                          closed_form, solvable);
#pragma unroll 1
    for (int step = 0; step < kDepthSteps && any_lane(search.moving); ++step) {
        const ProjectedBox<V> box(team, record, spans, local, search.depth);
        search.step(box.size, box.slope);
    }
    return solvable & !search.moving ? search.depth : T(NAN);
}

template <class V>
struct Stood {
    using T = typename V::Number;
    Each<V, Vec3<T>> joint;
    Each<V, Vec2<T>> screen;
    Vec3<T> root;
    bool valid;  // as far as this lane's joints go
};

// `distorted`: whether there is a lens at all, which decides on exact placement's bracket.
template <class V, class T = typename V::Number>
POSEDA_DEVICE Stood<V> stand(const Team<V>& team, const Mode& mode, bool distorted,
                             const Each<V, Bone<T>>& bones, uint32_t record_at, T min_depth) {
    const Each<V, Vec3<T>> local = local_joints<V>(team, bones, record_at);
    const Record<T> record = read_record<V>(record_at, mode.distorted);
    Stood<V> out;
    if (mode.placed) {
        const Spans<V> spans(team, record_at);
        const T edge = edge_of<V>(team, spans, flat<V>(local), zero2<T>());
        T depth = team.size_of(edge, record.camera.focal) * record.inverse_target;
        if (mode.exact) depth = solve_depth<V>(team, record, distorted, spans, local, depth);
        out.root = depth * line_of(record);
    } else {
        out.root = read_root<V>(record_at);
    }
    out.valid = !V::kFolded || out.root.z >= min_depth;
    if (V::kGeneral) out.valid = record.inverse_target == record.inverse_target;
    const T aspect = V::kGeneral && mode.in_frame ? read_aspect<V>(record_at) : T(0);
    each<V>([&](int s) {
        const Vec3<T> p = local[s] + out.root;
        const Vec2<T> screen = project(record.camera, p);
        out.joint[s] = p;
        out.screen[s] = screen;
        out.valid = out.valid & bones[s].sound & (p.z >= min_depth) &
                    (magnitude(screen.x) + magnitude(screen.y) + magnitude(p.z) < T(INFINITY));
        if (V::kGeneral && mode.in_frame) {
            out.valid = out.valid & (magnitude(screen.x) <= T(1)) & (magnitude(screen.y) <= aspect);
        }
    });
    return out;
}

}  // namespace poseda
