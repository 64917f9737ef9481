"""Two-domain data: labelled source poses, unlabelled target poses, and labels kept apart for evaluation.

Adapting code receives an :class:`AdaptationData` and nothing else. It holds no 3D pose of the target
but weak labels of a few rows, where the user gave some.
README.md beside this file says which files are read.

Imports go one way. From the bottom: errors, layouts, conversion, detections, formats of detections,
detection_files and connectors (up to here without torch), records, screen, filming, formats of sources,
lens, weak_labels, target, domain_file, synthetic, source_files, own, open. Names are loaded when they are
first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poseda.datasets.connectors import (
        from_arrays,
        from_mediapipe,
        from_mmpose,
        from_rtmlib,
        from_ultralytics,
    )
    from poseda.datasets.detection_files import read_detections
    from poseda.datasets.detections import Detections2D
    from poseda.datasets.errors import DataError
    from poseda.datasets.open import open_domains
    from poseda.datasets.own import NoLabelsError, OwnDomains, own_domains
    from poseda.datasets.records import (
        SPLITS,
        AdaptationData,
        Domains,
        LabelledPoses,
        UnlabelledPoses,
        WeakLabels,
    )
    from poseda.datasets.source_files import read_source

__all__ = [
    "SPLITS",
    "AdaptationData",
    "DataError",
    "Detections2D",
    "Domains",
    "LabelledPoses",
    "NoLabelsError",
    "OwnDomains",
    "UnlabelledPoses",
    "WeakLabels",
    "from_arrays",
    "from_mediapipe",
    "from_mmpose",
    "from_rtmlib",
    "from_ultralytics",
    "open_domains",
    "own_domains",
    "read_detections",
    "read_source",
]

_HOME = {
    "DataError": "errors",
    "Detections2D": "detections",
    "NoLabelsError": "own",
    "OwnDomains": "own",
    "from_arrays": "connectors",
    "from_mediapipe": "connectors",
    "from_mmpose": "connectors",
    "from_rtmlib": "connectors",
    "from_ultralytics": "connectors",
    "open_domains": "open",
    "own_domains": "own",
    "read_detections": "detection_files",
    "read_source": "source_files",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"{__name__}.{_HOME.get(name, 'records')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
