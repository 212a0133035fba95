"""Recipes of operators outside the standard domain that the runtime knows; onnxruntime is the one voice of most.

Each takes a generator of random numbers and yields calls, all attributes spelled out, since the onnx package has no schemas of them.
"""

import itertools

import numpy as np

from judge_build import Call, Const, Fed, Layer
from judge_recipes import ints, normal

MICROSOFT, ML = "com.microsoft", "ai.onnx.ml"
FOREIGN = {}
ROWS = [2, 5, 8]


def foreign(domain, *operators):
    def register(function):
        for operator in operators:
            FOREIGN[domain, operator] = function
        return function

    return register


def choices(**values):
    """Every combination, as dictionaries without what is None."""
    for picked in itertools.product(*values.values()):
        yield {name: value for name, value in zip(values, picked, strict=True) if value is not None}


def packed(rng, out, size, block, bits):
    blocks = -(-size // block)
    return rng.integers(0, 256, [out, blocks, block * bits // 8]).astype(np.uint8), blocks


@foreign(MICROSOFT, "GatherBlockQuantized")
def gather_quantized(rng):
    for attributes in choices(block_size=[16, 32], gather_axis=[None, 0], quantize_axis=[1], bits=[4, 8], zeros=[None, 1]):
        zeros, bits, block = attributes.pop("zeros", None), attributes["bits"], attributes["block_size"]
        blocks = 64 // block
        data = rng.integers(0, 256, [9, 64 * bits // 8]).astype(np.uint8)
        scales = rng.uniform(0.01, 0.05, [9, blocks]).astype(np.float32)
        points = Const(rng.integers(0, 256, [9, -(-blocks * bits // 8)]).astype(np.uint8)) if zeros else None
        yield Call([Const(data), Fed(ints(3, 0, 8)), Const(scales), points], attributes)


@foreign(ML, "ArrayFeatureExtractor")
def features(rng):
    for shape, at in (([3, 5], [0, 2, 4]), ([2, 3, 5], [1]), ([1, 7], [6, 0])):
        yield Call([Layer(shape), Const(ints(*at))])


@foreign(ML, "Normalizer")
def normalizer(rng):
    for attributes in choices(norm=["MAX", "L1", "L2", None]):
        for kind in ("normal", "huge", "positive"):
            yield Call([Layer([3, 5], kind)], attributes)


@foreign(ML, "LinearRegressor")
def regressor(rng):
    for attributes in choices(targets=[None, 3], post_transform=[None, "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT", "NONE"]):
        count = attributes.get("targets", 1)
        if count == 1:
            # onnxruntime leaves it out, which the standard does not.
            attributes.pop("post_transform", None)
        attributes |= {"coefficients": normal(rng, count * 5).tolist(), "intercepts": normal(rng, count).tolist()}
        yield Call([Layer([3, 5])], attributes)


@foreign(ML, "LinearClassifier")
def classifier(rng):
    for attributes in choices(count=[2, 3], multi_class=[None, 1], post_transform=[None, "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "NONE"]):
        count = attributes.pop("count")
        attributes |= {"classlabels_ints": list(range(5, 5 + count)), "coefficients": normal(rng, count * 5).tolist(), "intercepts": normal(rng, count).tolist()}
        yield Call([Layer([3, 5])], attributes, 2)


def forest(rng, mode):
    """Two trees of depth two: attributes of their nodes."""
    trees, nodes = [0] * 7 + [1] * 7, [*range(7)] * 2
    inner = [True, True, True, False, False, False, False] * 2
    return {
        "nodes_treeids": trees, "nodes_nodeids": nodes, "nodes_featureids": [int(rng.integers(5)) if branch else 0 for branch in inner],
        "nodes_values": [float(rng.standard_normal()) if branch else 0.0 for branch in inner], "nodes_modes": [mode if branch else "LEAF" for branch in inner],
        "nodes_truenodeids": [1, 3, 5, 0, 0, 0, 0] * 2, "nodes_falsenodeids": [2, 4, 6, 0, 0, 0, 0] * 2,
    }  # fmt: skip


MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


@foreign(ML, "TreeEnsembleRegressor")
def tree_regressor(rng):
    for attributes in choices(mode=MODES, aggregate_function=[None, "SUM", "AVERAGE", "MIN", "MAX"], base=[None, 0.5], post_transform=[None, "LOGISTIC"]):
        mode, base = attributes.pop("mode"), attributes.pop("base", None)
        attributes |= forest(rng, mode) | {"n_targets": 1, "target_treeids": [0] * 4 + [1] * 4, "target_nodeids": [3, 4, 5, 6] * 2, "target_ids": [0] * 8}
        attributes |= {"target_weights": normal(rng, 8).tolist()} | ({} if base is None else {"base_values": [base]})
        yield Call([Layer([6, 5])], attributes)


@foreign(ML, "TreeEnsembleClassifier")
def tree_classifier(rng):
    for attributes in choices(mode=MODES, count=[2, 3], post_transform=[None, "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"], base=[None, 1]):
        mode, count, base = attributes.pop("mode"), attributes.pop("count"), attributes.pop("base", None)
        attributes |= forest(rng, mode) | {"class_treeids": [0] * 4 + [1] * 4, "class_nodeids": [3, 4, 5, 6] * 2, "class_ids": [at % count for at in range(8)]}
        attributes |= {"class_weights": np.abs(normal(rng, 8)).tolist(), "classlabels_int64s": list(range(count))}
        attributes |= {"base_values": normal(rng, count).tolist()} if base else {}
        yield Call([Layer([6, 5])], attributes, 2)


def calls(domain, operator, rng):
    """The calls of one operator."""
    yield from FOREIGN[domain, operator](rng)
