"""The experiments behind the README's tables: queues of ordinary runs that can be stopped and continued.

``domains`` makes and keeps the benchmarks. ``queue`` performs jobs. ``arms``, ``lifters``, ``ablations``,
``baseline`` and ``stability`` list the jobs. ``tables`` computes numbers to cite from results.
"""
