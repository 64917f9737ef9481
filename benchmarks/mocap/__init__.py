"""The experiments behind the README's tables: queues of ordinary runs that go on where they were stopped.

``domains`` builds and keeps the benchmarks, ``queue`` works jobs off; ``mocap``, ``lifters``, ``ablations``,
``baseline`` and ``stability`` say which jobs there are; ``tables`` turns results into numbers to cite.
"""
