// A whole warp on one pose of any tree: one or two joints a lane, everything about the tree known at run
// time. Slower than team.cuh, but never serial in the joints.
//
// Joints stand in depth-first order, whatever order the tree has them in, so a subtree is an interval: its
// sum is put together from sums over 1, 2, 4, ... joints in a row. A place is a number in that order: place
// p is lane p / kSlots, slot p % kSlots.
#pragma once

#include "cuda/team.cuh"

namespace poseda {

// What the kernels for any tree and type are compiled for: up to 32 joints a slot. Plain ones know of no
// option that a call rarely has (see is_plain), which saves them instructions and registers.
template <class T, int kSlots_, bool kPlain_>
struct General {
    using Number = T;
    static constexpr int kSlots = kSlots_, kWidth = 32, kPlaces = 32 * kSlots, kJoints = 0;
    static constexpr bool kFetchesAhead = sizeof(T) == 4;  // double has no registers to spare
    static constexpr bool kGeneral = true, kPlain = kPlain_, kExact = false, kFolded = false;
};

template <class T, int kSlots, bool kPlain>
class Team<General<T, kSlots, kPlain>> {
    using V = General<T, kSlots, kPlain>;
    static constexpr int kPlaces = V::kPlaces;
    template <class X>
    using Each = PerLane<X, kSlots>;

   public:
    using Plan = WarpPlan;
    using Edge = uint32_t;  // the first joint's number and place in one, or kNobody

    int lane, first = 0, seat, team = 0;

    POSEDA_DEVICE Team(const WarpPlan& plan, int joints)
        : plan_(plan), joints_(joints), quarters_(threadIdx.x & 31) {
        lane = seat = threadIdx.x & 31;
        each<V>([&](int s) { own_[s] = plan_.place[place(s)]; });
    }

    POSEDA_DEVICE int place(int slot) const { return kSlots * lane + slot; }
    POSEDA_DEVICE bool used(int slot) const { return place(slot) < joints_; }
    POSEDA_DEVICE int joint(int slot) const { return own_[slot].joint; }  // 0 beyond the last
    POSEDA_DEVICE bool is_root(int slot) const { return place(slot) == 0; }
    POSEDA_DEVICE bool has_bone(int slot) const { return used(slot) & !is_root(slot); }
    POSEDA_DEVICE int bone(int slot) const { return has_bone(slot) ? joint(slot) - 1 : 0; }
    POSEDA_DEVICE bool below_folded_root(int) const { return false; }
    POSEDA_DEVICE int scale_of_bone(int slot) const { return own_[slot].scale_of; }
    POSEDA_DEVICE int scale(int slot) const { return place(slot); }
    POSEDA_DEVICE bool heads_quarter() const { return (lane & 7) == 0; }
    POSEDA_DEVICE uint32_t mine(uint32_t bits) const { return bits; }

    // ---- along the tree

    POSEDA_DEVICE Each<Vec3<T>> of_parents(const Each<Vec3<T>>& v) const {
        Each<Vec3<T>> got;
        each<V>([&](int s) { got[s] = gather(v, own_[s].parent); });
        return got;
    }
    // Sum over the bones from the root to this one, whose own is 0.
    POSEDA_DEVICE void add_ancestors(Each<Vec3<T>>& v) const {
        Each<int> up = parents();
        for (int r = 0; r < plan_.jumps; ++r) {
            Each<Vec3<T>> got;
            each<V>([&](int s) { got[s] = gather(v, up[s]); });
            each<V>([&](int s) { v[s] = v[s] + got[s]; });
            climb(up);
        }
    }
    // Product of the turns from the root to this bone, in that order; the root's own is none.
    POSEDA_DEVICE void compose_ancestors(Each<Quaternion<T>>& q) const {
        Each<int> up = parents();
        for (int r = 0; r < plan_.jumps; ++r) {
            Each<T> w;
            Each<Vec3<T>> v;
            each<V>([&](int s) { w[s] = q[s].w, v[s] = q[s].v; });
            each<V>([&](int s) {
                const Quaternion<T> got = {gather(w, up[s]), gather(v, up[s])};
                q[s] = got * q[s];
            });
            climb(up);
        }
    }
    // Sum over the joints at and beyond this one.
    POSEDA_DEVICE void add_descendants(Each<Vec3<T>>& v) const {
        Each<Vec3<T>> row = v;  // sums over 2^r places from each on
        Each<int> from;
        each<V>([&](int s) { v[s] = zero3<T>(), from[s] = place(s); });
        for (int r = 0; r <= plan_.doublings; ++r) {
            each<V>([&](int s) {
                const Vec3<T> got = gather(row, from[s] & (kPlaces - 1));
                if (own_[s].size >> r & 1) v[s] = v[s] + got, from[s] += 1 << r;
            });
            Each<Vec3<T>> next;
            each<V>([&](int s) { next[s] = gather(row, (place(s) + (1 << r)) & (kPlaces - 1)); });
            each<V>([&](int s) { row[s] = row[s] + next[s]; });
        }
    }
    POSEDA_DEVICE Each<Vec3<T>> of_children(const Each<Vec3<T>>& v) const {
        Each<Vec3<T>> sum;
        Each<int> child, next;
        each<V>([&](int s) {
            sum[s] = zero3<T>(), child[s] = own_[s].first_child, next[s] = own_[s].next_child;
        });
        for (int i = 0; i < plan_.children; ++i) {
            each<V>([&](int s) {
                const Vec3<T> got = gather(v, child[s] & (kPlaces - 1));
                if (child[s] < kPlaces) sum[s] = sum[s] + got;
            });
            follow(child, next);
        }
        return sum;
    }
    POSEDA_DEVICE Each<T> of_members(const Each<T>& v) const {
        Each<T> sum;
        Each<int> member, next;
        each<V>(
            [&](int s) { sum[s] = T(0), member[s] = own_[s].first_member, next[s] = own_[s].next_member; });
        for (int i = 0; i < plan_.members; ++i) {
            each<V>([&](int s) {
                const T got = gather(v, member[s] & (kPlaces - 1));
                if (member[s] < kPlaces) sum[s] = sum[s] + got;
            });
            follow(member, next);
        }
        return sum;
    }

