"""Two-domain data: labelled source poses, unlabelled target poses, and labels kept apart for evaluation.

Adapting code receives an :class:`AdaptationData` and nothing else. It holds no 3D pose of the target.
README.md beside this file says which files are read.

Imports go one way. From the bottom: records, layouts, conversion, detections, filming, formats, lens,
domain_file, synthetic, detection_files, source_files, own, open.
"""

from poseda.datasets.detection_files import read_detections
from poseda.datasets.open import open_domains
from poseda.datasets.own import NoLabelsError, OwnDomains, own_domains
from poseda.datasets.records import SPLITS, AdaptationData, DataError, Domains, LabelledPoses, UnlabelledPoses
from poseda.datasets.source_files import read_source

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
