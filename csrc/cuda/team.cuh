// The 16 lanes that work on one pose of up to 17 joints: where each stands, and what they do together. Two
// teams make a warp.
//
// A team gives the same bits wherever it stands in a batch, and no number of another pose reaches a sum:
// shuffles stay within the team. Within a pose a schedule's "nobody" is a factor 0, so a NaN may spread;
// that pose is invalid then.
//
// A value a joint is a PerLane: as many numbers as a lane has joints, here one. warp_team.cuh has the same
// functions for other numbers; pose.cuh is written for both.
#pragma once

#include "cuda/warp.cuh"
#include "tree_plan.h"

namespace poseda {

template <class X, int kSlots>
struct PerLane {
    X of[kSlots];
    POSEDA_DEVICE X& operator[](int slot) { return of[slot]; }
    POSEDA_DEVICE const X& operator[](int slot) const { return of[slot]; }
};

// Runs f(slot) for each joint of a lane. Unrolled, a PerLane stays in registers. In local memory nvcc 13.0
// gave two that live at a time the same place.
template <class V, class F>
POSEDA_DEVICE void each(const F& f) {
#pragma unroll
    for (int slot = 0; slot < V::kSlots; ++slot) f(slot);
}

template <class T>
struct Box {
    T max_x, min_x, max_y, min_y;
};

// What a reduction over a team of any width begins with: each quarter of its lanes gets one edge of the box
// of the points (max x, -min x, max y, -min y), or one component of a sum.
template <class T, int kWidth>
struct Quarters {
    bool is_y, is_min;

    POSEDA_DEVICE explicit Quarters(int lane)
        : is_y((lane & kWidth / 2) != 0), is_min((lane & kWidth / 4) != 0) {}

    // From the lane's own extremes; `same`: these are one point. NaNs are passed over: so a joint is left
    // out.
    POSEDA_DEVICE T edge_of(Vec2<T> high, Vec2<T> low, bool same) const {
        const T own_high = is_y ? high.y : high.x;
        const T got_high = shuffle_xor(is_y ? high.x : high.y, kWidth / 2);
        T own_low = own_high, got_low = got_high;
        if (!same) own_low = is_y ? low.y : low.x, got_low = shuffle_xor(is_y ? low.x : low.y, kWidth / 2);
        const T highest = larger(own_high, got_high), lowest = -smaller(own_low, got_low);
        T edge = larger(is_min ? lowest : highest, shuffle_xor(is_min ? highest : lowest, kWidth / 4));
#pragma unroll
        for (int step = kWidth / 8; step > 0; step /= 2) edge = larger(edge, shuffle_xor(edge, step));
        return edge;
    }
    // fx (max x - min x) + fy (max y - min y), in every lane.
    POSEDA_DEVICE T size_of(T edge, Vec2<T> focal) const {
        T size = (is_y ? focal.y : focal.x) * edge;
        size = size + shuffle_xor(size, kWidth / 2);
        return size + shuffle_xor(size, kWidth / 4);
    }
    // Quarters 0, 1 and 2 get the sums of x, y and z: in 16 lanes by five shuffles, where totals take twelve.
    POSEDA_DEVICE T total_of_three(Vec3<T> v) const {
        const bool last = is_y, middle = is_min & !is_y;
        const T x_or_z = (last ? v.z : v.x) + shuffle_xor(last ? v.x : v.z, kWidth / 2);
        const T y = v.y + shuffle_xor(v.y, kWidth / 2);
        T sum = (middle ? y : x_or_z) + shuffle_xor((is_min | is_y) ? x_or_z : y, kWidth / 4);
#pragma unroll
        for (int step = kWidth / 8; step > 0; step /= 2) sum = sum + shuffle_xor(sum, step);
        return sum;
    }
    static POSEDA_DEVICE T total(T v) {
#pragma unroll
        for (int step = kWidth / 2; step > 0; step /= 2) v = v + shuffle_xor(v, step);
        return v;
    }
    static POSEDA_DEVICE T least(T v) {
#pragma unroll
        for (int step = kWidth / 2; step > 0; step /= 2) v = smaller(v, shuffle_xor(v, step));
        return v;
    }
    static POSEDA_DEVICE Box<T> box_of(T edge, int first) {
        return {shuffle(edge, first), -shuffle(edge, first + kWidth / 4), shuffle(edge, first + kWidth / 2),
                -shuffle(edge, first + 3 * kWidth / 4)};
    }
};

// A kernel for trees of so many joints, float, single poses and GPA. Rounds are compiled in: those of the
// usual skeletons of that size, superfluous ones add zeros. A tree whose plan needs more is left to
// warp_team.cuh.
template <int kJoints_>
struct Rounds;
template <>
struct Rounds<16> {
    static constexpr int kJumps = 3, kPulls = 5, kMembers = 2, kChildren = 3;
};
template <>
struct Rounds<17> {
    static constexpr int kJumps = 3, kPulls = 4, kMembers = 2, kChildren = 3;
};

template <int kJoints_, bool kExact_>
struct Fast {
    using Number = float;
    static constexpr int kJoints = kJoints_, kPlaces = kJoints, kWidth = kTeamLanes, kSlots = 1;
    static constexpr bool kGeneral = false, kPlain = true, kExact = kExact_;
    static constexpr bool kFolded = kJoints > kTeamLanes;  // the root has no lane
};

template <class V>
constexpr bool fits(const TreePlan& plan, int joints) {
    using R = Rounds<V::kJoints>;
    return joints == V::kJoints && plan.for_teams && plan.team.jumps <= R::kJumps &&
           plan.team.pulls <= R::kPulls && plan.team.members <= R::kMembers &&
           plan.team.children <= R::kChildren;
}

template <class V>
class Team {
    using T = typename V::Number;
    using R = Rounds<V::kJoints>;
    template <class X>
    using Each = PerLane<X, 1>;