    // ---- over all joints

    POSEDA_DEVICE T edge_of(const Each<Vec2<T>>& p) const {
        Vec2<T> high = p[0], low = p[0];
        if (kSlots == 2) {
            const Vec2<T> other = p[kSlots - 1];
            high = {larger(high.x, other.x), larger(high.y, other.y)};
            low = {smaller(low.x, other.x), smaller(low.y, other.y)};
        }
        return quarters_.edge_of(high, low, kSlots == 1);
    }
    POSEDA_DEVICE T with_root(T edge, Vec2<T>) const { return edge; }
    POSEDA_DEVICE T size_of(T edge, Vec2<T> focal) const { return quarters_.size_of(edge, focal); }
    POSEDA_DEVICE Box<T> box_of(T edge) const { return quarters_.box_of(edge, 0); }
    POSEDA_DEVICE T total(const Each<T>& v) const {
        T sum = T(0);
        each<V>([&](int s) { sum = sum + v[s]; });
        return quarters_.total(sum);
    }
    POSEDA_DEVICE T total_of_three(const Each<Vec3<T>>& v) const {
        Vec3<T> sum = zero3<T>();
        each<V>([&](int s) { sum = sum + v[s]; });
        return quarters_.total_of_three(sum);
    }
    POSEDA_DEVICE T least(const Each<T>& v) const {
        T low = T(INFINITY);
        each<V>([&](int s) { low = smaller(low, v[s]); });
        return quarters_.least(low);
    }
    POSEDA_DEVICE T of_root(T v) const { return shuffle(v, 0); }

    POSEDA_DEVICE Edge first_at(const Each<T>& value, T edge, const Each<bool>& spans, T) const {
        uint32_t key = kNobody;
        each<V>([&](int s) {
            const bool reaches = (value[s] == edge) & spans[s] & used(s);
            const uint32_t own = uint32_t(joint(s)) * kPlaces + uint32_t(place(s));
            key = reaches && own < key ? own : key;
        });
        return least_of_warp(key);
    }
    POSEDA_DEVICE bool at_or_beyond(Edge edge, int slot) const {
        return edge != kNobody && (edge & (kPlaces - 1)) - uint32_t(place(slot)) < uint32_t(own_[slot].size);
    }
    POSEDA_DEVICE bool is_here(Edge edge, int slot) const {
        return edge != kNobody && (edge & (kPlaces - 1)) == uint32_t(place(slot));
    }
    POSEDA_DEVICE T of_edge(const Each<T>& v, Edge edge) const {
        const T got = gather(v, int(edge & (kPlaces - 1)));
        return edge != kNobody ? got : T(0);
    }

   private:
    static constexpr uint32_t kNobody = 0xffffu;

    // The value at a place.
    template <class X>
    POSEDA_DEVICE X gather(const Each<X>& v, int place) const {
        const X even = shuffle(v[0], place / kSlots);
        if constexpr (kSlots == 1) {
            return even;
        } else {
            const X odd = shuffle(v[1], place / kSlots);
            return place & 1 ? odd : even;
        }
    }
    POSEDA_DEVICE Each<int> parents() const {
        Each<int> up;
        each<V>([&](int s) { up[s] = own_[s].parent; });
        return up;
    }
    // Twice as far up: to the ancestor of the ancestor.
    POSEDA_DEVICE void climb(Each<int>& up) const {
        Each<int> further;
        each<V>([&](int s) { further[s] = gather(up, up[s]); });
        up = further;
    }
    // Along a chain of places: to what stands at `next` there, or stay beyond its end.
    POSEDA_DEVICE void follow(Each<int>& at, const Each<int>& next) const {
        Each<int> further;
        each<V>([&](int s) { further[s] = gather(next, at[s] & (kPlaces - 1)); });
        each<V>([&](int s) { at[s] = at[s] < kPlaces ? further[s] : at[s]; });
    }

    const WarpPlan& plan_;
    const int joints_;
    Quarters<T, 32> quarters_;
    PerLane<PlacePlan, kSlots> own_;
};

}  // namespace poseda
