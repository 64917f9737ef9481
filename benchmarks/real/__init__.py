"""The arm wide on real detections with 3D of the same frames: ``python -m benchmarks.real``."""
