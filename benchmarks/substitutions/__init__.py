"""What the wide arms' errors come from: ``python -m benchmarks.substitutions``.

Labels take the place of one thing that a lift had to find, or of all of them, and the error is measured
again. ``truths`` says what is put in after lifting, ``clips`` and ``pairs`` what before it. ``program`` keeps
the record, ``tables`` shows it.
"""
