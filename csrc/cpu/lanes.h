// A vector of poses, one a lane, as the scalar of csrc/core. Everything here has internal linkage: of a
// symbol shared by all instruction sets, the linker could keep one that this machine cannot run.
#pragma once

#include <cstring>
#include <utility>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

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

#define POSEDA_LANES_OPERATOR(op)                                    \
    template <class T>                                               \
    POSEDA_HD Lanes<T> operator op(Lanes<T> a, Lanes<T> b) {         \
        return Lanes<T>(a.v op b.v);                                 \
    }                                                                \
    template <class T>                                               \
    POSEDA_HD Lanes<T>& operator op## = (Lanes<T> & a, Lanes<T> b) { \
        return a = a op b;                                           \
    }
POSEDA_LANES_OPERATOR(+)
POSEDA_LANES_OPERATOR(-)
POSEDA_LANES_OPERATOR(*)
POSEDA_LANES_OPERATOR(/)
#undef POSEDA_LANES_OPERATOR

#define POSEDA_LANES_COMPARISON(op)                             \
    template <class T>                                          \
    POSEDA_HD LaneMask<T> operator op(Lanes<T> a, Lanes<T> b) { \
        return a.v op b.v;                                      \
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

// ---- Moving rows (a pose's contiguous numbers) to slots (one number of every pose in the vector) and back.
// Rows are read and written in pieces of 16 bytes. Each 16-byte block of a vector then needs a transpose of
// its own only, and every instruction set has one instruction for each shuffle of it.

template <class T>
constexpr int kPiece = 16 / int(sizeof(T));

template <class T>
struct PieceOf;
template <>
struct PieceOf<float> {
    typedef float Numbers __attribute__((vector_size(16)));
};
template <>
struct PieceOf<double> {
    typedef double Numbers __attribute__((vector_size(16)));
};
template <class T>
using Piece = typename PieceOf<T>::Numbers;

template <class T>
POSEDA_HD Piece<T> load_piece(const T* at) {
    Piece<T> piece;
    std::memcpy(&piece, at, sizeof(piece));
    return piece;
}

// Vector r of a chunk: block b holds `offset ..` of row r + kPiece * b.
template <class T>
POSEDA_HD Lanes<T> gather_pieces(const T* const* rows, int r, int offset) {
    constexpr int step = kPiece<T>;
#if POSEDA_VECTOR_BYTES == 64
    __m512 v = _mm512_castps128_ps512(__m128(load_piece(rows[r] + offset)));
    v = _mm512_insertf32x4(v, __m128(load_piece(rows[r + step] + offset)), 1);
    v = _mm512_insertf32x4(v, __m128(load_piece(rows[r + 2 * step] + offset)), 2);
    v = _mm512_insertf32x4(v, __m128(load_piece(rows[r + 3 * step] + offset)), 3);
    return Lanes<T>(typename Lanes<T>::Vector(v));
#elif POSEDA_VECTOR_BYTES == 32
    __m256 v = _mm256_castps128_ps256(__m128(load_piece(rows[r] + offset)));
    v = _mm256_insertf128_ps(v, __m128(load_piece(rows[r + step] + offset)), 1);
    return Lanes<T>(typename Lanes<T>::Vector(v));
#else
    (void)step;
    return Lanes<T>(load_piece(rows[r] + offset));
#endif
}

template <class T, int block, size_t... i>
POSEDA_HD Piece<T> piece_of(Lanes<T> lanes, std::index_sequence<i...>) {
    return __builtin_shufflevector(lanes.v, lanes.v, int(block * kPiece<T> + i)...);
}

// Inverse of gather_pieces, for rows below `count`.
template <class T, int block = 0>
POSEDA_HD void scatter_pieces(Lanes<T> lanes, T* const* rows, int r, int offset, int count) {
    if constexpr (block * kPiece<T> < Lanes<T>::width) {
        const int row = r + kPiece<T> * block;
        const Piece<T> piece = piece_of<T, block>(lanes, std::make_index_sequence<kPiece<T>>());
        if (row < count) std::memcpy(rows[row] + offset, &piece, sizeof(piece));
        scatter_pieces<T, block + 1>(lanes, rows, r, offset, count);
    }
}

// Within each block: numbers `first .. first + run` of a and of b, alternating in runs of `run`.
template <class T, int run, int first, size_t... lane>
POSEDA_HD Lanes<T> interleave(Lanes<T> a, Lanes<T> b, std::index_sequence<lane...>) {
    constexpr int width = Lanes<T>::width, piece = kPiece<T>;
    return Lanes<T>(
        __builtin_shufflevector(a.v, b.v,
                                (int(lane) / piece * piece + first + int(lane) % piece / (2 * run) * run +
                                 int(lane) % run + (int(lane) / run % 2) * width)...));
}

// kPiece vectors: within each block, number i of vector r becomes number r of vector i.
template <class T>
POSEDA_HD void transpose_blocks(Lanes<T>* v) {
    using All = std::make_index_sequence<Lanes<T>::width>;
    if constexpr (kPiece<T> == 2) {
        const Lanes<T> a = v[0], b = v[1];
        v[0] = interleave<T, 1, 0>(a, b, All());
        v[1] = interleave<T, 1, 1>(a, b, All());
    } else {
        const Lanes<T> low01 = interleave<T, 1, 0>(v[0], v[1], All()),
                       high01 = interleave<T, 1, 2>(v[0], v[1], All());
        const Lanes<T> low23 = interleave<T, 1, 0>(v[2], v[3], All()),
                       high23 = interleave<T, 1, 2>(v[2], v[3], All());
        v[0] = interleave<T, 2, 0>(low01, low23, All());
        v[1] = interleave<T, 2, 2>(low01, low23, All());
        v[2] = interleave<T, 2, 0>(high01, high23, All());
        v[3] = interleave<T, 2, 2>(high01, high23, All());
    }
}

template <class T>
POSEDA_HD void load_chunk(Lanes<T>* slots, const T* const* rows, int offset) {
    Lanes<T> chunk[kPiece<T>];
    for (int r = 0; r < kPiece<T>; ++r) chunk[r] = gather_pieces(rows, r, offset);
    transpose_blocks(chunk);
    for (int i = 0; i < kPiece<T>; ++i) slots[offset + i] = chunk[i];
}

template <class T>
POSEDA_HD void store_chunk(const Lanes<T>* slots, T* const* rows, int offset, int count) {
    Lanes<T> chunk[kPiece<T>];
    for (int i = 0; i < kPiece<T>; ++i) chunk[i] = slots[offset + i];
    transpose_blocks(chunk);
    for (int r = 0; r < kPiece<T>; ++r) scatter_pieces(chunk[r], rows, r, offset, count);
}

// Read `size` numbers of every row. The last chunk overlaps the one before rather than reading past the row.
template <class T>
POSEDA_HD void load_rows(Lanes<T>* slots, const T* const* rows, int size) {
    constexpr int piece = kPiece<T>, width = Lanes<T>::width;
    int offset = 0;
    for (; offset + piece <= size; offset += piece) load_chunk(slots, rows, offset);
    if (offset == size) return;
    if (size >= piece) {
        load_chunk(slots, rows, size - piece);
        return;
    }
    for (int i = 0; i < size; ++i) {
        T column[width];
        for (int lane = 0; lane < width; ++lane) column[lane] = rows[lane][i];
        std::memcpy(&slots[i].v, column, sizeof(column));
    }
}

// Write `size` numbers of the first `count` rows.
template <class T>
POSEDA_HD void store_rows(const Lanes<T>* slots, T* const* rows, int size, int count) {
    constexpr int piece = kPiece<T>, width = Lanes<T>::width;
    int offset = 0;
    if (count == width) {
        for (; offset + piece <= size; offset += piece) store_chunk(slots, rows, offset, width);
    } else {
        for (; offset + piece <= size; offset += piece) store_chunk(slots, rows, offset, count);
    }
    if (offset == size) return;
    if (size >= piece) {
        store_chunk(slots, rows, size - piece, count);
        return;
    }
    for (int i = 0; i < size; ++i) {
        T column[width];
        std::memcpy(column, &slots[i].v, sizeof(column));
        for (int lane = 0; lane < count; ++lane) rows[lane][i] = column[lane];
    }
}

}  // namespace

// A vector of poses has its numbers side by side.
template <class T>
struct SlotStorage<Lanes<T>> {
    Lanes<T>* data;

    POSEDA_HD Lanes<T>& operator[](int i) const { return data[i]; }
};

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
