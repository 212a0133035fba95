"""The native module. Programs use the package `fourbit`; this may change with any version."""

from typing import Callable, List, Optional, Sequence, Tuple, Union

_Source = Union[str, bytes]
_Samples = Union[str, "Spool", None]
_OnProgress = Optional[Callable[[str, int, Optional[int]], object]]
_OnNote = Callable[[str], object]
#: Of each output its name, dimensions, and values as bytes of float32.
_Outputs = List[Tuple[str, List[int], bytes]]

class Spool:
    """Samples on their way to Rust, in a temporary file."""

    def __init__(self, name: str) -> None: ...
    def __len__(self) -> int: ...
    def add(self, arrays: Sequence[Tuple[str, str, Sequence[int], bytes]], labels: Sequence[int]) -> None: ...

class Told:
    """A result: as JSON and in words."""

    @property
    def json(self) -> str: ...
    @property
    def model(self) -> Optional[bytes]: ...
    @property
    def plan(self) -> Optional[str]: ...
    def text(self, width: Optional[int], full: bool) -> str: ...

def version() -> str: ...
def main(line: List[str], command: List[str]) -> int: ...
def inputs(model: _Source) -> List[Tuple[str, str, Optional[List[Union[int, str, None]]], Optional[int]]]: ...
def quantize(
    model: _Source,
    options: str,
    samples: _Samples,
    validation: _Samples,
    in_memory: bool,
    on_progress: _OnProgress,
    on_note: _OnNote,
) -> Told: ...
def plan(
    model: _Source, options: str, samples: _Samples, validation: _Samples, on_progress: _OnProgress, on_note: _OnNote
) -> str: ...
def sensitivity(
    model: _Source,
    options: str,
    samples: _Samples,
    validation: _Samples,
    measure: Optional[int],
    layers: Optional[int],
    on_progress: _OnProgress,
    on_note: _OnNote,
) -> Told: ...
def validate(
    float_model: _Source,
    quantized_model: _Source,
    options: str,
    samples: _Samples,
    on_progress: _OnProgress,
    on_note: _OnNote,
    on_outputs: Optional[Callable[[int, List[int], _Outputs, _Outputs], object]],
) -> Told: ...
def apply(model: _Source, plan: str, options: str, on_progress: _OnProgress, on_note: _OnNote) -> Told: ...
def inspect(model: _Source) -> Told: ...
def check(model: _Source, target: str) -> Tuple[Told, bool]: ...
def targets() -> Tuple[str, str]: ...
