"""Gives the input of one layer an outlier channel: outlier.py FROM TO WEIGHT. The network computes the same as before, since what
the channel gains by the normalisation in front of it the weights take away; its activation is hard to quantize then."""

import sys

import onnx
from onnx import numpy_helper

TIMES = 300.0
CHANNEL = 3

source, target, name = sys.argv[1:]
model = onnx.load(source)
tensors = {tensor.name: tensor for tensor in model.graph.initializer}
makers = {output: node for node in model.graph.node for output in node.output}


def change(tensor, apply):
    values = numpy_helper.to_array(tensor).copy()
    apply(values)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


reader = next(node for node in model.graph.node if name in node.input)
node = makers[reader.input[0]]
assert node.op_type == "Relu", node.op_type
node = makers[node.input[0]]
assert node.op_type == "BatchNormalization", node.op_type


def scale(values):
    values[CHANNEL] *= TIMES


def shrink(values):
    values[:, CHANNEL] /= TIMES


for parameter in node.input[1:3]:
    change(tensors[parameter], scale)
change(tensors[name], shrink)
onnx.save(model, target)
