"""A transformer encoder written as functions in onnxscript: `benches/exports_made.py` writes it as a model.

The functions stay functions in the file. Weights are random, spread as such networks start.
"""

import numpy as np
import onnx.numpy_helper
from onnxscript import FLOAT, INT64, script
from onnxscript import opset21 as op
from onnxscript.values import Opset

GENERATOR, WIDTH = np.random.default_rng(0), 96
OWN = Opset("exports.encoder", 1)


def weight(*shape):
    values = GENERATOR.normal(size=shape) * shape[0] ** -0.5
    return onnx.numpy_helper.from_array(values.astype(np.float32))


def vector(count, middle=0.0):
    values = middle + 0.1 * GENERATOR.normal(size=count)
    return onnx.numpy_helper.from_array(values.astype(np.float32))


TABLE, PLACES, HEAD = weight(500, WIDTH), weight(64, WIDTH), weight(WIDTH, 12)
QKV_1, QKV_2, OUT_1, OUT_2 = weight(WIDTH, 3 * WIDTH), weight(WIDTH, 3 * WIDTH), weight(WIDTH, WIDTH), weight(WIDTH, WIDTH)
WIDE_1, WIDE_2, NARROW_1, NARROW_2 = (weight(*shape) for shape in [(WIDTH, 4 * WIDTH)] * 2 + [(4 * WIDTH, WIDTH)] * 2)
BIAS_1, BIAS_2, GAIN, SHIFT = vector(4 * WIDTH), vector(4 * WIDTH), vector(WIDTH, 1.0), vector(WIDTH)


@script(OWN, default_opset=op)
def attention(x, qkv, out):
    apart = op.Constant(value_ints=[0, 0, 4, 24])
    q, k, v = op.Split(op.MatMul(x, qkv), num_outputs=3, axis=-1)
    q = op.Transpose(op.Reshape(q, apart), perm=[0, 2, 1, 3])
    k = op.Transpose(op.Reshape(k, apart), perm=[0, 2, 3, 1])
    v = op.Transpose(op.Reshape(v, apart), perm=[0, 2, 1, 3])
    shares = op.Softmax(op.Mul(op.MatMul(q, k), op.Constant(value_float=0.204)), axis=-1)
    joined = op.Transpose(op.MatMul(shares, v), perm=[0, 2, 1, 3])
    return op.MatMul(op.Reshape(joined, op.Constant(value_ints=[0, 0, 96])), out)


@script(OWN, default_opset=op)
def block(x, qkv, out, wide, bias, narrow, gain, shift):
    y = op.Add(x, attention(op.LayerNormalization(x, gain, shift), qkv, out))
    inner = op.Gelu(op.Add(op.MatMul(op.LayerNormalization(y, gain, shift), wide), bias))
    return op.Add(y, op.MatMul(inner, narrow))


@script(default_opset=op)
def encoder(ids: INT64["batch", "length"]) -> FLOAT["batch", 12]:
    zero, one = op.Constant(value_ints=[0]), op.Constant(value_ints=[1])
    places = op.Slice(op.Constant(value=PLACES), zero, op.Shape(ids, start=1, end=2), zero)
    gain, shift = op.Constant(value=GAIN), op.Constant(value=SHIFT)
    x = op.LayerNormalization(op.Add(op.Gather(op.Constant(value=TABLE), ids), places), gain, shift)
    wide_1, bias_1, narrow_1 = op.Constant(value=WIDE_1), op.Constant(value=BIAS_1), op.Constant(value=NARROW_1)
    x = block(x, op.Constant(value=QKV_1), op.Constant(value=OUT_1), wide_1, bias_1, narrow_1, gain, shift)
    wide_2, bias_2, narrow_2 = op.Constant(value=WIDE_2), op.Constant(value=BIAS_2), op.Constant(value=NARROW_2)
    x = block(x, op.Constant(value=QKV_2), op.Constant(value=OUT_2), wide_2, bias_2, narrow_2, gain, shift)
    return op.LogSoftmax(op.MatMul(op.ReduceMean(x, one, keepdims=0), op.Constant(value=HEAD)), axis=-1)
