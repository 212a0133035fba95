"""The test cases of the onnx package, with the outputs that come with them."""

import numpy as np
import onnx

import judge_verdict as verdict
from judge_oracles import operators
from node_models import RANDOM, collect, frozen, plain


def write(shelf, at, shares):
    """One share of all cases, each a second time with all inputs but the first as initializers."""
    for position, (name, model, (inputs, outputs), rtol, _) in enumerate(collect()):
        if position % shares != at:
            continue
        inputs, outputs = list(map(plain, inputs)), list(map(plain, outputs))
        if any(node.op_type in RANDOM for node in operators(model.graph)):
            outputs = [None for _ in outputs]
        for title, variant, given in ((name, model, inputs), (f"{name}-frozen", frozen(model, inputs), inputs[:1])):
            if variant is None:
                continue
            initialized = {tensor.name for tensor in variant.graph.initializer}
            names = [value.name for value in variant.graph.input if value.name not in initialized]
            feeds = dict(zip(names, given, strict=False))
            allowed = max(rtol, verdict.APPROXIMATE)
            node = max(operators(model.graph), key=lambda node: len(node.attribute), default=onnx.NodeProto(op_type="none"))
            about = {"operator": node.op_type, "version": 0, "attributes": [], "call": ""}
            values = [value if isinstance(value, (np.ndarray, list, type(None))) else np.asarray(value) for value in outputs]
            shelf.keep(title, variant, feeds, values, allowed=allowed, about=about, source="expected outputs")
