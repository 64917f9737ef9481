// Random augmentation parameters from counter-based random numbers (Philox 4x32-10, Salmon et al. 2011). A
// draw depends on seed, offset, pose and draw alone, not on threads nor on how a batch is cut.
#pragma once

#include "core/rotation.h"

namespace poseda {

// Most bones and scales of a pose, so that their blocks of draws do not overlap.
constexpr int kMaxRandomBones = 1 << 16;

// What random numbers need of a scalar S: a 32-bit word for each lane. cpu/words.h has the same for vectors.
template <class W>
struct WideProduct {
    W high, low;
};

template <class S>
struct WordTraits {
    using Words = uint32_t;
    static POSEDA_HD Words words(uint32_t word) { return word; }
    static POSEDA_HD WideProduct<Words> product(uint32_t a, Words b) {
        const uint64_t product = uint64_t(a) * b;
        return {uint32_t(product >> 32), uint32_t(product)};
    }
    static POSEDA_HD S upper_bits(Words word) { return S(word >> 8); }  // 24 of them
    // The upper 21 bits, and a word whose upper 21 bits are what that leaves of two others.
    static POSEDA_HD Words coarse(Words word) { return word & 0xFFFFF800u; }
    static POSEDA_HD Words rest_of(Words a, Words b) { return a << 21 | (b & 0x3FFu) << 11; }
};

template <class S>
using Words = typename WordTraits<S>::Words;

template <class S>
struct Philox {
    Words<S> word[4];
};

template <class S>
POSEDA_HD Philox<S> philox(Philox<S> counter, uint32_t key0, uint32_t key1) {
    using Traits = WordTraits<S>;
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int round = 0; round < 10; ++round) {
        const WideProduct<Words<S>> a = Traits::product(0xD2511F53u, counter.word[0]),
                                    b = Traits::product(0xCD9E8D57u, counter.word[2]);
        counter = {{b.high ^ counter.word[1] ^ Traits::words(key0), b.low,
                    a.high ^ counter.word[3] ^ Traits::words(key1), a.low}};
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return counter;
}

// The numbers of one pose, four at a time.
template <class S>
class PoseRandom {
   public:
    // `pose_low` and `pose_high`: the lower and upper words of the pose's index.
    POSEDA_HD PoseRandom(int64_t seed, int64_t offset, Words<S> pose_low, Words<S> pose_high)
        : seed_(uint64_t(seed)), offset_(uint64_t(offset)), pose_low_(pose_low), pose_high_(pose_high) {}

    // Block `block` of this pose's draws. The offset's upper half is in the key, so no two calls share one.
    POSEDA_HD Philox<S> block(uint32_t block) const {
        const Philox<S> counter = {
            {WordTraits<S>::words(block), pose_low_, pose_high_, WordTraits<S>::words(uint32_t(offset_))}};
        return philox<S>(counter, uint32_t(seed_), uint32_t(seed_ >> 32) ^ uint32_t(offset_ >> 32));
    }

   private:
    uint64_t seed_, offset_;
    Words<S> pose_low_, pose_high_;
};

// Uniform on (0, 1]: the upper 24 bits, at the centre of their interval. Above 1/2 a float rounds the centre
// to an edge of the interval, in the last one to 1.
template <class S>
POSEDA_HD S uniform(Words<S> word) {
    return (WordTraits<S>::upper_bits(word) + literal<S>(0.5)) * literal<S>(1.0 / 16777216.0);
}

// Uniform on (-largest, largest].
template <class S>
POSEDA_HD S uniform_about_zero(Words<S> word, double largest) {
    return literal<S>(largest) * (literal<S>(2) * uniform<S>(word) - literal<S>(1));
}

// A direction uniform on the circle, as the sine and cosine of half its angle.
template <class S>
struct HalfTurn {
    S sine, cosine;

