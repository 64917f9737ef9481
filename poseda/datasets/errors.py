"""The refusal of data. It stands alone, so that readers load no torch."""

from __future__ import annotations


class DataError(ValueError):
    """Data that cannot be used. The message is one sentence: file, field, expected, found."""
