"""Packages of an extra, imported when they are first used."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any


class MissingExtra(ImportError):
    """A package of an extra is missing; the message is one sentence with the command that installs it."""


def require(module: str, extra: str, purpose: str) -> Any:
    """Import a module of an extra.

    Args:
        module: its name.
        extra: of this package, which brings it.
        purpose: what it is needed for, as the object of a sentence.

    Raises:
        MissingExtra: if it cannot be imported.
    """
    # MediaPipe's C++ side speaks on stderr about every model that it opens.
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingExtra(
            f"expected the package {package} for {purpose}, got none that can be imported ({error}); "
            f"pip install 'poseda[{extra}]' brings it"
        ) from error
