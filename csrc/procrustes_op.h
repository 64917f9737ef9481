// Procrustes alignment on either device; see map_op.h for what Device provides.
#pragma once

#include "core/procrustes.h"
#include "map_op.h"

namespace poseda {

template <class Device>
Tensor procrustes_align_op(Tensor prediction, Tensor target) {
    require(prediction.dim() == 3 && prediction.size(1) >= 1 && prediction.size(1) <= kMaxJoints,
            "prediction: unexpected shape ", prediction);
    const int64_t points = prediction.size(1);
    return map_rows<Device>(ProcrustesAlign{int(points)},
                            {{prediction, "prediction", {points, 3}}, {target, "target", {points, 3}}},
                            {points, 3});
}

}  // namespace poseda
