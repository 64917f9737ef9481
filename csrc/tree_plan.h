// What each lane of a GPU has to know of a skeleton: worked out on the host once for a tree, and handed to
// the kernels by value.
//
// A TeamPlan is for 16 lanes a pose (cuda/team.cuh). Of 16 joints each has a lane, the root too. Of 17 the
// root has none: lane k then has joint k + 1. A WarpPlan is for a warp a pose and any tree
// (cuda/warp_team.cuh).
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "core/posing.h"

namespace poseda {

constexpr int kTeamLanes = 16;
constexpr uint32_t kNoLane = 0x80;  // a byte of a schedule that names nobody
constexpr int kMaxJumps = 4, kMaxPulls = 8, kMaxMembers = 4, kMaxChildren = 4;

// Lanes are numbers 0 .. 15 within the team, a byte a round, the first round lowest.
struct alignas(16) LanePlan {
    uint32_t jumps;     // round r: the ancestor 2^r bones up. Beyond the root: its lane, or nobody
    uint32_t pulls[2];  // round r: whose partial sum joins this lane's on the way to sums over subtrees
    uint32_t members;   // the bones of the scale with this lane's number
    uint32_t children;  // the joints whose parent this lane has
    uint32_t subtree;   // a bit for each lane at and beyond this one's joint
    uint32_t scale_of;  // which scale stretches this lane's bone
};

struct TeamPlan {
    int jumps, pulls, members, children;  // rounds of each
    LanePlan lane[kTeamLanes];
};

// A joint at its place in depth-first order. Other joints are named by their places; kNoLane: nobody.
struct alignas(8) PlacePlan {
    uint8_t joint, parent;            // the root is its own parent
    uint8_t size;                     // how many joints there are at and beyond: they have the next places
    uint8_t scale_of;                 // of its bone
    uint8_t first_child, next_child;  // a chain: of this joint; after it, of the same parent
    uint8_t first_member,
        next_member;  // a chain: of the scale with this place's number; after it, of its own
};

struct WarpPlan {
    int jumps, doublings, children, members;  // rounds of each
    PlacePlan place[kMaxJoints];
};

struct TreePlan {
    bool for_teams;  // whether `team` holds this tree
    TeamPlan team;
    WarpPlan warp;
};

namespace plans {

struct Topology {
    const Tree& tree;
    int deepest = 0;
    std::vector<uint64_t> subtree;                    // bits
    std::vector<std::vector<int>> children, members;  // of a joint; of a scale: the joints that end its bones

