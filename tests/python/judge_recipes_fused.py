"""Recipes of attention, of what newer opsets brought for it, and of what onnxruntime's optimizer and model builder write.

Each takes a generator of random numbers and yields calls, in more combinations than `judge_operators` tries of any operator. `FUSED` has
them by domain, operator and opset.
"""

import itertools
import math

import numpy as np

from judge_build import Call, Const, Fed, Layer
from judge_recipes import ints, normal
from judge_recipes_foreign import MICROSOFT, ROWS, choices, packed

FUSED = {}
OPSET = 21
# Models of each operator, and combinations drawn for them, some of which have no meaning.
MANY, DRAWN = 80, 400


def fused(operator, *opsets, domain=MICROSOFT):
    def register(function):
        for opset in opsets or [OPSET]:
            FUSED[domain, operator, opset] = function
        return function

    return register


def some(rng, **values):
    """Combinations as `choices` gives them: all in any order, or so many at random."""
    if math.prod(map(len, values.values())) <= DRAWN:
        found = list(choices(**values))
        rng.shuffle(found)
        yield from found
        return
    for _ in range(DRAWN):
        picked = {name: listed[rng.integers(len(listed))] for name, listed in values.items()}
        yield {name: value for name, value in picked.items() if value is not None}


def pop(attributes, *names):
    return [attributes.pop(name, None) for name in names]


def mask_of(rng, kind, shapes):
    """A mask of a kind, whose first key is seen by all."""
    if kind is None:
        return None
    what, shape = kind.split("-")
    shape = shapes[shape]
    if what == "float":
        return Const(normal(rng, *shape))
    mask = rng.integers(0, 2, shape).astype(bool)
    mask[..., 0] = True
    return Const(mask)


@fused("Attention", 23, 24, domain="")
def attention(rng):
    masks = [None, "bool-two", "float-two", "float-three", "bool-four", "float-heads", "float-batch"]
    for attributes in some(
        rng, rank=[4, 3], groups=[1, 2, 3], mask=masks, past=[None, 3, 0], is_causal=[None, 1], scale=[None, 0.3], softcap=[None, 2.0],
        mode=[None, 0, 1, 2, 3], wide=[None, 1],
    ):  # fmt: skip
        rank, groups, mask, past, mode, wide = pop(attributes, "rank", "groups", "mask", "past", "mode", "wide")
        few, many, length, new, deep = 2, 2 * groups, 3, 4, 6
        broad = 5 if wide else deep
        keys = new + (past or 0)
        shapes = {"two": [length, keys], "three": [many, length, keys], "four": [2, many, length, keys], "heads": [1, many, length, keys], "batch": [2, 1, length, keys]}
        if rank == 3:
            attributes |= {"q_num_heads": many, "kv_num_heads": few}
            operands = [Layer([2, length, many * deep]), Layer([2, new, few * deep]), Layer([2, new, few * broad])]
        else:
            operands = [Layer([2, many, length, deep]), Layer([2, few, new, deep]), Layer([2, few, new, broad])]
        operands.append(mask_of(rng, mask, shapes))
        if past is not None:
            operands += [Fed(normal(rng, 2, few, past, deep)), Fed(normal(rng, 2, few, past, broad))]
        outputs = 3 if past is not None else 1
        if mode is not None:
            attributes["qk_matmul_output_mode"] = mode
            outputs = 4 if past is not None else [True, False, False, True]
        yield Call(operands, attributes, outputs, tail=False)


@fused("Attention", 24, domain="")
def attention_lengths(rng):
    """A cache of fixed length, of which each sample has filled a part."""
    for attributes in some(rng, rank=[4, 3], groups=[1, 2], mask=[None, "bool-two", "float-four"], is_causal=[None, 1], softcap=[None, 2.0], mode=[None, 0, 3], filled=[[7, 5], [7, 7], [4, 6]]):
        rank, groups, mask, mode, filled = pop(attributes, "rank", "groups", "mask", "mode", "filled")
        few, many, length, keys, deep = 2, 2 * groups, 3, 7, 6
        shapes = {"two": [length, keys], "four": [2, many, length, keys]}
        if rank == 3:
            attributes |= {"q_num_heads": many, "kv_num_heads": few}
            operands = [Layer([2, length, many * deep]), Layer([2, keys, few * deep]), Layer([2, keys, few * deep])]
        else:
            operands = [Layer([2, many, length, deep]), Layer([2, few, keys, deep]), Layer([2, few, keys, deep])]
        operands += [mask_of(rng, mask, shapes), None, None, Const(ints(*filled))]
        if mode is not None:
            attributes["qk_matmul_output_mode"] = mode
        yield Call(operands, attributes, [True, False, False, True] if mode is not None else 1, tail=False)


