// Ops that are one map of core/row_map.h over rows (R, ...), on either device. Device provides
//     static void row_map(const Map&, const MapArguments<T>&, const Tensor& like)
#pragma once

#include "core/row_map.h"
#include "guards.h"

namespace poseda {

// An input of a map, and what a row of it looks like. It lives as long as the expression it stands in.
struct MapInput {
    const Tensor& tensor;
    const char* name;
    std::initializer_list<int64_t> row;
};

// The map's result, `result` a row. The first input decides on dtype, device and the number of rows.
template <class Device, class Map>
Tensor map_rows(const Map& map, std::initializer_list<MapInput> inputs,
                std::initializer_list<int64_t> result) {
    const MapInput& first = *inputs.begin();
    return for_type(first.tensor, first.name, [&](auto zero) {
        using T = decltype(zero);
        Guard guard(first.tensor, first.name);
        MapArguments<T> a = {};
        a.rows = row_count(first.tensor, first.name), a.frames = 1;
        int count = 0;
        for (const MapInput& in : inputs)
            a.in[count++] = guard.rows<T>(in.tensor, in.name, a.rows, -1, in.row);
        std::vector<int64_t> sizes = {a.rows};
        sizes.insert(sizes.end(), result);
        const Tensor out =
            allocate(first.tensor, first.tensor.scalar_type(), sizes.data(), int64_t(sizes.size()));
        a.out[0] = numbers<T>(out);
        if (out.numel() > 0) Device::row_map(map, a, first.tensor);
        return out;
    });
}

}  // namespace poseda
