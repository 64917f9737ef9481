// Maps from rows of numbers to rows of numbers, one row a pose: all ops but augment. A map states the sizes
// of its rows and computes on slots. The drivers of either device move rows to slots and back.
//
// A map has
//     int in_size(int i), out_size(int i)    numbers in a row of input or output i; 0: there is none
//     static constexpr int kMostNumbers      the most that these sizes add up to
//     void operator()(const Slots<S>* in, const Slots<S>* out) const
// It may overwrite its input slots, which are copies. An output without a destination is scratch.
#pragma once

#include "core/arguments.h"

namespace poseda {

constexpr int kMapInputs = 3;
constexpr int kMapOutputs = 2;

template <class T>
struct MapArguments {
    int64_t rows;
    int frames;  // row r is frame r % frames of sequence r / frames
    Rows<const T> in[kMapInputs];
    T* out[kMapOutputs];  // contiguous, or null
};

}  // namespace poseda