FUSED["", "Attention", 24] = lambda rng: (call for pair in zip(attention(rng), attention_lengths(rng), strict=False) for call in pair)


@fused("RotaryEmbedding", 23, domain="")
def rotary(rng):
    for attributes in some(rng, rank=[4, 3], interleaved=[None, 1], rotary_embedding_dim=[None, 4], places=[None, 1]):
        rank, places = pop(attributes, "rank", "places")
        half = attributes.get("rotary_embedding_dim", 6) // 2
        if rank == 3:
            attributes["num_heads"] = 3
        cache = [9, half] if places else [2, 5, half]
        ids = Const(rng.integers(0, 9, [2, 5]).astype(np.int64)) if places else None
        yield Call([Layer([2, 3, 5, 6] if rank == 4 else [2, 5, 18]), Const(normal(rng, *cache)), Const(normal(rng, *cache)), ids], attributes)


@fused("RotaryEmbedding")
def rotary_microsoft(rng):
    for attributes in some(rng, rank=[4, 3], interleaved=[None, 1], part=[None, 1], first=[None, 1], heads=[None, 1]):
        rank, part, first, heads = pop(attributes, "rank", "part", "first", "heads")
        half = 2 if part else 3
        if part or heads:
            attributes["num_heads"] = 3
        if part:
            attributes["rotary_embedding_dim"] = 4
        ids = Const(ints(3)) if first else Const(rng.integers(0, 9, [2, 5]).astype(np.int64))
        yield Call([Layer([2, 3, 5, 6] if rank == 4 else [2, 5, 18]), ids, Const(normal(rng, 9, half)), Const(normal(rng, 9, half))], attributes)


@fused("RMSNormalization", 23, domain="")
@fused("SimplifiedLayerNormalization", 17, domain="")
def simplified(rng):
    for attributes in some(rng, shape=[ROWS, [3, 8], [2, 3, 5, 4]], axis=[None, -1, 1], epsilon=[None, 0.1], stash_type=[None, 1], kind=["normal", "large", "tiny"]):
        shape, kind = pop(attributes, "shape", "kind")
        yield Call([Layer(shape, kind), Const(normal(rng, *shape[attributes.get("axis", -1) :]))], attributes)


@fused("LayerNormalization", 13, domain="")
def before_standard(rng):
    for attributes in some(rng, axis=[None, 1], epsilon=[None, 0.1], shift=[None, 1]):
        shape = ROWS[attributes.get("axis", -1) :]
        (shift,) = pop(attributes, "shift")
        yield Call([Layer(ROWS), Const(normal(rng, *shape)), Const(normal(rng, *shape)) if shift else None], attributes)


def skips(rng, centred):
    for attributes in some(rng, epsilon=[None, 0.1], beta=[None, 1] if centred else [None], bias=[None, 1], whole=["layer", "fed", "one", "rows"], outputs=[1, [True, False, False, True]], kind=["normal", "large"]):
        beta, bias, whole, outputs, kind = pop(attributes, "beta", "bias", "whole", "outputs", "kind")
        skip = {"layer": Layer(ROWS), "fed": Fed(normal(rng, *ROWS)), "one": Const(normal(rng, 1, *ROWS[1:])), "rows": Const(normal(rng, *ROWS[1:]))}[whole]
        shift = [Const(normal(rng, 8)) if beta else None] if centred else []
        yield Call([Layer(ROWS, kind), skip, Const(normal(rng, 8)), *shift, Const(normal(rng, 8)) if bias else None], attributes, outputs, tail=outputs == 1)


@fused("SkipLayerNormalization")
def skip(rng):
    return skips(rng, True)


@fused("SkipSimplifiedLayerNormalization")
def skip_simplified(rng):
    return skips(rng, False)


