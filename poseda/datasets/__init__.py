"""Two-domain data: labelled source poses, unlabelled target poses, and labels kept apart for evaluation.

Adapting code receives an :class:`AdaptationData` and nothing else; it holds no 3D pose of the target.
"""

from poseda.datasets.formats.detect import read_detections
from poseda.datasets.formats.source import read_source
from poseda.datasets.open import open_domains
from poseda.datasets.own import NoLabelsError, OwnDomains, own_domains
from poseda.datasets.records import SPLITS, AdaptationData, DataError, Domains, LabelledPoses, UnlabelledPoses

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
