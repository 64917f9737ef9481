"""Two-domain data: labelled source poses, unlabelled target poses, and labels kept apart for evaluation.

Adapting code receives an :class:`AdaptationData` and nothing else; it holds no 3D pose of the target.
"""

from poseda.datasets.domain import (
    SPLITS,
    AdaptationData,
    DataError,
    Domains,
    LabelledPoses,
    UnlabelledPoses,
    open_domains,
)
from poseda.datasets.own import NoLabelsError, OwnDomains, own_domains
from poseda.datasets.readers.detect import read_detections
from poseda.datasets.readers.source import read_source

__all__ = [
    "SPLITS",
    "AdaptationData",
    "DataError",
    "Domains",
    "LabelledPoses",
    "NoLabelsError",
    "OwnDomains",
    "UnlabelledPoses",
    "open_domains",
    "own_domains",
    "read_detections",
    "read_source",
]