@fused("EmbedLayerNormalization")
def embed(rng):
    for attributes in some(rng, epsilon=[None, 0.1], segments=[None, 1], mask=[None, 1], places=[None, "one", "each"], outputs=[2, 3], mask_index_type=[None, 1]):
        segments, mask, places, outputs = pop(attributes, "segments", "mask", "places", "outputs")
        if mask is None and attributes.get("mask_index_type"):
            continue
        ids = Fed(rng.integers(0, 9, [2, 5]).astype(np.int32))
        seen = Const((np.arange(5) < np.array([[5], [3]])).astype(np.int32)) if mask else None
        ids_of = {None: None, "one": Const(rng.integers(0, 7, [1, 5]).astype(np.int32)), "each": Const(rng.integers(0, 7, [2, 5]).astype(np.int32))}[places]
        operands = [ids, Fed(rng.integers(0, 2, [2, 5]).astype(np.int32)) if segments else None, Const(normal(rng, 9, 8)), Const(normal(rng, 7, 8))]
        operands += [Const(normal(rng, 2, 8)) if segments else None, Const(normal(rng, 8)), Const(normal(rng, 8)), seen, ids_of]
        yield Call(operands, attributes, outputs, tail=False)


def padding(kind, keys):
    """onnxruntime's integer masks, for two samples of three queries."""
    ends = np.array([keys, keys - 1], np.int32)
    rows = (np.arange(keys) < ends[:, None]).astype(np.int32)
    match kind:
        case "ends":
            return Const(ends)
        case "both":
            return Const(np.concatenate([ends, np.array([0, 1], np.int32)]))
        case "keys":
            return Const(rows)
        case "scores":
            return Const(np.repeat(rows[:, None], 3, axis=1) * (np.arange(keys) <= np.arange(3)[:, None] + keys - 3))
        case "dummy":
            return Const(np.ones([2, 1], np.int32))
    return None


@fused("Attention")
def packed_attention(rng):
    for attributes in some(rng, num_heads=[1, 2], wide=[None, 1], bias=[1, None], mask=[None, "ends", "both", "keys", "scores", "dummy"], past=[None, 4], added=[None, 1], unidirectional=[None, 1], scale=[None, 0.3], mask_filter_value=[None, -50.0], present=[None, 1]):
        wide, bias, mask, past, added, present = pop(attributes, "wide", "bias", "mask", "past", "added", "present")
        heads, deep, length, keys = attributes["num_heads"], 4, 3, 3 + (past or 0)
        if (past and (wide or added)) or (past and not present) or (present and wide):
            continue
        widths = [heads * deep, heads * deep, heads * (deep + 2 if wide else deep)]
        if wide:
            attributes["qkv_hidden_sizes"] = widths
        operands = [Layer([2, length, 8]), Const(normal(rng, 8, sum(widths))), Const(normal(rng, sum(widths))) if bias else None]
        operands.append(padding(mask, keys))
        operands.append(Fed(normal(rng, 2, 2, heads, past, deep)) if past else None)
        operands.append(Const(normal(rng, 2, heads, length, keys)) if added else None)
        yield Call(operands, attributes, 2 if present else 1, tail=False)


@fused("MultiHeadAttention")
def multi_head(rng):
    for attributes in some(rng, num_heads=[2], form=["rows", "heads"], longer=[None, 1], wide=[None, 1], bias=[None, 1], mask=[None, "ends", "keys", "scores"], added=[None, "all", "one"], past=[None, 4], unidirectional=[None, 1], scale=[None, 0.3], mask_filter_value=[None, -50.0], outputs=[1, 3]):
        form, longer, wide, bias, mask, added, past, outputs = pop(attributes, "form", "longer", "wide", "bias", "mask", "added", "past", "outputs")
        deep, length, new = 4, 3, 5 if longer else 3
        broad = 6 if wide and form == "rows" and not past else deep
        if longer and attributes.get("unidirectional"):
            continue
        if (past and (form == "heads" or outputs == 1)) or (bias and form == "heads"):
            continue
        keys = new + (past or 0)
        q = Layer([2, length, 2 * deep])
        operands = {
            "rows": [q, Layer([2, new, 2 * deep]), Layer([2, new, 2 * broad])],
            "heads": [q, Layer([2, 2, new, deep]), Layer([2, 2, new, broad])],
        }[form]
        operands.append(Const(normal(rng, 2 * (2 * deep + broad))) if bias else None)
        operands.append(padding(mask, keys))
        operands.append({None: None, "all": Const(normal(rng, 2, 2, length, keys)), "one": Const(normal(rng, 1, 1, length, keys))}[added])
        operands += [Fed(normal(rng, 2, 2, past, deep)) if past else None for _ in range(2)]
        yield Call(operands, attributes, outputs, tail=False)