    POSEDA_HD explicit HalfTurn(Words<S> word) {
        const S half = literal<S>(3.14159265358979323846) * (uniform<S>(word) - literal<S>(0.5));
        S sinc;
        half_angle_series(half * half, cosine, sinc);
        sine = half * sinc;
    }
    // A vector of that length in this direction.
    POSEDA_HD Vec2<S> times(S length) const {
        const S one = literal<S>(1), two = literal<S>(2);
        return {length * (one - two * sine * sine), length * two * sine * cosine};
    }
};

// The ranges of the drawn parameters.
struct RandomRanges {
    double bone_angle;  // radians: largest turn of a bone, about an axis uniform on the sphere
    double bone_scale;  // largest relative change of length
    double body_yaw;    // radians: largest turn about the vertical axis (y), either way
    double body_tilt;   // radians: largest lean, in a uniform direction
};

// A rotation vector with an axis uniform on the sphere and an angle uniform up to `largest`, from three words.
template <class S>
POSEDA_HD Vec3<S> random_rotation(Words<S> for_height, Words<S> for_turn, Words<S> for_angle,
                                  double largest) {
    const S one = literal<S>(1);
    const S height = literal<S>(2) * uniform<S>(for_height) - one;
    const S flat = square_root(one - height * height), angle = literal<S>(largest) * uniform<S>(for_angle);
    const Vec2<S> across = HalfTurn<S>(for_turn).times(angle * flat);
    return {across.x, across.y, angle * height};
}

template <class T>
struct RandomArguments {
    int64_t batch;
    int64_t first;  // index of the first pose: a batch may be drawn in parts
    int bones, scales;
    int64_t table_rows;  // 0: no placement index
    RandomRanges ranges;
    const int64_t* state;  // seed, offset
    T* bone_rotation;
    T* bone_scale;
    T* body_rotation;
    int64_t* placement_index;
};

constexpr int kScalesOfBlock = 4;
constexpr int kBonesOfBlock = 2;

// The parameters of one pose. Its blocks: one for every two bones, one for the body rotation and the index, one
// for every four scales.
template <class S>
class ParameterDraw {
   public:
    POSEDA_HD ParameterDraw(const RandomArguments<Value<S>>& a, Words<S> pose_low, Words<S> pose_high)
        : a_(a), random_(a.state[0], a.state[1], pose_low, pose_high) {}

    // Rotations of bones begin .. end-1; `begin` is a multiple of kBonesOfBlock. The six numbers of a block
    // have 21 bits each: no bit serves twice.
    POSEDA_HD void rotations(int begin, int end, const Slots<S>& out) const {
        using Traits = WordTraits<S>;
        const double largest = a_.ranges.bone_angle;
        for (int k = begin; k < end; k += kBonesOfBlock) {
            const Philox<S> r = random_.block(uint32_t(k / kBonesOfBlock));
            const Words<S> a = r.word[0], b = r.word[1], c = r.word[2], d = r.word[3];
            out.set_vec3(k - begin, random_rotation<S>(Traits::coarse(a), Traits::coarse(b),
                                                       Traits::coarse(c), largest));
            if (k + 1 < end) {
                out.set_vec3(k + 1 - begin, random_rotation<S>(Traits::coarse(d), Traits::rest_of(a, b),
                                                               Traits::rest_of(c, d), largest));
            }
        }
    }

    // Scales begin .. end-1; `begin` is a multiple of kScalesOfBlock.
    POSEDA_HD void scales(int begin, int end, const Slots<S>& out) const {
        for (int i = begin; i < end; i += kScalesOfBlock) {
            const Philox<S> r = random_.block(body_block() + 1 + uint32_t(i / kScalesOfBlock));
            for (int k = i; k < end && k < i + kScalesOfBlock; ++k)
                out[k - begin] = uniform_about_zero<S>(r.word[k - i], a_.ranges.bone_scale);
        }
    }

    // The body rotation. Returns the word from which picked_row follows.
    POSEDA_HD Words<S> body(const Slots<S>& out) const {
        const Philox<S> r = random_.block(body_block());
        const S tilt = literal<S>(a_.ranges.body_tilt) * uniform<S>(r.word[1]);
        const Vec2<S> lean = HalfTurn<S>(r.word[0]).times(tilt);
        const S yaw = uniform_about_zero<S>(r.word[2], a_.ranges.body_yaw);
        out.set_vec3(0, turn_then_lean(yaw, lean));
        return r.word[3];
    }

   private:
    POSEDA_HD uint32_t body_block() const { return uint32_t((a_.bones + kBonesOfBlock - 1) / kBonesOfBlock); }

    const RandomArguments<Value<S>>& a_;
    PoseRandom<S> random_;
};

// The upper part of a 32-bit word times the table's size: all rows are equally likely to one part in
// 2^32 / rows.
POSEDA_HD int64_t picked_row(uint64_t word, int64_t table_rows) {
    return int64_t((word * uint64_t(table_rows)) >> 32);
}

}  // namespace poseda