   public:
    using Plan = TeamPlan;
    using Edge = uint32_t;  // a bit, that of the first lane whose joint reaches an edge of the box, or none

    int lane;   // of the warp
    int first;  // the team's first lane
    int seat;   // of the team: 0 .. 15
    int team;   // of the warp: 0 or 1

    POSEDA_DEVICE explicit Team(const TeamPlan& plan) : quarters_(threadIdx.x & 31) {
        lane = threadIdx.x & 31;
        seat = lane & (kTeamLanes - 1), first = lane & kTeamLanes, team = lane / kTeamLanes;
        const LanePlan& p = plan.lane[seat];
        const uint32_t here = uint32_t(first) * 0x01010101u;  // schedules name seats, from here on lanes
        jumps_ = p.jumps + here, pulls_[0] = p.pulls[0] + here, pulls_[1] = p.pulls[1] + here;
        members_ = p.members + here, children_ = p.children + here;
        subtree_ = p.subtree << first;
        scale_ = int(p.scale_of);
#pragma unroll
        for (int r = 0; r < kMaxPulls; ++r)
            joins_[r] = is_lane(p.pulls[r / 4] >> (8 * (r % 4))) ? T(1) : T(0);
    }
    POSEDA_DEVICE bool used(int) const { return true; }
    POSEDA_DEVICE int joint(int) const { return seat + (V::kFolded ? 1 : 0); }
    POSEDA_DEVICE bool has_bone(int) const { return V::kFolded || seat > 0; }
    POSEDA_DEVICE int bone(int) const { return V::kFolded ? seat : (seat > 0 ? seat - 1 : 0); }
    POSEDA_DEVICE bool is_root(int) const { return !V::kFolded && seat == 0; }
    POSEDA_DEVICE bool below_folded_root(int) const { return V::kFolded && !is_lane(jumps_); }
    POSEDA_DEVICE int scale_of_bone(int) const { return scale_; }
    POSEDA_DEVICE int scale(int) const { return seat; }  // the scale whose sum this lane gets
    POSEDA_DEVICE bool heads_quarter() const { return (seat & (V::kWidth / 4 - 1)) == 0; }
    POSEDA_DEVICE uint32_t mine(uint32_t bits) const { return bits & (0xffffu << first); }

    // ---- along the tree