@fused("GroupQueryAttention")
def grouped(rng):
    for attributes in some(
        rng, num_heads=[4], kv_num_heads=[1, 2, 4], form=["apart", "packed"], past=[0, 3, None], steps=[1, 4], buffer=[None, 2], scale=[None, 0.3], softcap=[None, 5.0],
        local_window_size=[None, 1, 2, 3], do_rotary=[None, 1], rotary_interleaved=[None, 1], part=[None, 1], places=[None, 1], added=[None, "all", "one"],
        sinks=[None, "smooth", "heads"], qk_output=[None, 1, 2], shorter=[None, 1],
    ):  # fmt: skip
        form, past, steps, buffer, part, places, added, sinks, shorter = pop(attributes, "form", "past", "steps", "buffer", "part", "places", "added", "sinks", "shorter")
        few, deep, before = attributes["kv_num_heads"], 32, past or 0
        batch = 1 if steps > 1 and before else 2
        if (part and not attributes.get("do_rotary")) or (steps > 1 and past and buffer):
            continue
        if (buffer and not past) or (shorter and (steps != 1 or before < 2)) or (places and not attributes.get("do_rotary")):
            continue
        total = before + steps
        cached = total if buffer else before
        if sinks == "smooth":
            attributes["smooth_softmax"] = 1
        if form == "packed":
            operands = [Layer([batch, steps, (4 + 2 * few) * deep]), None, None]
        else:
            operands = [Layer([batch, steps, 4 * deep]), Layer([batch, steps, few * deep]), Layer([batch, steps, few * deep])]
        operands += [None if past is None else Fed(normal(rng, batch, few, cached, deep)) for _ in range(2)]
        last = np.array([total - 1, total - (3 if shorter else 1)][:batch], np.int32)
        operands += [Fed(last), Fed(np.array(total, np.int32)) if rng.random() < 0.5 else Const(np.array([total], np.int32))]
        half = deep // 4 if part else deep // 2
        operands += [Const(normal(rng, 16, half)) if attributes.get("do_rotary") else None for _ in range(2)]
        operands.append(Const(np.tile(np.arange(steps) + rng.integers(0, 9), (batch, 1)).astype(np.int64)) if places else None)
        operands.append({None: None, "all": Const(normal(rng, batch, 4, steps, total)), "one": Const(normal(rng, 1, 1, steps, total))}[added])
        operands.append(Const(normal(rng, 4)) if sinks == "heads" else None)
        yield Call(operands, attributes, 4 if attributes.get("qk_output") else 3, tail=False)


@fused("FusedMatMul")
def product(rng):
    for attributes in some(rng, ranks=[(2, 2), (3, 3), (3, 2), (2, 3), (4, 4), (1, 2), (2, 1)], transA=[None, 1], transB=[None, 1], transBatchA=[None, 1], transBatchB=[None, 1], alpha=[None, 0.5], constant=[None, 1]):
        (first, second), constant = pop(attributes, "ranks", "constant")
        a = {1: [5], 2: [3, 5], 3: [2, 3, 5], 4: [2, 4, 3, 5]}[first]
        b = {1: [5], 2: [5, 6], 3: [2, 5, 6], 4: [2, 4, 5, 6]}[second]
        for dims, matrix, batch in ((a, "transA", "transBatchA"), (b, "transB", "transBatchB")):
            if attributes.get(matrix):
                dims[-2:] = dims[:-3:-1]
            if attributes.get(batch) and len(dims) > 2:
                dims.insert(0, dims.pop(-2))
        is_batch = attributes.get("transBatchA") or attributes.get("transBatchB")
        if (is_batch and (first != second or first < 3)) or (first == 1 and attributes.get("transA")) or (second == 1 and attributes.get("transB")):
            continue
        yield Call([Layer(a), Const(normal(rng, *b)) if constant else Layer(b)], attributes)


ACTIVATIONS = {"Relu": [], "Tanh": [], "Sigmoid": [], "LeakyRelu": [0.2], "Clip": [-0.5, 0.7], "HardSigmoid": [0.3, 0.4], None: []}


