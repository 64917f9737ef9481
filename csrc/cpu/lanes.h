// A vector of poses, one a lane, as the scalar of csrc/core. Everything here has internal linkage: the file is
// compiled once per instruction set, and a symbol shared between those objects could run on the wrong machine.
#pragma once

#include <cstring>
#include <utility>

#include "core/scalar.h"

#ifndef POSEDA_VECTOR_BYTES
#error "define POSEDA_VECTOR_BYTES for the instruction set: 16, 32 or 64"
#endif

namespace poseda {
namespace {

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
    typedef float Numbers __attribute__((vector_size(POSEDA_VECTOR_BYTES)));
    typedef int32_t Mask __attribute__((vector_size(POSEDA_VECTOR_BYTES)));
};
template <>
struct VectorOf<double> {
    typedef double Numbers __attribute__((vector_size(POSEDA_VECTOR_BYTES)));
    typedef int64_t Mask __attribute__((vector_size(POSEDA_VECTOR_BYTES)));
};

template <class T>
struct Lanes {
    static constexpr int width = POSEDA_VECTOR_BYTES / sizeof(T);
    using Vector = typename VectorOf<T>::Numbers;
    Vector v;

    Lanes() = default;
    POSEDA_HD explicit Lanes(T scalar) : v(scalar - Vector{}) {}
    POSEDA_HD explicit Lanes(Vector vector) : v(vector) {}
};

template <class T>
using LaneMask = typename VectorOf<T>::Mask;

#define POSEDA_LANES_OPERATOR(op)                                   \
    template <class T>                                              \
    POSEDA_HD Lanes<T> operator op(Lanes<T> a, Lanes<T> b) {        \
        return Lanes<T>(a.v op b.v);                                \
    }
POSEDA_LANES_OPERATOR(+)
POSEDA_LANES_OPERATOR(-)
POSEDA_LANES_OPERATOR(*)
POSEDA_LANES_OPERATOR(/)
#undef POSEDA_LANES_OPERATOR

#define POSEDA_LANES_COMPARISON(op)                                 \
    template <class T>                                              \
    POSEDA_HD LaneMask<T> operator op(Lanes<T> a, Lanes<T> b) {     \
        return a.v op b.v;                                          \
    }
POSEDA_LANES_COMPARISON(<)
POSEDA_LANES_COMPARISON(<=)
POSEDA_LANES_COMPARISON(>)
POSEDA_LANES_COMPARISON(>=)
POSEDA_LANES_COMPARISON(==)
#undef POSEDA_LANES_COMPARISON

template <class T>
POSEDA_HD Lanes<T> operator-(Lanes<T> a) {
    return Lanes<T>(-a.v);
}

POSEDA_HD Lanes<float> select(LaneMask<float> condition, Lanes<float> a, Lanes<float> b) {
    return Lanes<float>(condition ? a.v : b.v);
}
POSEDA_HD Lanes<double> select(LaneMask<double> condition, Lanes<double> a, Lanes<double> b) {
    return Lanes<double>(condition ? a.v : b.v);
}

template <class T>
POSEDA_HD Lanes<T> square_root(Lanes<T> a) {
    Lanes<T> r;
    for (int i = 0; i < Lanes<T>::width; ++i) r.v[i] = poseda::square_root(a.v[i]);
    return r;
}

// ---- moving rows (a pose's contiguous numbers) to slots (one number of every pose in the vector) and back

template <class T, int distance, bool high, size_t... lane>
POSEDA_HD Lanes<T> exchange(Lanes<T> a, Lanes<T> b, std::index_sequence<lane...>) {
    constexpr int width = Lanes<T>::width;
    // Low half keeps a where the lane's bit is clear and takes b's partner where it is set; high half the reverse.
    return Lanes<T>(__builtin_shufflevector(
        a.v, b.v,
        (high ? ((lane & distance) ? int(lane) + width : int(lane | distance))
              : ((lane & distance) ? int(lane ^ distance) + width : int(lane)))...));
}

// In place: lane i of row j becomes lane j of row i, by log2(width) rounds of pairwise exchanges.
template <class T, int distance = 1>
POSEDA_HD void transpose(Lanes<T>* rows) {
    constexpr int width = Lanes<T>::width;
    if constexpr (distance < width) {
        using Indices = std::make_index_sequence<width>;
#pragma GCC unroll 16
        for (int i = 0; i < width; ++i) {
            if (i & distance) continue;
            const Lanes<T> low = rows[i], high = rows[i | distance];
            rows[i] = exchange<T, distance, false>(low, high, Indices());
            rows[i | distance] = exchange<T, distance, true>(low, high, Indices());
        }
        transpose<T, distance * 2>(rows);
    }
}

// The first `width` numbers of the rows' chunk at `offset`, transposed.
template <class T>
POSEDA_HD void load_chunk(Lanes<T>* slots, const T* const* rows, int offset) {
    constexpr int width = Lanes<T>::width;
    Lanes<T> chunk[width];
#pragma GCC unroll 16
    for (int i = 0; i < width; ++i) std::memcpy(&chunk[i], rows[i] + offset, sizeof(chunk[i]));
    transpose(chunk);
#pragma GCC unroll 16
    for (int i = 0; i < width; ++i) slots[offset + i] = chunk[i];
}

template <class T>
POSEDA_HD void store_chunk(const Lanes<T>* slots, T* const* rows, int offset, int count) {
    constexpr int width = Lanes<T>::width;
    Lanes<T> chunk[width];
#pragma GCC unroll 16
    for (int i = 0; i < width; ++i) chunk[i] = slots[offset + i];
    transpose(chunk);
    if (count == width) {
#pragma GCC unroll 16
        for (int i = 0; i < width; ++i) std::memcpy(rows[i] + offset, &chunk[i], sizeof(chunk[i]));
    } else {
        for (int i = 0; i < count; ++i) std::memcpy(rows[i] + offset, &chunk[i], sizeof(chunk[i]));
    }
}

// Read `size` numbers of every row. The last chunk overlaps the one before rather than reading past the row.
template <class T>
POSEDA_HD void load_rows(Lanes<T>* slots, const T* const* rows, int size) {
    constexpr int width = Lanes<T>::width;
    int offset = 0;
    for (; offset + width <= size; offset += width) load_chunk(slots, rows, offset);
    if (offset == size) return;
    if (size >= width) {
        load_chunk(slots, rows, size - width);
        return;
    }
    for (int i = 0; i < size; ++i) {
        for (int lane = 0; lane < width; ++lane) slots[i].v[lane] = rows[lane][i];
    }
}

// Write `size` numbers of the first `count` rows.
template <class T>
POSEDA_HD void store_rows(const Lanes<T>* slots, T* const* rows, int size, int count) {
    constexpr int width = Lanes<T>::width;
    int offset = 0;
    for (; offset + width <= size; offset += width) store_chunk(slots, rows, offset, count);
    if (offset == size) return;
    if (size >= width) {
        store_chunk(slots, rows, size - width, count);
        return;
    }
    for (int lane = 0; lane < count; ++lane) {
        for (int i = 0; i < size; ++i) rows[lane][i] = slots[i].v[lane];
    }
}

}  // namespace

template <class T>
struct ScalarTraits<Lanes<T>> {
    using Value = T;
    using Mask = LaneMask<T>;
    static POSEDA_HD bool any(Mask mask) {
        auto bits = mask[0];
        for (int lane = 1; lane < Lanes<T>::width; ++lane) bits |= mask[lane];
        return bits != 0;
    }
};

}  // namespace poseda
