// What belongs to a whole pose: its camera, its ray, its body's rotation. A lane works it out for a pose of
// its own, up to 32 poses at once, and leaves it in shared memory; a team reads it when it comes to that
// pose.
//
// A folded root belongs here, too. In the frame of the body it stands at the origin, so forward kinematics
// need no lane for it. On the screen it stands where its ray does, at any depth. Moving it along its ray
// does not move it on the screen: of its gradients only the pose's own, along the ray, bears on the depth.
#pragma once

#include "core/placement.h"
#include "cuda/lane_arguments.h"
#include "cuda/warp_team.cuh"

namespace poseda {

// Read in place of rows that are absent.
template <class T>
__device__ T absent_numbers[3 * kMaxJoints];

template <class T>
POSEDA_DEVICE const T* or_zeros(const Strided<T>& rows, const T* at) {
    return rows ? at : absent_numbers<T>;
}

// Numbers of a record. An odd number of 16-byte banks, or a folded record's 112 bytes: lanes that write
// records of neighbouring poses do not collide.
template <class V>
constexpr uint32_t kRecord = V::kFolded || V::kGeneral ? 28 : 24;
template <class V>
constexpr uint32_t kRecordBytes = kRecord<V> * uint32_t(sizeof(typename V::Number));

// All of a record but the body's rotation.
template <class T>
struct Record {
    Vec2<T> ray;
    T inverse_target;  // NaN where the pose cannot be valid, and then so is all that comes of it
    Camera<T> camera;
    T target;  // w + h. Adjoint with a folded root: the gradient of the depth from the root's own
    Vec2<T> root_screen;
};

template <class V, class T = typename V::Number>
POSEDA_DEVICE uint32_t number_at(uint32_t record, int number) {
    return record + uint32_t(number) * uint32_t(sizeof(T));
}

template <class V, class T = typename V::Number>
POSEDA_DEVICE Record<T> read_record(uint32_t at, bool distorted) {
    const auto quad = [&](int i) { return from_shared<Quad<T>>(number_at<V>(at, 4 * i)); };
    const Quad<T> c = quad(2), d = quad(3), e = quad(4);
    Quad<T> f = {T(0), T(0), T(0), T(0)};
    if (V::kFolded) {
        f = quad(5);
    } else {
        f.x = from_shared<T>(number_at<V>(at, 20));
        if (V::kGeneral || V::kExact) f.y = from_shared<T>(number_at<V>(at, 21));
    }
    return {{c.y, c.z}, c.w, {{d.x, d.y}, {d.z, d.w}, e.x, e.y, e.z, {e.w, f.x}, distorted}, f.y, {f.z, f.w}};
}
// The body's rotation. Not kept with the rest: it would take nine registers where the most are in use.
template <class V, class T = typename V::Number>
POSEDA_DEVICE Matrix3<T> read_turn(uint32_t at) {
    const Quad<T> a = from_shared<Quad<T>>(at), b = from_shared<Quad<T>>(number_at<V>(at, 4));
    return {{{a.x, a.y, a.z}, {a.w, b.x, b.y}, {b.z, b.w, from_shared<T>(number_at<V>(at, 8))}}};
}
// Where the source has a folded root.
template <class V, class T = typename V::Number>
POSEDA_DEVICE Vec3<T> read_source_root(uint32_t at) {
    const Quad<T> r = from_shared<Quad<T>>(number_at<V>(at, 24));
    return {r.x, r.y, r.z};
}
// Where a folded root is on the screen.
template <class V, class T = typename V::Number>
POSEDA_DEVICE Vec2<T> read_root_screen(uint32_t at) {
    return {from_shared<T>(number_at<V>(at, 22)), from_shared<T>(number_at<V>(at, 23))};
}
// General: the height of the screen, and the root where it is not placed.
template <class V, class T = typename V::Number>
POSEDA_DEVICE T read_aspect(uint32_t at) {
    return from_shared<T>(number_at<V>(at, 24));
}
template <class V, class T = typename V::Number>
POSEDA_DEVICE Vec3<T> read_root(uint32_t at) {
    return vec3_from_shared<T>(number_at<V>(at, 25));
}

// Which joints count for the box: the joint mask as bits, the second 32 joints' in `high`.
struct MaskBits {
    uint32_t low, high;
    POSEDA_DEVICE bool has(int joint) const { return ((joint < 32 ? low : high) >> (joint & 31) & 1) != 0; }
};
template <class V>
POSEDA_DEVICE MaskBits read_mask(uint32_t at) {
    if (V::kFolded) return {from_shared<uint32_t>(number_at<V>(at, 27)), 0};
    return {from_shared<uint32_t>(number_at<V>(at, 22)),
            V::kPlaces > 32 ? from_shared<uint32_t>(number_at<V>(at, 23)) : 0};
}
template <class V, class T = typename V::Number>
POSEDA_DEVICE MaskBits load_mask(const LaneArguments<T>& a, int64_t pose) {
    if (!a.joint_mask) return {~0u, ~0u};
    const bool* mask = a.joint_mask.at_row(pose);
    MaskBits bits = {0, 0};
    const int joints = V::kJoints ? V::kJoints : a.joints;
#pragma unroll(V::kJoints ? V::kJoints : 1)
    for (int j = 0; j < joints; ++j) (j < 32 ? bits.low : bits.high) |= uint32_t(load(mask + j)) << (j & 31);
    return bits;
}

// The row of the placement and camera tables that a pose has.
struct TableRow {
    int64_t row;
    bool inside;