@fused("FusedConv", 13, 9)
def convolution(rng):
    for attributes in some(rng, activation=list(ACTIVATIONS), bias=[None, 1], sum=[None, 1], form=["plain", "group", "strides", "dilations", "same", "deep", "flat"]):
        bias, added, form = pop(attributes, "bias", "sum", "form")
        x, w, y = [2, 4, 7, 6], [6, 4, 3, 3], [2, 6, 5, 4]
        match form:
            case "group":
                w[1], attributes["group"] = 2, 2
            case "strides":
                attributes |= {"strides": [2, 1], "pads": [1, 0, 1, 2]}
                y = [2, 6, 4, 6]
            case "dilations":
                attributes["dilations"] = [2, 1]
                y = [2, 6, 3, 4]
            case "same":
                attributes["auto_pad"] = "SAME_UPPER"
                y = [2, 6, 7, 6]
            case "flat":
                x, w, y = [2, 4, 7], [6, 4, 3], [2, 6, 5]
            case "deep":
                w, y = [6, 4, 1, 1], [2, 6, 7, 6]
        attributes["kernel_shape"] = w[2:]
        if ACTIVATIONS[attributes.get("activation")]:
            attributes["activation_params"] = ACTIVATIONS[attributes["activation"]]
        yield Call([Layer(x), Const(normal(rng, *w)), Const(normal(rng, 6)) if bias else None, Layer(y) if added else None], attributes)


GEMM = {"Relu": {}, "Tanh": {}, "Sigmoid": {}, "Softplus": {}, "Softsign": {}, "LeakyRelu": {"alpha": 0.2}, "Elu": {"alpha": 0.7}, "HardSigmoid": {"alpha": 0.3, "beta": 0.4}, "ThresholdedRelu": {"alpha": 0.5}, "Selu": {"alpha": 1.5, "gamma": 1.1}}


@fused("FusedGemm", 13)
def gemm(rng):
    for attributes in some(rng, activation=list(GEMM), transA=[None, 1], transB=[None, 1], alpha=[None, 0.5], beta=[None, 0.3], bias=[None, "row", "one", "whole"]):
        (bias,) = pop(attributes, "bias")
        attributes |= {f"activation_{name}": value for name, value in GEMM[attributes["activation"]].items()}
        a, b = [5, 3] if attributes.get("transA") else [3, 5], [6, 5] if attributes.get("transB") else [5, 6]
        yield Call([Layer(a), Const(normal(rng, *b)), None if bias is None else Const(normal(rng, *{"row": [6], "one": [1], "whole": [3, 6]}[bias]))], attributes)


@fused("Gelu")
@fused("QuickGelu")
@fused("FastGelu")
@fused("BiasGelu")
def gelu(rng):
    for shape, kind in ((shape, kind) for shape in ([3, 8], ROWS, [2, 3, 5, 8]) for kind in ("normal", "large", "tiny")):
        yield Call([Layer(shape, kind)])


def gelus(operator, rng):
    """The activation with what it has beside its values."""
    for call in gelu(rng):
        if operator == "QuickGelu":
            yield from (Call(call.inputs, {} if alpha is None else {"alpha": alpha}) for alpha in (None, 1.0, 0.5))
        elif operator in ("BiasGelu", "FastGelu"):
            yield Call([*call.inputs, Const(normal(rng, 8))])
        if operator in ("Gelu", "FastGelu"):
            yield call


@fused("MatMulNBits")
def nbits(rng):
    for attributes in some(rng, bits=[2, 4, 8], block_size=[16, 32], K=[32, 48, 20], zeros=[None, "codes", "floats"], order=[None, 1], bias=[None, 1], flat=[None, 1]):
        zeros, order, bias, flat = pop(attributes, "zeros", "order", "bias", "flat")
        out, size, bits = 6, attributes["K"], attributes["bits"]
        if order and (zeros or bits != 4):
            continue
        attributes["N"] = out
        weights, blocks = packed(rng, out, size, attributes["block_size"], bits)
        scales = rng.uniform(0.01, 0.05, [out * blocks] if flat else [out, blocks]).astype(np.float32)
        width = -(-blocks * bits // 8)
        points = {None: None, "codes": Const(rng.integers(0, 256, [out * width] if flat else [out, width]).astype(np.uint8)), "floats": Const(rng.uniform(0, 2**bits, [out, blocks]).astype(np.float32))}[zeros]
        ids = Const((np.arange(size) % blocks).astype(np.int32)) if order else None
        yield Call([Layer([2, 3, size]), Const(weights), Const(scales), points, ids, Const(normal(rng, out)) if bias else None], attributes)


def calls(key, rng):
    """The calls of one operator."""
    found = gelus(key[1], rng) if key[1].endswith("Gelu") else FUSED[key](rng)
    return list(itertools.islice(found, MANY))
