"""Recipes of operators that move, choose and arrange values, and of reductions."""

import numpy as np

from judge_build import Call, Const, Fed, Layer
from judge_recipes import FLOATS, RECIPES, ints, moved, random, recipe

REDUCTIONS = [name for name in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")]
IMAGE, ROWS, TABLE = [1, 3, 5, 7], [2, 5, 7], [3, 5]


@recipe(*(f"Reduce{name}" for name in REDUCTIONS))
def reduction(ask):
    kinds = {"ReduceLogSum": ["positive"], "ReduceProd": ["normal"]}.get(ask.operator, ["normal", "huge", "large"])
    axes = [None, [1], [-1], [2, 3], [0, -2], [0, 1, 2, 3], [], [3, 1]]
    # Of logarithms and roots of integers the standard does not say how they are rounded.
    dtypes = [dtype for dtype in ask.types() if dtype in FLOATS or ask.operator[6:] not in ("LogSum", "LogSumExp", "L2")]
    for attributes, pick in ask.combos(shape_=[IMAGE, ROWS, TABLE, [1, 2, 3, 5, 3]], axes_=axes, axes=None, kind_=kinds, dtype_=dtypes):
        if pick.axes_ and any(axis >= len(pick.shape_) for axis in pick.axes_):
            continue
        if pick.axes_ == [] and ask.has("axes"):
            continue
        operand = moved(ask, attributes, "axes", pick.axes_)
        yield Call([Layer(pick.shape_, pick.kind_, pick.dtype_), operand], attributes)


@recipe("ArgMax", "ArgMin")
def arguments(ask):
    for attributes, pick in ask.combos(shape_=[IMAGE, ROWS, TABLE], axis=[None, 1, -1, 2, -2], dtype_=ask.types(), ties_=[False, True]):
        # Equal values are equal in any runtime where they are integers.
        yield Call([Layer(pick.shape_, "whole" if pick.ties_ else "normal", pick.dtype_)], attributes)


@recipe("Concat")
def concat(ask):
    for attributes, pick in ask.combos(shape_=[IMAGE, ROWS, TABLE], axis=[1, 0, -1, -2], count_=[2, 1, 3], dtype_=ask.types(), side_=[0, 1, 2]):
        if not ask.has("axis"):
            continue
        axis = attributes["axis"]
        shapes = [list(pick.shape_) for _ in range(pick.count_)]
        for at, shape in enumerate(shapes[1:], 1):
            shape[axis] += at
        operands = [Layer(shapes[0], "normal", pick.dtype_)]
        operands += [Const(random(ask.rng, shape, pick.dtype_)) if pick.side_ < 2 else Layer(shape, "normal", pick.dtype_) for shape in shapes[1:]]
        yield Call(operands[::-1] if pick.side_ == 1 else operands, attributes)


@recipe("Reshape")
def reshape(ask):
    shapes = [[3, 35], [0, -1], [1, 0, 7, 5], [-1], [1, 3, 35, 1], [7, 5, 3, 1], [1, 1, 3, 5, 7], [0, 0, -1]]
    for attributes, pick in ask.combos(shape_=shapes, shape=None, dtype_=ask.types(), fed_=[False, True]):
        if ask.has("shape"):
            attributes["shape"] = pick.shape_
            yield Call([Layer(IMAGE, "normal", pick.dtype_)], attributes)
        else:
            yield Call([Layer(IMAGE, "normal", pick.dtype_), (Fed if pick.fed_ else Const)(ints(*pick.shape_))], attributes)
    if ask.has("allowzero"):
        yield Call([Layer([2, 0, 3]), Const(ints(3, 0))], {"allowzero": 1})


@recipe("Flatten")
def flatten(ask):
    for attributes, pick in ask.combos(shape_=[IMAGE, ROWS, TABLE], axis=[None, 0, 1, 2, 3, -1, -2], dtype_=ask.types()):
        yield Call([Layer(pick.shape_, "normal", pick.dtype_)], attributes)


@recipe("Squeeze", "Unsqueeze")
def squeeze(ask):
    out = ask.operator == "Unsqueeze"
    axes = [[0], [1], [-1], [0, 3], [2, 1], [-1, 0]] if out else [[0], [2], [-2], [0, 2], None, [-4, 2]]
    for attributes, pick in ask.combos(axes_=axes, axes=None, dtype_=ask.types(), shape_=[[1, 5, 1, 7]] if not out else [IMAGE, TABLE, ROWS]):
        operand = moved(ask, attributes, "axes", pick.axes_)
        yield Call([Layer(pick.shape_, "normal", pick.dtype_), operand], attributes)


@recipe("Transpose")
def transpose(ask):
    perms = [None, [0, 2, 3, 1], [0, 3, 1, 2], [3, 2, 1, 0], [1, 0, 2, 3], [0, 1, 3, 2], [2, 0, 1], [0, 2, 1], [1, 0], [0, 1]]
    for attributes, pick in ask.combos(perm=perms, dtype_=ask.types()):
        rank = len(pick.perm or IMAGE)
        shape = {4: IMAGE, 3: ROWS, 2: TABLE}[rank]
        yield Call([Layer(shape, "normal", pick.dtype_)], attributes)


@recipe("Expand")
def expand(ask):
    pairs = [([1, 3, 1, 7], shape) for shape in ([1, 3, 5, 7], [5, 1], [2, 1, 1, 1], [1], [2, 2, 3, 5, 7], [3, 1, 1])] + [([3, 1], [3, 4]), ([1, 5], [2, 3, 1])]
    for attributes, pick in ask.combos(pair_=pairs, dtype_=ask.types(), fed_=[False, True]):
        yield Call([Layer(pick.pair_[0], "normal", pick.dtype_), (Fed if pick.fed_ else Const)(ints(*pick.pair_[1]))], attributes)


@recipe("Tile")
def tile(ask):
    for attributes, pick in ask.combos(repeats_=[[1, 2, 1, 1], [2, 1, 3, 2], [1, 1, 1, 1], [3, 1, 1, 2]], dtype_=ask.types()):
        if ask.version == 1:
            yield Call([Layer(IMAGE), Const(ints(3)), Const(ints(1))], attributes)
        else:
            yield Call([Layer(IMAGE, "normal", pick.dtype_), Const(ints(*pick.repeats_))], attributes)


@recipe("Slice")
def slices(ask):
    forms = [
        ([1], [1000], [2], [2]), ([0], [-1], [1], None), ([-3], [1000], [-1], [1]), ([4], [-1000], [2], [-1]), ([1, 0], [3, 5], [1, 3], [1, 3]),
        ([5, 2], [0, 0], [-1, -3], [-2, -1]), ([0, 1], [1, 3], None, None), ([1], [2], [0], None), ([1, 1], [5, 6], [2, 3], [2, 2]),
        ([0, 0, 1, 1], [1, 2, 5, 7], None, None), ([2], [4], [3], [1]), ([-1], [-8], [3], [-2]), ([1], [3], [1], [1]),
    ]  # fmt: skip
    for attributes, pick in ask.combos(form_=forms, dtype_=ask.types(), kind_=[np.int64, np.int32], layer_=["conv", "same"], starts=None, ends=None, axes=None):
        starts, ends, axes, steps = pick.form_
        layer = Layer([2, 3, 5, 7] if pick.layer_ == "conv" else IMAGE, "normal", pick.dtype_)
        if ask.has("starts"):
            if steps is not None and any(step != 1 for step in steps):
                continue
            attributes |= {"starts": starts, "ends": ends} | ({"axes": axes} if axes else {})
            yield Call([layer], attributes)
            continue
        if axes is None and steps is not None:
            continue
        made = [None if value is None else Const(np.array(value, pick.kind_)) for value in (starts, ends, axes, steps)]
        yield Call([layer, *made], attributes)


@recipe("Split")
def split(ask):
    parts = {3: [None, [1, 2], [3], [1, 1, 1]], 7: [None, [2, 5], [3, 4], [1, 0, 6]], 4: [None, [2, 2], [1, 3]]}
    choices = dict(split_=[0, 1, 2, 3], axis=[None, 1, -1, 0], split=None, num_outputs=[None, 2, 3], dtype_=ask.types())
    for attributes, pick in ask.combos(**choices):
        shape = [4, 3, 5, 7] if attributes.get("axis", 0) == 0 else [2, 3, 5, 7]
        size = shape[attributes.get("axis", 0)]
        sizes = parts[size][pick.split_ % len(parts[size])]
        count = attributes.get("num_outputs") or (len(sizes) if sizes else 2 if size == 4 else size)
        if "num_outputs" in attributes:
            sizes = None
        operand = None if sizes is None else moved(ask, attributes, "split", sizes)
        if ask.version >= 18 and sizes is None and "num_outputs" not in attributes:
            continue
        yield Call([Layer(shape, "normal", pick.dtype_), operand], attributes, count)


@recipe("Pad")
def pad(ask):
    pads = [[0, 0, 1, 1, 0, 0, 1, 1], [0, 0, 2, 0, 0, 0, 1, 3], [0, 1, 0, 2, 0, 1, 1, 0], [0, 0, -1, 1, 0, 0, 1, -2], [1, 0, 0, 0, 0, 2, 0, 0], [0] * 8]
    name = "paddings" if ask.has("paddings") else "pads"
    values = [None, 0.0, 1.5, -2.0]
    for attributes, pick in ask.combos(pads_=pads, value_=values, value=None, axes_=[False, True], dtype_=ask.types(), fed_=[0, 0, 1], pads=None, paddings=None):
        value, mode = pick.value_, attributes.get("mode", "constant")
        if mode != "constant" and mode != "wrap" and pick.pads_[0]:
            continue
        if ask.has(name):
            attributes[name] = pick.pads_
            if value is not None:
                attributes["value"] = value
            yield Call([Layer(IMAGE)], attributes)
            continue
        pads_, axes = (pick.pads_, None) if not pick.axes_ or len(ask.schema.inputs) < 4 else ([2, 1, 0, 1], Const(ints(3, -2)))
        constant = None if value is None else Const(np.array(max(value, 0) if np.dtype(pick.dtype_).kind == "u" else value).astype(pick.dtype_))
        yield Call([Layer(IMAGE, "normal", pick.dtype_), (Fed if pick.fed_ else Const)(ints(*pads_)), constant, axes], attributes)


@recipe("Shape", "Size")
def shape_of(ask):
    for attributes, pick in ask.combos(shape_=[IMAGE, TABLE, [7], []], start=[None, 0, 1, -2, 9], end=[None, 2, -1, 9, 0], dtype_=ask.types()):
        yield Call([Layer(pick.shape_, "normal", pick.dtype_)], attributes)


@recipe("Gather")
def gather(ask):
    indices = [ints(1), ints(0, 2, 1), np.array(1), np.array([[0, -1], [1, 0]]), ints(-1, -2)]
    for attributes, pick in ask.combos(axis=[None, 1, 2, -1], at_=indices, dtype_=ask.types(), kind_=[np.int64, np.int32], how_=["const", "fed", "table"]):
        at = np.asarray(pick.at_).astype(pick.kind_)
        data, axis = [3, 4, 5, 7], attributes.get("axis", 0)
        if pick.how_ == "table":
            # The other way round: indices that a layer makes into a constant table.
            yield Call([Const(random(ask.rng, [9, 5], pick.dtype_)), Layer([2, 3], "count", pick.kind_)], {**attributes, "axis": min(axis, 1)} if axis else attributes)
            continue
        yield Call([Layer(data, "normal", pick.dtype_), (Const if pick.how_ == "const" else Fed)(at)], attributes)


def indices_within(ask, shape, size, negative=True):
    return ask.rng.integers(-size if negative else 0, size, shape).astype(np.int64)


@recipe("GatherElements", "ScatterElements", "Scatter")
def elements(ask):
    writes = ask.operator != "GatherElements"
    for attributes, pick in ask.combos(axis=[None, 1, 2, -1], shape_=[ROWS, IMAGE, TABLE], dtype_=ask.types(), fed_=[False, True], part_=[False, True]):
        shape, axis = pick.shape_, attributes.get("axis", 0)
        if axis >= len(shape):
            continue
        wanted = list(shape)
        wanted[axis] = max(1, shape[axis] - 1) if writes or pick.part_ else shape[axis] + 2
        where = indices_within(ask, wanted, shape[axis])
        operands = [Layer(shape, "normal", pick.dtype_), (Fed if pick.fed_ else Const)(where)]
        if writes:
            if attributes.get("reduction", "none") == "none":
                # No place is written twice.
                order = np.argsort(ask.rng.random([*wanted[:axis], shape[axis], *wanted[axis:][1:]]), axis=axis)
                operands[1] = (Fed if pick.fed_ else Const)(np.take(order, range(wanted[axis]), axis=axis).astype(np.int64))
            operands.append(Const(random(ask.rng, wanted, pick.dtype_)))
        yield Call(operands, attributes)


@recipe("GatherND")
def gather_nd(ask):
    forms = [([3, 4, 5], [[0, 1], [2, -1]], 0), ([3, 4, 5], [[[1]], [[2]]], 0), ([2, 4, 5], [[1], [3]], 1), ([2, 3, 5, 7], [[0, 1, 4, 6]], 0)]
    for attributes, pick in ask.combos(form_=forms, dtype_=ask.types(), fed_=[False, True], batch_dims=[None, 1]):
        shape, where, batch = pick.form_
        if attributes.get("batch_dims", 0) != batch:
            continue
        yield Call([Layer(shape, "normal", pick.dtype_), (Fed if pick.fed_ else Const)(np.array(where, np.int64))], attributes)


@recipe("ScatterND")
def scatter_nd(ask):
    forms = [([3, 4, 5], [[0, 1], [2, 3]]), ([3, 4, 5], [[1], [2]]), ([1, 3, 5, 7], [[0, 1, 4, 6], [0, 2, 0, 0]]), ([4, 5], [[[0], [3]], [[1], [2]]]), ([4, 5], [[-1], [0]])]
    for attributes, pick in ask.combos(form_=forms, dtype_=ask.types(), fed_=[False, True], twice_=[False, True]):
        shape, where = pick.form_
        where = np.array(where, np.int64)
        if pick.twice_ and attributes.get("reduction", "none") != "none":
            where = np.concatenate([where, where[:1]])
        updates = random(ask.rng, [*where.shape[:-1], *shape[where.shape[-1] :]], pick.dtype_)
        yield Call([Layer(shape, "normal", pick.dtype_), (Fed if pick.fed_ else Const)(where), Const(updates)], attributes)


@recipe("DepthToSpace", "SpaceToDepth")
def blocks(ask):
    forward = ask.operator == "DepthToSpace"
    for attributes, pick in ask.combos(blocksize=[2, 3], mode=[None, "DCR", "CRD"], batch_=[1, 2], channels_=[1, 3], dtype_=ask.types()):
        size = attributes["blocksize"]
        shape = [pick.batch_, pick.channels_ * size * size, 3, 5] if forward else [pick.batch_, pick.channels_, 3 * size, 5 * size]
        yield Call([Layer(shape, "normal", pick.dtype_)], attributes)


@recipe("Compress")
def compress(ask):
    for attributes, pick in ask.combos(axis=[None, 1, 2, -1], short_=[False, True], dtype_=ask.types()):
        size = 105 if pick.axis is None else IMAGE[pick.axis]
        wanted = random(ask.rng, [size - pick.short_], bool)
        wanted[0] = True
        yield Call([Layer(IMAGE, "normal", pick.dtype_), Const(wanted)], attributes)


@recipe("Trilu")
def triangle(ask):
    for attributes, pick in ask.combos(k_=[None, 0, 1, -2, 9], shape_=[[5, 7], ROWS, [7, 5]], dtype_=ask.types()):
        yield Call([Layer(pick.shape_, "normal", pick.dtype_), None if pick.k_ is None else Const(np.array(pick.k_, np.int64))], attributes)


@recipe("EyeLike")
def eye(ask):
    for attributes, pick in ask.combos(shape_=[[5, 7], [3, 3]], k=[None, 1, -2], dtype_=ask.types(), dtype=[None, 1, 6, 7, 11]):
        yield Call([Layer(pick.shape_, "normal", pick.dtype_)], attributes)


@recipe("ConstantOfShape")
def filled(ask):
    values = [None] + [np.array([value]) for value in (np.float32(1.5), np.int64(-3), np.uint8(200), np.bool_(True), np.float64(0.1), np.int32(7))]
    for attributes, pick in ask.combos(value=values, shape_=[[2, 3], [1, 3, 1, 1], [5], [0, 2]], fed_=[False, True]):
        yield Call([(Fed if pick.fed_ else Const)(ints(*pick.shape_))], attributes)


@recipe("Range")
def ranges(ask):
    forms = [(0, 5, 1), (3, -4, -2), (1, 2, 0.25), (5, 5, 1), (2, 11, 3)]
    for attributes, pick in ask.combos(form_=forms, dtype_=ask.types(), fed_=[False, True]):
        if np.dtype(pick.dtype_).kind != "f" and pick.form_[2] == 0.25:
            continue
        yield Call([(Fed if pick.fed_ else Const)(np.array(value, pick.dtype_)) for value in pick.form_], attributes)


@recipe("OneHot")
def one_hot(ask):
    for attributes, pick in ask.combos(axis=[None, 0, 1, -1, -2], index_=[np.int64, np.int32, np.float32], dtype_=[np.float32, np.int64, np.int32], kind_=["count", "whole"], rank_=[[5], [2, 3]]):
        values = np.array([-1, 3]).astype(pick.dtype_)
        yield Call([Layer(pick.rank_, pick.kind_, pick.index_), Const(np.array(6, np.int64)), Const(values)], attributes)


@recipe("NonZero")
def nonzero(ask):
    for attributes, pick in ask.combos(shape_=[IMAGE, TABLE, [7]], dtype_=ask.types()):
        yield Call([Layer(pick.shape_, "whole", pick.dtype_)], attributes)


@recipe("Unique")
def unique(ask):
    for attributes, pick in ask.combos(axis=[None, 0, 1], shape_=[[7], TABLE], dtype_=ask.types(most=3), outputs_=[1, 4]):
        yield Call([Layer(pick.shape_, "whole", pick.dtype_)], attributes, pick.outputs_)


@recipe("ReverseSequence")
def reversed_sequence(ask):
    for attributes, pick in ask.combos(batch_axis=[None, 0, 1], time_axis=[None, 0, 1], dtype_=ask.types()):
        batch = [5, 3][attributes.get("batch_axis", 1)]
        longest = [5, 3][attributes.get("time_axis", 0)]
        yield Call([Layer([5, 3, 7], "normal", pick.dtype_), Const(ask.rng.integers(1, longest + 1, batch).astype(np.int64))], attributes)


@recipe("TopK")
def top(ask):
    for attributes, pick in ask.combos(axis=[None, 1, 2, -1, -2], k_=[1, 2, 3], k=None, shape_=[IMAGE, ROWS, [4, 7]], dtype_=ask.types(most=3), fed_=[False, True]):
        if attributes.get("axis", -1) >= len(pick.shape_) or attributes.get("sorted", 1) == 0:
            continue
        if ask.has("k"):
            attributes["k"] = pick.k_
            yield Call([Layer(pick.shape_)], attributes, 2)
        else:
            yield Call([Layer(pick.shape_, "normal", pick.dtype_), (Fed if pick.fed_ else Const)(ints(pick.k_))], attributes, 2)
    if ask.has("sorted"):
        yield Call([Layer([4, 7]), Const(ints(7))], {"sorted": 0}, 1)


@recipe("CenterCropPad")
def center(ask):
    for attributes, pick in ask.combos(axes=[None, [2, 3], [-1]], sizes_=[(4, 9), (5, 6), (8, 3)], dtype_=ask.types(most=3)):
        shape = [2, 2, *pick.sizes_] if pick.axes is None else pick.sizes_[: len(pick.axes)]
        yield Call([Layer(IMAGE, "normal", pick.dtype_), Const(ints(*shape))], attributes)


@recipe("TensorScatter")
def cache(ask):
    for attributes, pick in ask.combos(axis=[None, -2, 1, 2], write_=[None, [0, 1], [3, 2]], shape_=[[2, 5, 4], [2, 3, 6, 4]], dtype_=ask.types(most=2)):
        axis = attributes.get("axis", -2)
        update = list(pick.shape_)
        update[axis] = 2
        write = None if pick.write_ is None else Const(ints(*pick.write_))
        yield Call([Layer(pick.shape_, "normal", pick.dtype_), Layer(update, "normal", pick.dtype_), write], attributes)


@recipe("CumSum", "CumProd")
def cumulative(ask):
    for attributes, pick in ask.combos(axis_=[0, 1, -1, 2], shape_=[ROWS, IMAGE, TABLE], dtype_=ask.types(most=4), fed_=[False, True], kind_=[np.int64, np.int32]):
        yield Call([Layer(pick.shape_, "normal", pick.dtype_), (Fed if pick.fed_ else Const)(np.array(pick.axis_, pick.kind_))], attributes)


@recipe("Constant")
def constant(ask):
    tensor = random(ask.rng, [3, 5])
    choices = {
        "value": [tensor, np.array([1, 2, 3]), np.array(True)], "value_float": [1.5], "value_floats": [[1.5, -2.0, 0.25]], "value_int": [-3],
        "value_ints": [[1, 2, 3]],
    }  # fmt: skip
    for name, values in choices.items():
        for value in values if ask.has(name) else []:
            yield Call([], {name: value})


RECIPES["Identity"] = RECIPES["generic"]
