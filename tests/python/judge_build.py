"""Builds the small models that the judge is tried on: one operator behind a layer, as it stands in a network.

An operand of the operator is the output of a layer (`Layer`), a constant (`Const`), an input of the model (`Fed`), or left out (None).
A layer is a Conv where it gives four dimensions or five, or three at random, and a MatMul otherwise. Its data are made so that
the output has the wanted range: see `KINDS`.
"""

import dataclasses
import zlib

import ml_dtypes
import numpy as np
import onnx
from onnx import helper, numpy_helper

DEPTH = 4  # channels in front of a layer; the first is 1 for all kinds but normal ones, which makes its weights a bias
FACTOR = {"huge": 1e4, "large": 40.0, "tiny": 1e-4}
# Integral values come without rounding out of any runtime, and others lie between integers.
EXACT = {"whole", "count", "between"}


@dataclasses.dataclass
class Layer:
    """The output of a layer, of a shape, a kind of values, and a type to cast to."""

    shape: list
    kind: str = "normal"
    dtype: type = np.float32


@dataclasses.dataclass
class Const:
    """An initializer."""

    value: np.ndarray


@dataclasses.dataclass
class Fed:
    """An input of the model that no layer is in front of."""

    value: np.ndarray


@dataclasses.dataclass
class Call:
    """One node to try: operands, attributes, number of outputs (or which of them are there), and whether more may stand behind it."""

    inputs: list
    attributes: dict = dataclasses.field(default_factory=dict)
    outputs: int | list = 1
    tail: bool = True


def seeded(name):
    """A generator of random numbers that belongs to a name."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def onnx_type(dtype):
    """The number of a NumPy type in ONNX."""
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


class Graph:
    """A model that grows node by node."""

    def __init__(self, opset, rng, domains=()):
        self.opset, self.rng, self.domains = opset, rng, dict(domains)
        self.nodes, self.constants, self.feeds, self.moved = [], [], {}, []
        self.count = 0

    def name(self, start="v"):
        self.count += 1
        return f"{start}{self.count}"

    def constant(self, value):
        name = self.name("c")
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def fed(self, value, moves=False):
        """A new input; one that moves is changed a little to see what such changes do."""
        name = self.name("x")
        self.feeds[name] = np.asarray(value)
        if moves:
            self.moved.append(name)
        return name

    def node(self, operator, inputs, outputs=1, domain="", **attributes):
        """Adds a node, and gives the names of its outputs, or the one name."""
        there = outputs if isinstance(outputs, list) else [True] * outputs
        names = [self.name() if given else "" for given in there]
        inputs = list(inputs)
        while inputs and not inputs[-1]:
            inputs.pop()
        given = {key: value for key, value in attributes.items() if value is not None}
        node = helper.make_node(operator, [name or "" for name in inputs], names, domain=domain)
        node.attribute.extend(attribute(key, value) for key, value in given.items())
        self.nodes.append(node)
        return names[0] if len(names) == 1 else names

    def cast(self, name, dtype):
        to = onnx_type(dtype)
        return self.node("Cast", [name], to=onnx.TensorProto.DataType.Name(to) if self.opset < 6 else int(to))

    def layer(self, layer):
        """The layer's output, cast to its type."""
        dtype, kind = np.dtype(layer.dtype), layer.kind
        if dtype.kind in "ib" and kind not in EXACT:
            kind = "whole"
        if dtype.kind == "u":
            kind = "count"
        name = self.product(list(layer.shape), kind)
        return name if dtype == np.float32 else self.cast(name, dtype)

    def product(self, shape, kind):
        """A Conv or MatMul whose output has this shape."""
        rank = len(shape)
        if rank < 2:
            whole = self.product([1, int(np.prod(shape))], kind)
            if self.opset < 5:
                return self.node("Reshape", [whole], shape=shape)
            return self.node("Reshape", [whole, self.constant(np.array(shape, np.int64))])
        if rank in (4, 5) or (rank == 3 and self.rng.random() < 0.5):
            return self.convolution(shape, kind)
        data, weights = values(self.rng, [*shape[:-1], DEPTH], rank - 1, shape[-1], kind)
        return self.node("MatMul", [self.fed(data, kind not in EXACT), self.constant(weights)])

    def convolution(self, shape, kind):
        """A Conv with windows where that cannot hurt: where its values are of no special kind."""
        spatial, plain = shape[2:], kind in FACTOR or kind == "normal"
        size, strides, pads = [1] * len(spatial), [1] * len(spatial), [0] * 2 * len(spatial)
        if plain and 0 not in shape:
            size = [int(self.rng.choice([1, 3, 2])) for _ in spatial]
            strides = [int(self.rng.choice([1, 1, 2])) for _ in spatial]
            pads = [int(self.rng.integers(0, kernel)) for kernel in size * 2]
            around = [before + after for before, after in zip(pads[: len(spatial)], pads[len(spatial) :], strict=True)]
            sizes = zip(spatial, strides, size, around, strict=True)
            spatial = [max(1, (out - 1) * stride + kernel - pad) for out, stride, kernel, pad in sizes]
            pads = [0] * len(pads) if 1 in spatial else pads
            if 1 in spatial:
                size, strides, spatial = [1] * len(size), [1] * len(size), shape[2:]
        data, weights = values(self.rng, [shape[0], DEPTH, *spatial], 1, shape[1], kind)
        kernel = np.repeat(weights.T, int(np.prod(size)), axis=1).reshape([shape[1], DEPTH, *size])
        if plain:
            kernel = (kernel * self.rng.standard_normal(kernel.shape) / np.prod(size) ** 0.5).astype(np.float32)
        inputs = [self.fed(data, kind not in EXACT), self.constant(kernel)]
        if plain and self.rng.random() < 0.5:
            bias = self.rng.standard_normal(shape[1]) * FACTOR.get(kind, 1.0)
            inputs.append(self.constant(bias.astype(np.float32)))
        return self.node("Conv", inputs, kernel_shape=size, strides=strides, pads=pads)

    def operand(self, operand):
        match operand:
            case None:
                return ""
            case str():
                return operand
            case Layer():
                return self.layer(operand)
            case Const():
                return self.constant(operand.value)
            case Fed():
                return self.fed(operand.value)

    def model(self, outputs, types=None):
        """The model with these outputs; `types` are values of theirs, from which their declarations are made."""
        inputs = [helper.make_tensor_value_info(name, onnx_type(value.dtype), value.shape) for name, value in self.feeds.items()]
        made = [onnx.ValueInfoProto(name=name) for name in outputs]
        if types is not None:
            made = [declared(name, value) for name, value in zip(outputs, types, strict=True)]
        graph = helper.make_graph(self.nodes, "graph", inputs, made, self.constants)
        imports = [helper.make_opsetid("", self.opset)] + [helper.make_opsetid(*entry) for entry in self.domains.items()]
        return helper.make_model(graph, opset_imports=imports, ir_version=ir_version(self.opset))