    POSEDA_DEVICE Each<Vec3<T>> of_parents(const Each<Vec3<T>>& v) const {
        return {{shuffle(v[0], int(jumps_))}};
    }
    // Sum over the bones from the root to this one, by doubling: after round r a lane has the last 2^(r+1).
    // The root's own is 0, so a jump past it adds nothing.
    POSEDA_DEVICE void add_ancestors(Each<Vec3<T>>& v) const {
#pragma unroll
        for (int r = 0; r < R::kJumps; ++r) {
            const Vec3<T> got = shuffle(v[0], int(jumps_ >> (8 * r)));
            v[0] = V::kFolded ? v[0] + (is_lane(jumps_ >> (8 * r)) ? T(1) : T(0)) * got : v[0] + got;
        }
    }
    // Sum over the joints at and beyond this one.
    POSEDA_DEVICE void add_descendants(Each<Vec3<T>>& v) const {
#pragma unroll
        for (int r = 0; r < R::kPulls; ++r) {
            v[0] = v[0] + joins_[r] * shuffle(v[0], int(pulls_[r / 4] >> (8 * (r % 4))));
        }
    }
    POSEDA_DEVICE Each<Vec3<T>> of_children(const Each<Vec3<T>>& v) const {
        Vec3<T> sum = zero3<T>();
#pragma unroll
        for (int i = 0; i < R::kChildren; ++i) {
            const uint32_t child = children_ >> (8 * i);
            const Vec3<T> got = shuffle(v[0], int(child));
            if (is_lane(child)) sum = sum + got;
        }
        return {{sum}};
    }
    // Sum over the bones of the scale with this lane's number; lanes beyond the last scale get anything.
    POSEDA_DEVICE Each<T> of_members(const Each<T>& v) const {
        T sum = shuffle(v[0], int(members_));
#pragma unroll
        for (int i = 1; i < R::kMembers; ++i) {
            const uint32_t member = members_ >> (8 * i);
            const T got = shuffle(v[0], int(member));
            sum = sum + (is_lane(member) ? got : T(0));
        }
        return {{sum}};
    }

    // ---- over all joints

    POSEDA_DEVICE T edge_of(const Each<Vec2<T>>& p) const { return quarters_.edge_of(p[0], p[0], true); }
    // `edge` with a point more: a folded root. NaN if it is left out.
    POSEDA_DEVICE T with_root(T edge, Vec2<T> root) const {
        const T own = quarters_.is_y ? root.y : root.x;
        return larger(edge, quarters_.is_min ? -own : own);
    }
    POSEDA_DEVICE T size_of(T edge, Vec2<T> focal) const { return quarters_.size_of(edge, focal); }
    POSEDA_DEVICE Box<T> box_of(T edge) const { return quarters_.box_of(edge, first); }
    POSEDA_DEVICE T total(const Each<T>& v) const { return quarters_.total(v[0]); }
    POSEDA_DEVICE T total_of_three(const Each<Vec3<T>>& v) const { return quarters_.total_of_three(v[0]); }
    POSEDA_DEVICE T least(const Each<T>& v) const { return quarters_.least(v[0]); }
    POSEDA_DEVICE T of_root(T v) const { return shuffle(v, first); }

    // The first joint at an edge. A folded root comes before all: where it reaches the edge, no lane does.
    POSEDA_DEVICE Edge first_at(const Each<T>& value, T edge, const Each<bool>& spans, T root) const {
        const uint32_t all = mine(votes((value[0] == edge) & spans[0] & !(V::kFolded & (root == edge))));
        return all & (0u - all);
    }
    POSEDA_DEVICE bool at_or_beyond(Edge edge, int) const { return (edge & subtree_) != 0; }
    POSEDA_DEVICE bool is_here(Edge edge, int) const { return (edge >> lane & 1) != 0; }
    // A number of the joint at an edge, 0 where there is none.
    POSEDA_DEVICE T of_edge(const Each<T>& v, Edge edge) const {
        const T got = shuffle(v[0], edge ? first_bit(edge) : lane);
        return edge ? got : T(0);
    }

   private:
    static POSEDA_DEVICE bool is_lane(uint32_t byte) { return (byte & kNoLane) == 0; }

    Quarters<T, kTeamLanes> quarters_;
    uint32_t jumps_, pulls_[2], members_, children_, subtree_;
    int scale_;
    T joins_[kMaxPulls];  // 1 or 0: whether round r adds anything
};

}  // namespace poseda
