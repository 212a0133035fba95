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


@foreign(MICROSOFT, "BiasGelu")
def bias_gelu(rng):
    for shape, kind in itertools.product(([3, 8], ROWS), ("normal", "large", "tiny")):
        yield Call([Layer(shape, kind), Const(normal(rng, 8))])


@foreign(MICROSOFT, "FastGelu")
def fast_gelu(rng):
    for shape, bias in itertools.product(([3, 8], ROWS), (False, True)):
        yield Call([Layer(shape), Const(normal(rng, 8)) if bias else None])


@foreign(MICROSOFT, "QuickGelu")
def quick_gelu(rng):
    for attributes in choices(alpha=[None, 1.0, 1.5, 0.5]):
        for kind in ("normal", "large"):
            yield Call([Layer(ROWS, kind)], attributes)


@foreign(MICROSOFT, "SkipLayerNormalization", "SkipSimplifiedLayerNormalization")
def skip_normalization(rng):
    for attributes in choices(epsilon=[None, 0.1], beta=[None, 1], bias=[None, 1], outputs=[1, [True, False, False, True]], whole=[None, 1]):
        beta, bias, whole = (attributes.pop(name, None) for name in ("beta", "bias", "whole"))
        outputs = attributes.pop("outputs")
        skip = Const(normal(rng, *ROWS)) if whole else Layer(ROWS)
        yield Simple(Call([Layer(ROWS), skip, Const(normal(rng, 8)), Const(normal(rng, 8)) if beta else None, Const(normal(rng, 8)) if bias else None], attributes, outputs))


class Simple(Call):
    """A call whose fourth input, a shift, the simplified form does not have."""

    def __init__(self, call):
        super().__init__(call.inputs, call.attributes, call.outputs, call.tail)

    def simplified(self):
        return Call([*self.inputs[:3], self.inputs[4]], self.attributes, self.outputs, self.tail)


@foreign("", "SimplifiedLayerNormalization")
def simplified(rng):
    for attributes in choices(axis=[None, -1, 1], epsilon=[None, 0.1], stash_type=[None, 1]):
        shape = ROWS[attributes.get("axis", -1) :]
        yield Call([Layer(ROWS), Const(normal(rng, *shape))], attributes)


def packed(rng, out, size, block, bits):
    blocks = -(-size // block)
    return rng.integers(0, 256, [out, blocks, block * bits // 8]).astype(np.uint8), blocks


@foreign(MICROSOFT, "MatMulNBits")
def nbits(rng):
    for attributes in choices(bits=[4, 8], block_size=[16, 32], zeros=[None, 1], bias=[None, 1], K=[32, 48, 20], accuracy_level=[None, 1]):
        zeros, bias = attributes.pop("zeros", None), attributes.pop("bias", None)
        out, size, bits = 6, attributes["K"], attributes["bits"]
        attributes["N"] = out
        weights, blocks = packed(rng, out, size, attributes["block_size"], bits)
        scales = rng.uniform(0.01, 0.05, [out * blocks]).astype(np.float32)
        points = Const(rng.integers(0, 256, [out * (-(-blocks * bits // 8))]).astype(np.uint8)) if zeros else None
        yield Call([Layer([2, 3, size]), Const(weights), Const(scales), points, None, Const(normal(rng, out)) if bias else None], attributes)


@foreign(MICROSOFT, "GatherBlockQuantized")
def gather_quantized(rng):
    for attributes in choices(block_size=[16, 32], gather_axis=[None, 0], quantize_axis=[1], bits=[4, 8], zeros=[None, 1]):
        zeros, bits, block = attributes.pop("zeros", None), attributes["bits"], attributes["block_size"]
        blocks = 64 // block
        data = rng.integers(0, 256, [9, 64 * bits // 8]).astype(np.uint8)
        scales = rng.uniform(0.01, 0.05, [9, blocks]).astype(np.float32)
        points = Const(rng.integers(0, 256, [9, -(-blocks * bits // 8)]).astype(np.uint8)) if zeros else None
        yield Call([Const(data), Fed(ints(3, 0, 8)), Const(scales), points], attributes)


@foreign(MICROSOFT, "MultiHeadAttention")
def multi_head(rng):
    for attributes in choices(num_heads=[2], scale=[None, 0.3], mask_filter_value=[None, -1000.0], unidirectional=[None, 1], bias=[None, 1], mask=[None, "keys", "bias"], longer=[None, 1]):
        bias, mask, longer = (attributes.pop(name, None) for name in ("bias", "mask", "longer"))
        keys = 7 if longer else 5
        operands = [Layer(ROWS), Layer([2, keys, 8]), Layer([2, keys, 8]), Const(normal(rng, 24)) if bias else None]
        operands.append(Const(np.array([keys, 3], np.int32)) if mask == "keys" else None)
        operands.append(Const(normal(rng, 1, 2, 5, keys)) if mask == "bias" else None)
        yield Call(operands, attributes)


@foreign(MICROSOFT, "GroupQueryAttention")
def grouped(rng):
    for attributes in choices(num_heads=[4], kv_num_heads=[2, 4], scale=[None, 0.3], softcap=[None, 5.0], local_window_size=[None, 2], do_rotary=[None, 1], rotary_interleaved=[None, 1], past=[0, 3]):
        past, few = attributes.pop("past"), attributes["kv_num_heads"]
        deep, steps = 8, 1 if past else 4
        old = [Fed(normal(rng, 2, few, past, deep)) for _ in range(2)] if past else [Fed(np.zeros([2, few, 0, deep], np.float32)) for _ in range(2)]
        total = past + steps
        lengths = [Const(np.full(2, total - 1, np.int32)), Const(np.array(total, np.int32))]
        caches = [Const(normal(rng, 16, deep // 2)) for _ in range(2)] if attributes.get("do_rotary") else []
        operands = [Layer([2, steps, 4 * deep]), Layer([2, steps, few * deep]), Layer([2, steps, few * deep]), *old, *lengths, *caches]
        yield Call(operands, attributes, 3, tail=False)


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
    for call in FOREIGN[domain, operator](rng):
        if isinstance(call, Simple) and "Simplified" in operator:
            call = call.simplified()
        yield call
