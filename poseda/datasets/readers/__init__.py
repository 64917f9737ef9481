"""Files people bring: 2D detections of a target and labelled poses of a source, told by their content.

The doors are :func:`poseda.datasets.read_detections` and :func:`poseda.datasets.read_source`.
"""
