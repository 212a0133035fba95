"""Which operands and attributes to try on each operator: the register of recipes, and the element-wise ones.

A recipe takes an `Ask` and yields calls. `RECIPES` has them by operator; what has none is tried by `generic`.
"""

import numpy as np

from judge_build import Call, Const, Fed, Layer

RECIPES = {}
FLOATS = {np.float32, np.float64, np.float16}


def recipe(*operators):
    def register(function):
        for operator in operators:
            RECIPES[operator] = function
        return function

    return register


def ints(*values):
    return np.array(values, np.int64)


def moved(ask, attributes, name, value):
    """A value that is an attribute in old versions and an input in later ones: the operand, or None where it became an attribute."""
    if value is None:
        return None
    if ask.has(name):
        attributes[name] = value
        return None
    return Const(np.array(value, np.int64))


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def random(rng, shape, dtype=np.float32, least=-3, most=4):
    """Constants of a type: normal, or integers."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    return rng.integers(0 if dtype.kind == "u" else least, most, shape).astype(dtype)


SHAPES = [[1, 3, 5, 7], [2, 5, 7], [3, 5], [7], [1, 2, 3, 5, 3], []]
# The values on which an operator is defined, where it is not everywhere.
DOMAIN = {"Acos": "unit", "Asin": "unit", "Atanh": "unit", "Acosh": "above", "Log": "positive", "Sqrt": "positive"}
DOMAIN |= {"Det": "normal", "Reciprocal": "positive", "Tan": "unit", "Cosh": "normal", "Sinh": "normal"}


# Of integers the standard does not say how results are rounded.
FRACTIONS = {"Shrink"}


@recipe("generic")
def generic(ask):
    """All required inputs of one shape, and the optional ones at times; strings and sequences are left out."""
    required = [index for index, given in enumerate(ask.schema.inputs) if given.option.name != "Optional"]
    kind = DOMAIN.get(ask.operator)
    kinds = [kind] if kind else ["normal", "huge", "whole", "large", "tiny"]
    dtypes = ask.types() or [np.float32]
    if ask.operator in FRACTIONS:
        dtypes = [dtype for dtype in dtypes if dtype in FLOATS]
    for attributes, pick in ask.combos(shape_=SHAPES, kind_=kinds, dtype_=dtypes, all_=[False, True]):
        count = len(ask.schema.inputs) if pick.all_ else len(required)
        yield Call([Layer(pick.shape_, pick.kind_, pick.dtype_) for _ in range(count)], attributes, len(ask.schema.outputs))


@recipe("Hardmax", "Softmax", "LogSoftmax")
def along_axis(ask):
    kinds = ["normal", "large", "huge"] if ask.operator != "Hardmax" else ["normal"]
    choices = dict(shape_=SHAPES[:5], kind_=kinds, dtype_=ask.types(most=3), axis=[None, -1, 1, 0, 2, -2])
    for attributes, pick in ask.combos(**choices):
        yield Call([Layer(pick.shape_, pick.kind_, pick.dtype_)], attributes)


# The shape of a layer's output, and those of constants that meet it, of every rank.
FORMS = [
    ([1, 3, 5, 7], [[3, 1, 1], [], [1], [7], [5, 1], [1, 3, 1, 1], [1, 1, 5, 7], [2, 1, 1, 1], [2, 1, 3, 5, 7], [1, 3, 5, 7], [3, 5, 7], [1, 1, 1, 1, 1]]),
    ([2, 5, 7], [[7], [], [5, 1], [2, 1, 1], [1, 7], [3, 1, 5, 7], [1, 1, 1], [2, 5, 7]]),
    ([3, 5], [[5], [], [3, 1], [1, 5], [2, 3, 5], [1, 1, 1], [3, 5]]),
    ([7], [[7], [], [1], [5, 1]]),
    ([1, 2, 3, 5, 3], [[2, 1, 1, 1], [3], [1, 2, 1, 5, 1]]),
]  # fmt: skip
PAIRS = [(data, constant) for data, constants in FORMS for constant in constants]
# Tried with every form on either side, where they are at their newest.
ARITHMETIC = {"Add", "Sub", "Mul", "Div"}
FEW = 10
SAFE = {"Div", "Mod"}


def other(ask, shape, dtype):
    """A constant that the operator takes without leaving its domain."""
    rng, dtype = ask.rng, np.dtype(dtype)
    if ask.operator == "Pow":
        choices = [2, 3, 1, 0] + ([0.5, -1, 1.5, -2] if dtype.kind == "f" else [])
        return rng.choice(choices, shape).astype(dtype)
    if ask.operator == "BitShift":
        return rng.integers(0, 5, shape).astype(dtype)
    value = random(rng, shape, dtype)
    if ask.operator in SAFE:
        return np.where(np.abs(value) < 0.3, np.array(2, dtype), value).astype(dtype)
    return value


@recipe(
    "Add", "Sub", "Mul", "Div", "Pow", "Mod", "And", "Or", "Xor", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "BitShift",
    "BitwiseAnd", "BitwiseOr", "BitwiseXor",
)  # fmt: skip
def binary(ask):
    old = ask.has("broadcast")
    pairs = [(data, constant) for data, constant in PAIRS if not old or len(constant) <= len(data)]
    sides = ["right", "left", "both", "fed"] if not old else ["right"]
    exact = ask.operator in ("Equal", "Mod", "LessOrEqual", "GreaterOrEqual")
    attributes = {"broadcast": [1], "axis": [None]} if old else {}
    if ask.has("direction"):
        sides = ["right", "fed"]  # shifts by more than the width mean nothing
        attributes["direction"] = ["LEFT", "RIGHT"]
    forms = [(*pair, side) for pair in pairs for side in sides]
    limit = 2 * len(forms) if ask.operator in ARITHMETIC and ask.limit > FEW else ask.limit
    for given, pick in ask.combos(limit, form_=forms, dtype_=ask.types(), far_=[False, True], consumed_inputs=None, **attributes):
        (data, constant, side), dtype = pick.form_, pick.dtype_
        if ask.operator == "Mod" and given.get("fmod", 0) == 0 and dtype in FLOATS:
            continue
        kind = "positive" if ask.operator == "Pow" and np.dtype(dtype).kind == "f" else "whole" if exact else "huge" if pick.far_ else "normal"
        if old and constant and ask.rng.random() < 0.7:
            start = int(ask.rng.integers(0, len(data) - len(constant) + 1))
            constant, given["axis"] = data[start : start + len(constant)], start
        layer = Layer(data, kind, dtype)
        if side == "both":
            again = Layer([size if position else 1 for position, size in enumerate(data)], "count" if dtype not in FLOATS else kind, dtype)
            if ask.operator in SAFE:
                continue
            if ask.operator == "Pow" and dtype not in FLOATS:
                layer = Layer(data, "count", dtype)
            yield Call([layer, again] if ask.rng.random() < 0.5 else [again, layer], given)
            continue
        fixed = other(ask, constant if not old or constant else [], dtype)
        if exact and dtype in FLOATS and ask.operator != "Mod":
            fixed = np.round(fixed)
        if side == "left" and ask.operator in SAFE and np.dtype(dtype).kind in "iu":
            side = "right"
        if side == "left" and ask.operator in SAFE:
            layer = Layer(data, "positive", dtype)
        if side == "left" and ask.operator == "Pow":
            fixed, layer = np.abs(fixed) + np.array(1, dtype), Layer(data, "unit" if dtype in FLOATS else "count", dtype)
        if ask.operator == "Pow" and ask.version >= 12 and ask.rng.random() < 0.3:
            fixed = np.round(fixed).astype(np.int64) if (fixed >= 0).all() else fixed
        fixed = Fed(fixed) if side == "fed" else Const(fixed)
        yield Call([fixed, layer] if side == "left" else [layer, fixed], given)


@recipe("PRelu")
def prelu(ask):
    pairs = [([1, 3, 5, 7], shape) for shape in ([3, 1, 1], [1, 3, 1, 1], [], [1], [7], [5, 1], [3, 5, 7], [3])] + [([2, 5, 7], [5, 1]), ([3, 5], [5])]
    for attributes, pick in ask.combos(pair_=pairs, kind_=["normal", "huge"], dtype_=ask.types(most=3)):
        data, slope = pick.pair_
        yield Call([Layer(data, pick.kind_, pick.dtype_), Const(random(ask.rng, slope, pick.dtype_))], attributes)


@recipe("Max", "Min", "Sum", "Mean")
def variadic(ask):
    counts = [1, 2, 3, 4]
    for attributes, pick in ask.combos(pair_=PAIRS, count_=counts, side_=["right", "left"], dtype_=ask.types(), kind_=["normal", "huge"]):
        data, constant = pick.pair_
        shapes = [constant if ask.version >= 8 else data for _ in range(pick.count_ - 1)]
        fixed = [Const(random(ask.rng, shape, pick.dtype_)) for shape in shapes]
        layer = Layer(data, pick.kind_, pick.dtype_)
        yield Call([layer, *fixed] if pick.side_ == "right" else [*fixed, layer], attributes)
        if pick.count_ == 2:
            yield Call([layer, Layer(data, "normal", pick.dtype_)], attributes)


@recipe("Where")
def where(ask):
    masks = [[1, 3, 5, 7], [3, 1, 1], [], [7], [2, 1, 1, 1], [1, 1, 1, 1, 1]]
    choices = dict(data_=[[1, 3, 5, 7], [3, 1, 1], [7]], mask_=masks, other_=[[], [3, 1, 1], [7], [1, 3, 5, 7]], side_=[0, 1], how_=["const", "layer"])
    for attributes, pick in ask.combos(dtype_=ask.types(1), **choices):
        mask = Layer(pick.mask_, "whole", bool) if pick.how_ == "layer" else Const(random(ask.rng, pick.mask_, bool))
        branches = [Layer(pick.data_, "normal", pick.dtype_), Const(random(ask.rng, pick.other_, pick.dtype_))]
        yield Call([mask, *(branches if pick.side_ == 0 else branches[::-1])], attributes)


@recipe("Clip")
def clip(ask):
    bounds = [(None, None), (-0.5, 0.75), (None, 0.25), (-0.25, None), (1.0, -1.0), (0.0, 6.0)]
    choices = dict(shape_=SHAPES[:4], bounds_=bounds, dtype_=ask.types(), fed_=[False, True], kind_=["normal", "huge"])
    for attributes, pick in ask.combos(min=None, max=None, **choices):
        dtype = np.dtype(pick.dtype_)
        low, high = pick.bounds_
        if None not in (low, high) and low > high and dtype.kind == "u":
            continue
        scale = 1 if dtype.kind == "f" else 4
        low, high = (None if bound is None else max(bound, 0.0) if dtype.kind == "u" else bound for bound in (low, high))
        if ask.has("min"):
            attributes |= {name: value for name, value in zip(("min", "max"), (low, high), strict=True) if value is not None}
            yield Call([Layer(pick.shape_, pick.kind_, dtype)], attributes)
            continue
        kind = Fed if pick.fed_ else Const
        made = [None if bound is None else kind(np.array(bound * scale).astype(dtype)) for bound in (low, high)]
        yield Call([Layer(pick.shape_, pick.kind_, dtype), *made], attributes)


@recipe("Cast")
def cast(ask):
    targets = [np.float32, np.int64, np.int32, np.uint8, np.int8, bool, np.float64, np.float16, np.int16, np.uint32]
    codes = {np.float32: 1, np.uint8: 2, np.int8: 3, np.int16: 5, np.int32: 6, np.int64: 7, bool: 9, np.float16: 10, np.float64: 11, np.uint32: 12}
    names = dict(zip(codes.values(), ["FLOAT", "UINT8", "INT8", "INT16", "INT32", "INT64", "BOOL", "FLOAT16", "DOUBLE", "UINT32"], strict=True))
    wanted = [codes[target] if ask.version >= 6 else names[codes[target]] for target in targets]
    for attributes, pick in ask.combos(to=wanted, shape_=[[1, 3, 5, 7], [3, 5]], kind_=["between", "whole", "normal"], dtype_=ask.types()):
        unsigned = attributes["to"] in (2, 12, "UINT8", "UINT32")
        yield Call([Layer(pick.shape_, "count" if unsigned else pick.kind_, pick.dtype_)], attributes)


@recipe("CastLike")
def cast_like(ask):
    for attributes, pick in ask.combos(shape_=[[1, 3, 5, 7]], kind_=["between", "whole"], dtype_=ask.types(), to_=ask.types(1)):
        kind = "count" if np.dtype(pick.to_).kind == "u" else pick.kind_
        yield Call([Layer(pick.shape_, kind, pick.dtype_), Const(random(ask.rng, [1], pick.to_))], attributes)


@recipe("BitCast")
def bit_cast(ask):
    for attributes, pick in ask.combos(to=[1, 6, 12, 3, 2, 7, 11], shape_=[[1, 3, 5, 7], [3, 4]], dtype_=ask.types()):
        yield Call([Layer(pick.shape_, "whole", pick.dtype_)], attributes)


@recipe("IsInf", "IsNaN")
def is_infinite(ask):
    for attributes, pick in ask.combos(shape_=[[1, 3, 5, 7], [3, 5]], dtype_=ask.types(most=2), special_=[np.inf, -np.inf, np.nan, 1.0]):
        given = ask.rng.choice([pick.special_, 0.0, 1.5], pick.shape_).astype(pick.dtype_)
        yield Call([Fed(given)], attributes)


@recipe("Dropout")
def dropout(ask):
    for attributes, pick in ask.combos(shape_=[[1, 3, 5, 7], [3, 5]], ratio_=[None, 0.3], seed=[None, 7], is_test=[1], ratio=[None, 0.3], mask_=[False, True]):
        ratio = Const(np.float32(pick.ratio_)) if pick.ratio_ is not None and ask.version >= 12 else None
        training = Const(np.array(False)) if ratio and ask.rng.random() < 0.5 else None
        yield Call([Layer(pick.shape_), ratio, training], attributes, 2 if pick.mask_ and ask.version >= 10 else 1)


@recipe("SwiGLU")
def gated(ask):
    for attributes, pick in ask.combos(shape_=SHAPES[:3]):
        yield Call([Layer(pick.shape_), Layer(pick.shape_)], attributes)
