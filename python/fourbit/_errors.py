"""What can go wrong, one class for each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from ._words import spelled

if TYPE_CHECKING:
    from ._results import Result


class Error(Exception):
    """A failure of fourbit. The message names the file, node or value concerned, and says what to do."""

    #: What the failure is about, as a word: "file", "model", "samples", "options", "plan", "remote", "runtime",
    #: "nothing_quantized", "cancelled", "self_check" or "limit".
    kind: str = "error"
    #: The file that the failure is about, if there is one.
    file: Optional[str] = None
    #: The node that the failure is about, if there is one: its name, or that of its first output.
    node: Optional[str] = None


class FileError(Error):
    """A file cannot be read or written, exists already, or would be lost."""

    kind = "file"


class ModelError(Error):
    """The model is not an ONNX model, breaks a rule of the format, or has an operator with no way to the opset wanted."""

    kind = "model"


class SamplesError(Error):
    """Samples cannot be read, or do not fit the model."""

    kind = "samples"


class OptionsError(Error, ValueError):
    """Arguments contradict one another or the model."""

    kind = "options"


class PlanError(Error):
    """A plan is damaged, or does not fit the model."""

    kind = "plan"


class RemoteError(Error):
    """A place beyond a network failed."""

    kind = "remote"


class RunError(Error):
    """A runtime cannot load or run the model, and what was asked for needs that."""

    kind = "runtime"


class NothingQuantizedError(Error):
    """Nothing in the model would be quantized, so nothing was written."""

    kind = "nothing_quantized"


class CancelledError(Error):
    """The work was stopped. Nothing was written."""

    kind = "cancelled"


class SelfCheckError(Error):
    """A fault of fourbit itself: the written file does not say what was planned. Nothing was written."""

    kind = "self_check"


class LimitError(Error):
    """No plan meets the limits. The best that was found is in `result`; a file of it was written where one was asked for."""

    kind = "limit"
    #: The conversion; None if the error comes from a comparison.
    result: Optional[Result] = None


_BY_KIND = {
    one.kind: one
    for one in (
        FileError,
        ModelError,
        SamplesError,
        OptionsError,
        PlanError,
        RemoteError,
        RunError,
        NothingQuantizedError,
        CancelledError,
        SelfCheckError,
    )
}


def made(kind: str, message: str, file: Optional[str], node: Optional[str]) -> Error:
    """The error for a failure of the library; called by the native module."""
    error = _BY_KIND.get(kind, Error)(spelled(message))
    error.file = file
    error.node = node
    return error
