"""Videos and cameras as input: pictures out of a container, and 2D detectors that look at them.

``container`` reads pictures, ``detectors`` wraps detectors of other packages, and ``footage`` keeps what they
find as npz files, which :func:`poseda.datasets.read_detections` reads. Nothing here needs torch. The extras
``poseda[video]`` and ``poseda[rtmpose]`` bring the packages, which are imported when they are first used.
"""

from __future__ import annotations

from poseda.video.container import Video, holds_videos, open_camera
from poseda.video.detectors import Detector, open_detector
from poseda.video.footage import check_pictures, detect, detect_all, pictures_of, videos_of

__all__ = [
    "Detector",
    "Video",
    "check_pictures",
    "detect",
    "detect_all",
    "holds_videos",
    "open_camera",
    "open_detector",
    "pictures_of",
    "videos_of",
]
