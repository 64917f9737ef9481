// Random words of a vector of poses, 32 bits for each lane. Each lies in the lower half of 64 bits, whose upper
// half is not read: products take both halves, and so nothing is moved between lanes.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "core/random.h"
#include "cpu/lanes.h"

namespace poseda {
namespace {

typedef uint32_t Halves __attribute__((vector_size(POSEDA_VECTOR_BYTES)));
typedef uint64_t Wholes __attribute__((vector_size(POSEDA_VECTOR_BYTES)));

// The product of the lower halves of each 64 bits. Compilers do not find this instruction by themselves.
POSEDA_HD Wholes product_of_halves(Wholes a, Wholes b) {
#if POSEDA_VECTOR_BYTES == 64
    // With a mask of all: the plain form warns of an uninitialised argument (GCC 12).
    return Wholes(_mm512_maskz_mul_epu32(0xFF, __m512i(a), __m512i(b)));
#elif POSEDA_VECTOR_BYTES == 32
    return Wholes(_mm256_mul_epu32(__m256i(a), __m256i(b)));
#elif defined(__SSE2__)
    return Wholes(_mm_mul_epu32(__m128i(a), __m128i(b)));
#else
    return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

// One vector of words for doubles. Two for floats: of the lanes of even and of odd number.
template <class T>
struct LaneWords {
    static constexpr int parts = 8 / sizeof(T);
    Wholes part[parts];
};

template <class T>
POSEDA_HD LaneWords<T> operator^(LaneWords<T> a, LaneWords<T> b) {
    for (int i = 0; i < LaneWords<T>::parts; ++i) a.part[i] ^= b.part[i];
    return a;
}

POSEDA_HD Halves in_order(const LaneWords<float>& w) {
    return Halves((w.part[0] & 0xFFFFFFFFu) | (w.part[1] << 32));
}

POSEDA_HD Lanes<float> upper_bits_of(const LaneWords<float>& w) {
    typedef VectorOf<float>::Mask Signed;
    return Lanes<float>(__builtin_convertvector(Signed(in_order(w) >> 8), VectorOf<float>::Numbers));
}

POSEDA_HD Lanes<double> upper_bits_of(const LaneWords<double>& w) {
    // The bits of 2^52 + word. Not every instruction set converts integers of 64 bits.
    const Wholes bits = ((w.part[0] & 0xFFFFFFFFu) >> 8) | 0x4330000000000000u;
    return Lanes<double>(VectorOf<double>::Numbers(bits) - 4503599627370496.0);
}

}  // namespace

template <class T>
struct WordTraits<Lanes<T>> {
    using Words = LaneWords<T>;

    static POSEDA_HD Words words(uint32_t word) {
        Words w;
        for (Wholes& part : w.part) part = Wholes{} + word;
        return w;
    }
    static POSEDA_HD WideProduct<Words> product(uint32_t a, Words b) {
        WideProduct<Words> result;
        for (int i = 0; i < Words::parts; ++i) {
            result.low.part[i] = product_of_halves(Wholes{} + a, b.part[i]);
            result.high.part[i] = result.low.part[i] >> 32;
        }
        return result;
    }
    static POSEDA_HD Lanes<T> upper_bits(Words word) { return upper_bits_of(word); }
    static POSEDA_HD Words coarse(Words word) {
        for (Wholes& part : word.part) part &= 0xFFFFF800u;
        return word;
    }
    static POSEDA_HD Words rest_of(Words a, const Words& b) {
        for (int i = 0; i < Words::parts; ++i) a.part[i] = a.part[i] << 21 | (b.part[i] & 0x3FFu) << 11;
        return a;
    }

    // The word of each lane, in order of the lanes.
    static POSEDA_HD Words from_lanes(const uint32_t (&lanes)[Lanes<T>::width]) {
        uint64_t values[Words::parts][Lanes<T>::width / Words::parts];
        for (int lane = 0; lane < Lanes<T>::width; ++lane)
            values[lane % Words::parts][lane / Words::parts] = lanes[lane];
        Words w;
        std::memcpy(w.part, values, sizeof(w));
        return w;
    }
    static POSEDA_HD uint32_t lane(const Words& w, int lane) {
        return uint32_t(w.part[lane % Words::parts][lane / Words::parts]);
    }
};

}  // namespace poseda
