"""Models as a caller has them."""

from __future__ import annotations

import os
from typing import Union

from ._errors import ModelError
from ._types import Model


def source(model: Model) -> Union[str, bytes]:
    """A path, or the bytes of an ONNX file."""
    if isinstance(model, (bytes, bytearray, memoryview)):
        return bytes(model)
    if isinstance(model, (str, os.PathLike)):
        return os.fspath(model)
    serialize = getattr(model, "SerializeToString", None)
    if serialize is None:
        raise TypeError(f"a model is a path, bytes or an onnx.ModelProto, not {type(model).__name__}")
    try:
        found: bytes = serialize()
    except Exception as error:
        # protobuf has its own errors for messages over 2 GB, which differ from version to version.
        problem = f"the model cannot be serialized: {error}; save a model of 2 GB or more to a file, and give its path"
        raise ModelError(problem) from error
    return found