def ir_version(opset):
    return 8 if opset < 19 else 10 if opset < 23 else 11 if opset < 24 else 12 if opset < 26 else 13


def declared(name, value):
    if not isinstance(value, np.ndarray) or value.dtype.kind == "O":
        return onnx.ValueInfoProto(name=name)
    return helper.make_tensor_value_info(name, onnx_type(value.dtype), value.shape)


def attribute(key, value):
    if isinstance(value, np.ndarray):
        value = numpy_helper.from_array(value)
    if isinstance(value, list) and not value:
        return onnx.AttributeProto(name=key, type=onnx.AttributeProto.INTS)
    return helper.make_attribute(key, value)


def values(rng, front, axis, out, kind):
    """Data of a shape and weights to multiply along an axis, [axis, out], for one kind of product."""
    depth = front[axis]
    first = [slice(None)] * len(front)
    first[axis] = 0
    first = tuple(first)
    normal = rng.standard_normal(front).astype(np.float32)
    weights = rng.standard_normal([depth, out]).astype(np.float32)
    match kind:
        case "normal" | "huge" | "large" | "tiny":
            return normal * np.float32(FACTOR.get(kind, 1.0)), weights / np.float32(depth**0.5)
        case "positive" | "above":
            data, weights = np.abs(normal) + np.float32(0.1), np.abs(weights) / depth + np.float32(0.05)
        case "unit":
            return np.clip(normal / 2, -1, 1), weights / np.abs(weights).sum(0) * np.float32(0.95)
        case "whole" | "between":
            data, weights = np.round(normal), np.round(weights)
        case "count":
            data, weights = np.round(np.abs(normal)), np.round(np.abs(weights))
        case _:
            raise ValueError(kind)
    if kind in ("above", "between"):
        data[first] = 1
        weights[0] = {"above": 1.0, "between": 0.25}[kind]
    return data, weights


BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
