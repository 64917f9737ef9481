"""The experiments behind the README's tables: queues of ordinary runs that go on where they were stopped.

``domains`` builds and keeps the benchmarks, ``queue`` works jobs off, ``mocap`` says which jobs there are,
``tables`` turns their results into numbers to cite.
"""
