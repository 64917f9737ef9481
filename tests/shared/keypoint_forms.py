"""A walker in the JSON of every detector, as each tool writes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from detections import SIZE
from walkers import walker

from poseda.datasets.layouts import LAYOUTS

FRAMES = 4


def coco(frame: int, who: int = 0) -> np.ndarray:
    return walker("coco17", frame, (700.0 + 500 * who, 900.0))


def blaze(frame: int) -> np.ndarray:
    return walker("mediapipe33", frame)


def flat(points: np.ndarray) -> list[float]:
    return points.ravel().tolist()


def shares(points: np.ndarray) -> list[dict]:
    return [{"x": x / SIZE[0], "y": y / SIZE[1], "z": -0.2, "visibility": c} for x, y, c in points.tolist()]


def named(points: np.ndarray, layout: str = "coco17") -> list[dict]:
    names = LAYOUTS[layout].joint_names
    return [
        {"x": x, "y": y, "score": c, "name": n} for (x, y, c), n in zip(points.tolist(), names, strict=True)
    ]


def instance(points: np.ndarray, **more: Any) -> dict:
    return {"keypoints": points[:, :2].tolist(), "keypoint_scores": points[:, 2].tolist(), **more}


def ultralytics(points: np.ndarray, **more: Any) -> dict:
    x, y, c = points.T.tolist()
    box = {"x1": min(x), "y1": min(y), "x2": max(x), "y2": max(y)}
    keypoints = {"x": x, "y": y, "visible": c}
    return {"name": "person", "class": 0, "confidence": 0.8, "box": box, **more, "keypoints": keypoints}


META = {"dataset_name": "coco", "keypoint_id2name": dict(enumerate(LAYOUTS["coco17"].joint_names))}

ONE_PERSON: dict[str, tuple[str, Any]] = {
    "COCO results": (
        "COCO results JSON",
        [{"image_id": n, "category_id": 1, "keypoints": flat(coco(n)), "score": 1.0} for n in range(FRAMES)],
    ),
    "AlphaPose": (
        "AlphaPose JSON",
        [
            {
                "image_id": f"{n}.jpg",
                "category_id": 1,
                "keypoints": flat(coco(n)),
                "score": 2.9,
                "box": [0, 0, 1, 1],
                "idx": [0.0],
            }
            for n in range(FRAMES)
        ],
    ),
    "AlphaPose in OpenPose's form": (
        "OpenPose JSON",
        {
            f"{n}.jpg": {"version": 0.1, "people": [{"pose_keypoints_2d": flat(coco(n))}]}
            for n in range(FRAMES)
        },
    ),
    "AlphaPose in CMU-Pose's form": (
        "OpenPose JSON",
        {f"{n}.jpg": {"version": 0.1, "bodies": [{"joints": flat(coco(n))}]} for n in range(FRAMES)},
    ),
    "MMPose video": (
        "MMPose JSON",
        {
            "meta_info": META,
            "instance_info": [{"frame_id": n, "instances": [instance(coco(n))]} for n in range(FRAMES)],
        },
    ),
    "MMPose inferencer": (
        "MMPose JSON",
        [
            {"frame_id": n, "instances": [instance(coco(n), bbox=[[0, 0, 1, 1]], bbox_score=1.0)]}
            for n in range(FRAMES)
        ],
    ),
    "MMPose inferencer's return value": (
        "OpenPifPaf JSON",
        {"predictions": [[instance(coco(n))] for n in range(FRAMES)]},
    ),
    "MMPose 0.x": (
        "MMPose JSON",
        [
            [{"bbox": [0, 0, 9, 9, 1], "keypoints": coco(n).tolist(), "track_id": 0, "area": 3.0}]
            for n in range(FRAMES)
        ],
    ),
    "MMPose 0.x with frames": (
        "MMPose JSON",
        [
            {"frame_id": n, "pose_results": [{"bbox": [0, 0, 9, 9, 1], "keypoints": coco(n).tolist()}]}
            for n in range(FRAMES)
        ],
    ),
    "Ultralytics, a list a picture": ("Ultralytics JSON", [[ultralytics(coco(n))] for n in range(FRAMES)]),
    "Ultralytics, by frame": (
        "Ultralytics JSON",
        {str(n): [ultralytics(coco(n), track_id=3)] for n in range(FRAMES)},
    ),
    "TF.js, a list a picture": (
        "TF.js JSON",
        [[{"score": 0.9, "keypoints": named(coco(n))}] for n in range(FRAMES)],
    ),
    "PoseNet": (
        "TF.js JSON",
        [
            {
                "frame": n,
                "poses": [
                    {
                        "score": 0.9,
                        "keypoints": [
                            {"part": p["name"], "score": p["score"], "position": {"x": p["x"], "y": p["y"]}}
                            for p in named(coco(n))
                        ],
                    }
                ],
            }
            for n in range(FRAMES)
        ],
    ),
    "OpenPifPaf video": (
        "OpenPifPaf JSON",
        [
            {
                "frame": n,
                "predictions": [
                    {"keypoints": flat(coco(n)), "bbox": [0, 0, 9, 9], "score": 0.8, "category_id": 1}
                ],
            }
            for n in range(FRAMES)
        ],
    ),
    "joints with coordinates": (
        "TF.js JSON",
        {
            "fps": 25,
            "frames": [
                {
                    "frame": n,
                    "people": [
                        {
                            "person_id": 4,
                            "keypoints": [
                                {"name": p["name"], "coordinates": [p["x"], p["y"]], "confidence": p["score"]}
                                for p in named(coco(n))
                            ],
                        }
                    ],
                }
                for n in range(FRAMES)
            ],
        },
    ),
    "joints by name": (
        "TF.js JSON",
        [
            {
                "frame": n,
                "keypoints": {
                    p["name"].upper(): {"x": p["x"], "y": p["y"], "score": p["score"]} for p in named(coco(n))
                },
            }
            for n in range(FRAMES)
        ],
    ),
    "joints as entries of a frame": (
        "TF.js JSON",
        [
            {
                "frame": n,
                **{p["name"]: {"x": p["x"], "y": p["y"], "score": p["score"]} for p in named(coco(n))},
            }
            for n in range(FRAMES)
        ],
    ),
    "joints by name in rows": (
        "MMPose JSON",
        [
            {"frame": n, "keypoints": {p["name"]: [p["x"], p["y"], p["score"]] for p in named(coco(n))}}
            for n in range(FRAMES)
        ],
    ),
}


LANDMARKS: dict[str, Any] = {
    "points with numbers": [
        {"frame": n, "keypoints": [{"id": at, **p} for at, p in enumerate(shares(blaze(n)))]}
        for n in range(FRAMES)
    ],
    "points with numbers, a list a frame": [
        {"keypoints": [{"id": at, **p} for at, p in enumerate(shares(blaze(n)))]} for n in range(FRAMES)
    ],
    "points in another order": [
        {"frame": n, "keypoints": [{"id": at, **p} for at, p in enumerate(shares(blaze(n)))][::-1]}
        for n in range(FRAMES)
    ],
    "an object by number": [
        {"frame": n, "landmarks": {str(at): p for at, p in enumerate(shares(blaze(n)))}}
        for n in range(FRAMES)
    ],
    "an object by name": [
        {
            "landmarks": {
                name.upper(): p
                for name, p in zip(LAYOUTS["mediapipe33"].joint_names, shares(blaze(n)), strict=True)
            }
        }
        for n in range(FRAMES)
    ],
    "protocol buffers": [{"pose_landmarks": {"landmark": shares(blaze(n))}} for n in range(FRAMES)],
    "tasks": {"frames": [{"pose_landmarks": [shares(blaze(n))]} for n in range(FRAMES)]},
    "entries of a frame, by name": {
        f"frame_{n}": dict(
            zip(map(str.upper, LAYOUTS["mediapipe33"].joint_names), shares(blaze(n)), strict=True)
        )
        for n in range(FRAMES)
    },
    "frames by number": {str(n): shares(blaze(n)) for n in range(FRAMES)},
}
