// What the lanes of a warp do together, and shared memory by 32-bit address: the part of the emulation that
// stands in for cuda/warp.cuh. Included by cuda_emulation.h.
#pragma once

namespace emulation {

// The lane's own value, and where those of all lanes of its warp are by now.
inline const Fiber* meet(Meeting meeting, uint64_t value, unsigned& turn) {
    Fiber* own = block.running;
    turn = own->meetings++ & 1;
    own->lane_value[turn] = value;
    wait(State::kAtWarpBarrier, meeting);
    return &block.fibers[own->rank / warpSize * warpSize];
}

template <class T>
T shuffle(T value, int lane) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "a shuffle passes on at most 8 bytes");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    unsigned turn;
    const unsigned first = block.running->rank / warpSize * warpSize;
    const unsigned from = unsigned(lane & (warpSize - 1));
    const Fiber* warp = meet(Meeting::kShuffle, bits, turn);
    T result = value;
    if (first + from < block.fibers.size()) std::memcpy(&result, &warp[from].lane_value[turn], sizeof(T));
    return result;
}

inline uint32_t vote(bool holds) {
    unsigned turn;
    const Fiber* warp = meet(Meeting::kVote, holds, turn);
    const size_t first = block.running->rank / warpSize * warpSize;
    uint32_t bits = 0;
    for (unsigned i = 0; i < unsigned(warpSize) && first + i < block.fibers.size(); ++i) {
        bits |= uint32_t(warp[i].lane_value[turn]) << i;
    }
    return bits;
}

inline uint32_t least(uint32_t value) {
    unsigned turn;
    const Fiber* warp = meet(Meeting::kVote, value, turn);
    const size_t first = block.running->rank / warpSize * warpSize;
    for (unsigned i = 0; i < unsigned(warpSize) && first + i < block.fibers.size(); ++i) {
        if (uint32_t(warp[i].lane_value[turn]) < value) value = uint32_t(warp[i].lane_value[turn]);
    }
    return value;
}

// ---- Shared memory by 32-bit address. Addresses begin at 1024, so that a null one is caught.

constexpr uint32_t kSharedBase = 1024;

inline void touch(Word& word, bool reads, bool changes) {
    const Fiber& me = *block.running;
    const unsigned warp = me.rank / warpSize, lane = me.rank % warpSize;
    const auto unordered = [&](unsigned other, unsigned warp_waits, unsigned block_waits) {
        return other == warp ? warp_waits == me.warp_waits : block_waits == me.block_waits;
    };
    const bool other_wrote = word.writer >= 0 && unsigned(word.writer) != me.rank &&
                             unordered(unsigned(word.writer) / warpSize, word.warp_waits, word.block_waits);
    if (other_wrote && (reads || changes)) fail("two threads touch a word without a barrier between");
    for (unsigned w = 0; changes && w < kMostWarps; ++w) {
        const Word::Readers& r = word.readers[w];
        const uint32_t lanes = w == warp ? r.lanes & ~(1u << lane) : r.lanes;
        if (lanes && unordered(w, r.warp_waits, r.block_waits))
            fail("two threads touch a word without a barrier between");
    }
    if (reads) {
        Word::Readers& r = word.readers[warp];
        if (r.warp_waits != me.warp_waits || r.block_waits != me.block_waits) r.lanes = 0;
        r = {r.lanes | 1u << lane, me.warp_waits, me.block_waits};
    } else {
        word.writer = int(me.rank), word.warp_waits = me.warp_waits, word.block_waits = me.block_waits;
    }
}

// Where the number at an address is, after the checks. `writes`: what will be there; null: it is read.
template <class T>
T& shared_at(uint32_t address, const T* writes = nullptr) {
    const uint32_t offset = address - kSharedBase;
    if (address % alignof(T)) fail("misaligned access to shared memory");
    if (address < kSharedBase || offset + sizeof(T) > block.shared_bytes)
        fail("access outside of shared memory");
    if (block.words.empty()) block.words.resize((block.shared_bytes + 3) / 4);
    char* data = block.shared + offset;
    for (uint32_t i = 0; i < sizeof(T); i += 4) {
        const bool changes =
            writes && std::memcmp(data + i, reinterpret_cast<const char*>(writes) + i, 4) != 0;
        touch(block.words[(offset + i) / 4], !writes, changes);
    }
    return *reinterpret_cast<T*>(data);
}

inline int lane() { return int(block.running->rank % warpSize); }

}  // namespace emulation
