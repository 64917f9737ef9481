// Procrustes alignment on either device. Device provides
//     static void row_map(const Map&, const MapArguments<T>&, const Tensor& like)
#pragma once

#include "core/procrustes.h"
#include "guards.h"

namespace poseda {

template <class Device>
Tensor procrustes_align_op(Tensor prediction, Tensor target) {
    return for_type(prediction, "prediction", [&](auto zero) {
        using T = decltype(zero);
        Guard guard(prediction, "prediction");
        require(prediction.dim() == 3 && prediction.size(1) >= 1 && prediction.size(1) <= kMaxJoints,
                "prediction: unexpected shape ", prediction);
        const int64_t rows = prediction.size(0), points = prediction.size(1);
        MapArguments<T> a = {};
        a.in[0] = guard.rows<T>(prediction, "prediction", rows, -1, {points, 3});
        a.in[1] = guard.rows<T>(target, "target", rows, -1, {points, 3});
        const Tensor out = allocate(prediction, prediction.scalar_type(), {rows, points, 3});
        a.rows = rows, a.frames = 1, a.out[0] = numbers<T>(out);
        if (rows > 0) Device::row_map(ProcrustesAlign{int(points)}, a, prediction);
        return out;
    });
}

}  // namespace poseda
