// What the C++ fuzzers share: decisions from bytes, trees, and, with POSEDA_FUZZ_MAIN, a driver that feeds
// them random bytes where libFuzzer is not there:
//     PROGRAM SEED CASES
#pragma once

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "core/kinematics.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace poseda {

inline void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
}

// Decisions from the input's bytes and, when they are used up, from a generator seeded with them.
class Source {
   public:
    Source(const uint8_t* data, size_t size) : data_(data), size_(size) {
        for (size_t i = 0; i < size; ++i) state_ = (state_ ^ data[i]) * 0x100000001B3u;
    }

    uint32_t word() {
        if (at_ < size_) {
            uint32_t value = 0;
            for (int i = 0; i < 4 && at_ < size_; ++i) value |= uint32_t(data_[at_++]) << (8 * i);
            return value;
        }
        state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
        return uint32_t(state_ >> 16);
    }
    int below(int bound) { return int(word() % uint32_t(bound)); }
    bool coin() { return word() & 1; }

    // Near `middle` or, one time in `rarity`, anything at all.
    template <class T>
    T number(double middle, double reach, int rarity) {
        if (rarity && below(rarity) == 0) {
            static const double odd[] = {0.0,  -0.0,  1.0,    -1.0,  INFINITY, -INFINITY, NAN,
                                         1e-3, 1e-20, 1e-310, 1e-45, 1e30,     -1e30,     3.4e38,
                                         1e5,  -1e5,  4e3,    -0.5,  1e-7,     1e300};
            return T(odd[below(int(sizeof(odd) / sizeof(odd[0])))]);
        }
        return T(middle + reach * (double(word()) / 2147483648.0 - 1.0));
    }

   private:
    const uint8_t* data_;
    size_t size_, at_ = 0;
    uint64_t state_ = 0xCBF29CE484222325u;
};

// Of up to `usual` + 1 joints, one time in eight of up to as many as there may be.
inline Tree random_tree(Source& source, int usual = 16) {
    Tree tree;
    tree.joints = 2 + source.below(source.below(8) ? usual : kMaxJoints - 1);
    const bool chain = source.below(8) == 0, groups = source.coin();
    tree.parent[0] = -1;
    for (int j = 1; j < tree.joints; ++j) tree.parent[j] = int8_t(chain ? j - 1 : source.below(j));
    tree.scales = groups ? 1 + source.below(tree.bones()) : tree.bones();
    for (int k = 0; k < tree.bones(); ++k) {
        tree.scale_of[k] = int8_t(groups ? source.below(tree.scales) : k);
    }
    return tree;
}

// With no more pairs of bones than the guards admit, unless `features` is more.
inline ChainParts random_chain(Source& source, int usual = 16, int features = kMaxPartPairs) {
    ChainParts chain = {};
    chain.tree = random_tree(source, usual);
    int room = kMaxPartBones;
    uint8_t* bone = chain.bone;
    for (int wanted = source.below(kMaxParts + 1); chain.parts < wanted; ++chain.parts) {
        const int size = 1 + source.below(chain.tree.bones()), pairs = size * (size - 1) / 2;
        if (size > room || pairs > features) break;
        chain.size[chain.parts] = uint8_t(size);
        for (int i = 0; i < size; ++i) *bone++ = uint8_t(source.below(chain.tree.bones()));
        room -= size, features -= pairs;
    }
    return chain;
}

}  // namespace poseda

#if defined(POSEDA_FUZZ_MAIN)
int main(int count, char** arguments) {
    if (count != 3) return std::fprintf(stderr, "usage: %s SEED CASES\n", arguments[0]), 2;
    const long seed = std::atol(arguments[1]), cases = std::atol(arguments[2]);
    for (long i = 0; i < cases; ++i) {
        const uint64_t input[2] = {uint64_t(seed), uint64_t(i) * 0x9E3779B97F4A7C15u};
        poseda::Source scramble(reinterpret_cast<const uint8_t*>(input), sizeof(input));
        for (int k = 0; k < 4; ++k) scramble.word();  // past the bytes themselves
        uint32_t bytes[4];
        for (uint32_t& word : bytes) word = scramble.word();
        LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes), sizeof(bytes));
    }
    std::printf("%ld cases\n", cases);
}
#endif