    template <class T>
    POSEDA_DEVICE TableRow(const LaneArguments<T>& a, int64_t pose) : row(pose), inside(true) {
        if (!a.placement_index) return;
        row = load(a.placement_index + pose * a.index_stride);
        inside = row >= 0 && row < a.table_rows;
        if (!inside) row = 0;
    }
};

// With a fixed kernel all lenses are distorted, some by zeros.
template <class V, class T = typename V::Number>
POSEDA_DEVICE bool is_distorted(const LaneArguments<T>& a) {
    return !V::kGeneral || bool(a.distortion);
}
template <class V, class T = typename V::Number>
POSEDA_DEVICE Camera<T> load_camera(const LaneArguments<T>& a, int64_t row) {
    const T* lens = or_zeros(a.distortion, a.distortion.at_row(row));
    return {load2(a.focal.at_row(row)),
            load2(a.center.at_row(row)),
            load(lens),
            load(lens + 1),
            load(lens + 2),
            load2(lens + 3),
            is_distorted<V>(a)};
}
template <class T>
POSEDA_DEVICE Placement<T> load_placement(const LaneArguments<T>& a, int64_t row) {
    const T* place = a.placement.at_row(row);
    return {load2(place), load2(place + 2)};
}

// Whether and where a pose's root stands before it is placed.
template <class T>
struct Standing {
    bool placed;  // its record tells how; else `root` is where it stands
    Vec3<T> root;
};

// The record of `pose`, of which `body` is the rotation in this frame. Every lane comes here; those for which
// `writes` is false repeat another's. `source`, `grad_root`: of a folded root, as given.
template <class V, bool kAdjoint, class T = typename V::Number>
POSEDA_DEVICE void prepare(const LaneArguments<T>& a, int64_t pose, const Rotation<T>& body,
                           const Standing<T>& standing, Vec3<T> source, Vec3<T> grad_root, bool writes,
                           uint32_t at) {
    const TableRow table(a, pose);
    const Camera<T> camera = load_camera<V>(a, table.row);
    bool found = table.inside & in_range(body.squared);
    Vec2<T> ray = zero2<T>(), screen = zero2<T>();
    T target = T(1);
    if (standing.placed) {
        const Placement<T> place = load_placement(a, table.row);
        target = place.size();
        ray = unproject(camera, place.root);
        found = found & place.has_size();
        if (camera.distorted) found = found & sees(camera, ray, place.root);
    }
    if (V::kFolded) {
        screen = project(camera, Vec3<T>{ray.x, ray.y, T(1)});
        found = found & (magnitude(screen.x) + magnitude(screen.y) < T(INFINITY));
    }
    const Matrix3<T> m = matrix(body);
    const MaskBits spans = load_mask<V>(a, pose);
    if (!writes) return;
    const auto put = [&](int i, T x, T y, T z, T w) {
        store_shared(number_at<V>(at, 4 * i), Quad<T>{x, y, z, w});
    };
    put(0, m.row[0].x, m.row[0].y, m.row[0].z, m.row[1].x);
    put(1, m.row[1].y, m.row[1].z, m.row[2].x, m.row[2].y);
    put(2, m.row[2].z, ray.x, ray.y, found ? reciprocal(target) : T(NAN));
    put(3, camera.focal.x, camera.focal.y, camera.center.x, camera.center.y);
    put(4, camera.k1, camera.k2, camera.k3, camera.tangential.x);
    if (V::kFolded) {
        const T along = dot(grad_root, Vec3<T>{ray.x, ray.y, T(1)});
        put(5, camera.tangential.y, kAdjoint ? along : target, screen.x, screen.y);
        store_shared(number_at<V>(at, 24), source);
        store_shared(number_at<V>(at, 27), spans.low);
    } else {
        store_shared(number_at<V>(at, 20), camera.tangential.y);
        store_shared(number_at<V>(at, 21), target);
        store_shared(number_at<V>(at, 22), spans.low);
        store_shared(number_at<V>(at, 23), spans.high);
    }
    if (V::kGeneral) {
        const T aspect = a.aspect ? load(a.aspect.at_row(table.row)) : T(0);
        put(6, aspect, standing.root.x, standing.root.y, standing.root.z);
    }
}

}  // namespace poseda
