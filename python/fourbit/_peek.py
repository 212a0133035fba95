"""Reads the little of an ONNX file that the bridges to other packages need: metadata, and names and operators of nodes.

It steps over everything else, so that a file of any size costs little. It needs no other package.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO, Dict, Iterator, NamedTuple, Tuple, Union

from ._errors import ModelError
from ._models import source
from ._types import Model

# Fields of ModelProto, GraphProto, NodeProto, TensorProto and StringStringEntryProto.
_GRAPH, _METADATA = 7, 14
_NODE, _INITIALIZER = 1, 5
_NODE_OUTPUT, _NODE_NAME, _NODE_OPERATOR = 2, 3, 4
_TENSOR_TYPE = 2
_KEY, _VALUE = 1, 2

_BYTES = 2
_WIDTHS = {1: 8, 5: 4}


class Node(NamedTuple):
    """A node of the main graph: its name, or that of its first output, and its operator."""

    name: str
    operator: str


class _Damaged(Exception):
    pass


def metadata(model: Model) -> Dict[str, str]:
    """`metadata_props` of the model."""
    found: Dict[str, str] = {}
    with _opened(model) as file:
        for field, at, size in _fields(file, 0, _size(file)):
            if field == _METADATA:
                pair = dict(_texts(file, at, size))
                found[pair.get(_KEY, "")] = pair.get(_VALUE, "")
    return found


def nodes(model: Model) -> Iterator[Node]:
    """The nodes of the main graph."""
    with _opened(model) as file:
        for at, size in _graph_fields(file, _NODE):
            name = output = operator = ""
            for part, text in _texts(file, at, size):
                if part == _NODE_NAME:
                    name = text
                elif part == _NODE_OPERATOR:
                    operator = text
                elif part == _NODE_OUTPUT:
                    output = output or text
            yield Node(name or output, operator)


def weight_types(model: Model) -> Dict[int, int]:
    """How many initializers of the main graph have each element type, by the numbers of TensorProto."""
    found: Dict[int, int] = {}
    with _opened(model) as file:
        for at, size in _graph_fields(file, _INITIALIZER):
            for part, value, _ in _fields(file, at, size, numbers=True):
                if part == _TENSOR_TYPE:
                    found[value] = found.get(value, 0) + 1
    return found


def _graph_fields(file: BinaryIO, wanted: int) -> Iterator[Tuple[int, int]]:
    """Place and length of each field `wanted` of the graph."""
    for field, at, size in _fields(file, 0, _size(file)):
        if field == _GRAPH:
            yield from ((start, length) for part, start, length in _fields(file, at, size) if part == wanted)


class _Opened:
    """A model as a file; what is damaged in it becomes an error of fourbit."""

    def __init__(self, model: Model) -> None:
        found: Union[str, bytes] = source(model)
        self.name = "the model" if isinstance(found, bytes) else found
        self.file: BinaryIO = io.BytesIO(found) if isinstance(found, bytes) else open(found, "rb")

    def __enter__(self) -> BinaryIO:
        return self.file

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.file.close()
        if isinstance(error, (_Damaged, UnicodeDecodeError)):
            raise ModelError(f"{self.name} is no ONNX model, or damaged")


def _opened(model: Model) -> _Opened:
    return _Opened(model)


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _number(file: BinaryIO) -> int:
    """A number of variable length."""
    value = shift = 0
    while True:
        byte = file.read(1)
        if not byte or shift > 63:
            raise _Damaged
        value |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return value


def _fields(file: BinaryIO, at: int, size: int, numbers: bool = False) -> Iterator[Tuple[int, int, int]]:
    """The fields of a message: number, place and length; with `numbers` those that are numbers: number and value."""
    end = at + size
    while at < end:
        file.seek(at)
        tag = _number(file)
        kind = tag & 7
        if kind == 0:
            value = _number(file)
            at = file.tell()
            if numbers:
                yield tag >> 3, value, 0
            continue
        length = _number(file) if kind == _BYTES else _WIDTHS.get(kind, -1)
        at = file.tell()
        if length < 0 or at + length > end:
            raise _Damaged
        if kind == _BYTES and not numbers:
            yield tag >> 3, at, length
        at += length


def _texts(file: BinaryIO, at: int, size: int) -> Iterator[Tuple[int, str]]:
    """The fields of a message that are bytes, as texts; those that are long or no text are left out."""
    for field, start, length in _fields(file, at, size):
        if field <= _NODE_OPERATOR:
            file.seek(start)
            yield field, file.read(length).decode()