    explicit Topology(const Tree& tree)
        : tree(tree),
          subtree(size_t(tree.joints)),
          children(size_t(tree.joints)),
          members(size_t(tree.scales)) {
        std::vector<int> depth(size_t(tree.joints), 0);
        for (int j = tree.joints - 1; j >= 0; --j) {
            subtree[j] |= uint64_t(1) << j;
            if (j > 0) subtree[tree.parent[j]] |= subtree[j];
        }
        for (int j = 1; j < tree.joints; ++j) {
            depth[j] = depth[tree.parent[j]] + 1;
            children[tree.parent[j]].push_back(j);
            members[tree.scale_of[j - 1]].push_back(j);
        }
        deepest = *std::max_element(depth.begin(), depth.end());
    }
    // Rounds of pointer jumping: a path has as many bones as its end is deep.
    int jumps() const {
        int rounds = 0;
        while ((1 << rounds) < deepest) ++rounds;
        return rounds;
    }
    static int longest(const std::vector<std::vector<int>>& lists, int from = 0) {
        size_t longest = 0;
        for (size_t i = size_t(from); i < lists.size(); ++i) longest = std::max(longest, lists[i].size());
        return int(longest);
    }
};

// Of each round, whose partial sum joins a joint's; -1: nobody's.
using Schedule = std::vector<std::vector<int>>;

// One attempt at a schedule, by draws from `random`. What a joint has stays a connected part of its subtree,
// so nothing is added twice. Gives up at `limit` rounds.
inline Schedule draw_schedule(const Topology& topology, int first, std::mt19937& random, size_t limit) {
    const auto& subtree = topology.subtree;
    const int joints = topology.tree.joints;
    std::vector<uint64_t> have(subtree);
    for (int v = first; v < joints; ++v) have[v] = uint64_t(1) << v;
    Schedule rounds;
    while (have != subtree && rounds.size() < limit) {
        const std::vector<uint64_t> before = have;
        std::vector<int> pulls(size_t(joints), -1);
        for (int v = first; v < joints; ++v) {
            std::vector<int> beside, whole;  // joints next to what v has; those that have their own subtree
            for (int u = first + 1; u < joints; ++u) {
                const bool outside = (subtree[v] >> u & 1) && !(before[v] >> u & 1);
                if (!outside || !(before[v] >> topology.tree.parent[u] & 1)) continue;
                beside.push_back(u);
                if (before[u] == subtree[u]) whole.push_back(u);
            }
            if (beside.empty()) continue;
            const std::vector<int>& from = !whole.empty() && random() % 4 ? whole : beside;
            pulls[v] = from[random() % from.size()];
            have[v] |= before[pulls[v]];
        }
        rounds.push_back(pulls);
    }
    if (have != subtree) rounds.clear();
    return rounds;
}

// The shortest of many attempts at a schedule of subtree sums. The draws are the same at every call.
inline Schedule pull_schedule(const Topology& topology, int first) {
    constexpr int attempts = 2000;
    size_t fewest = 0;  // a round at most doubles what a lane has
    for (int v = first; v < topology.tree.joints; ++v) {
        size_t rounds = 0;
        while ((1 << rounds) < __builtin_popcountll(topology.subtree[v])) ++rounds;
        fewest = std::max(fewest, rounds);
    }
    std::mt19937 random(1);
    Schedule best = draw_schedule(topology, first, random, size_t(-1));
    for (int attempt = 1; attempt < attempts && best.size() > fewest; ++attempt) {
        const Schedule found = draw_schedule(topology, first, random, best.size());
        if (!found.empty() && found.size() < best.size()) best = found;
    }
    return best;
}

// The plan for a team of 16 lanes. Returns false where it cannot hold the tree.
inline bool plan_team(const Topology& topology, TeamPlan& plan) {
    const Tree& tree = topology.tree;
    const int first = tree.joints > kTeamLanes ? 1 : 0;
    const auto &children = topology.children, &members = topology.members;
    const auto is_empty = [](const std::vector<int>& list) { return list.empty(); };
    plan.jumps = topology.jumps();
    plan.members = Topology::longest(members);
    plan.children = Topology::longest(children, first);
    if (tree.joints - first > kTeamLanes || tree.scales > kTeamLanes || plan.jumps > kMaxJumps ||
        plan.members > kMaxMembers || plan.children > kMaxChildren ||
        std::any_of(members.begin(), members.end(), is_empty)) {
        return false;
    }
    const Schedule schedule = pull_schedule(topology, first);
    plan.pulls = int(schedule.size());
    if (plan.pulls > kMaxPulls) return false;

    const auto lane_of = [&](int joint) { return joint >= first ? uint32_t(joint - first) : kNoLane; };
    for (int l = 0; l < kTeamLanes; ++l) {
        LanePlan& lane = plan.lane[l];
        const int j = l + first;
        const bool used = j < tree.joints;
        lane.scale_of = used && j > 0 ? uint32_t(tree.scale_of[j - 1]) : 0;
        lane.subtree = used ? uint32_t(topology.subtree[j] >> first) : 0;
        int ancestor = used && j > 0 ? tree.parent[j] : 0;
        for (int r = 0; r < kMaxJumps; ++r) {
            lane.jumps |= lane_of(ancestor) << (8 * r);
            for (int up = 0; up < (1 << r); ++up) ancestor = ancestor > 0 ? tree.parent[ancestor] : 0;
        }
        for (int r = 0; r < kMaxPulls; ++r) {
            const int from = used && r < plan.pulls ? schedule[r][j] : -1;
            lane.pulls[r / 4] |= (from < 0 ? kNoLane : lane_of(from)) << (8 * (r % 4));
        }
        for (int i = 0; i < 4; ++i) {
            const bool member = l < tree.scales && i < int(members[l].size());
            lane.members |= (member ? lane_of(members[l][i]) : kNoLane) << (8 * i);
            const bool child = used && i < int(children[j].size());
            lane.children |= (child ? lane_of(children[j][i]) : kNoLane) << (8 * i);
        }
    }
    return true;
}

// Each joint's place in depth-first order.
inline std::vector<int> depth_first(const Topology& topology) {
    std::vector<int> place(topology.children.size()), stack = {0};
    for (int next = 0; !stack.empty(); ++next) {
        const int j = stack.back();
        stack.pop_back();
        place[j] = next;
        const auto& children = topology.children[j];
        stack.insert(stack.end(), children.rbegin(), children.rend());
    }
    return place;
}

inline WarpPlan plan_warp(const Topology& topology) {
    const Tree& tree = topology.tree;
    constexpr uint8_t nobody = kNoLane;
    WarpPlan plan = {};
    plan.jumps = topology.jumps();
    plan.children = Topology::longest(topology.children);
    plan.members = Topology::longest(topology.members);
    while ((1 << (plan.doublings + 1)) <= tree.joints) ++plan.doublings;
    const std::vector<int> place = depth_first(topology);
    for (PlacePlan& p : plan.place) p = {0, 0, 0, 0, nobody, nobody, nobody, nobody};
    for (int j = 0; j < tree.joints; ++j) {
        PlacePlan& p = plan.place[place[j]];
        p.joint = uint8_t(j);
        p.parent = uint8_t(j > 0 ? place[tree.parent[j]] : 0);
        p.size = uint8_t(__builtin_popcountll(topology.subtree[j]));
        p.scale_of = uint8_t(j > 0 ? tree.scale_of[j - 1] : 0);
        const auto& children = topology.children[j];
        for (size_t i = 0; i < children.size(); ++i) {
            (i == 0 ? p.first_child : plan.place[place[children[i - 1]]].next_child) =
                uint8_t(place[children[i]]);
        }
    }
    for (int s = 0; s < tree.scales; ++s) {
        const auto& members = topology.members[s];
        for (size_t i = 0; i < members.size(); ++i) {
            (i == 0 ? plan.place[s].first_member : plan.place[place[members[i - 1]]].next_member) =
                uint8_t(place[members[i]]);
        }
    }
    return plan;
}

inline TreePlan plan(const Tree& tree) {
    const Topology topology(tree);
    TreePlan plan = {};
    plan.for_teams = plan_team(topology, plan.team);
    plan.warp = plan_warp(topology);
    return plan;
}

}  // namespace plans

// The plan of a tree. The search for a schedule takes milliseconds, so plans are kept.
inline TreePlan plan_of(const Tree& tree) {
    constexpr size_t most = 64;
    static std::mutex mutex;
    static std::map<std::string, TreePlan> kept;
    std::string key = {char(tree.joints), char(tree.scales)};
    key.append(reinterpret_cast<const char*>(tree.parent), size_t(tree.joints));
    key.append(reinterpret_cast<const char*>(tree.scale_of), size_t(tree.bones()));
    const std::lock_guard<std::mutex> lock(mutex);
    const auto found = kept.find(key);
    if (found != kept.end()) return found->second;
    if (kept.size() >= most) kept.clear();
    return kept[key] = plans::plan(tree);
}

}  // namespace poseda
