"""Recipes of operators with windows, and of those that sample an image: convolutions, pools, resizing."""

import numpy as np

from judge_build import Call, Const, Fed, Layer
from judge_recipes import ints, normal, random, recipe

IMAGE = [2, 3, 9, 7]


def windows(spatial, rng):
    """Choices of the attributes that convolutions and pools have in common; pads and dilations by the number of dimensions."""
    pads = {1: [None, [1, 2], [2, 0]], 2: [None, [1, 1, 1, 1], [0, 1, 2, 1], [2, 0, 1, 1]], 3: [None, [1, 0, 1, 0, 1, 1]]}[spatial]
    strides = {1: [None, [2], [3]], 2: [None, [2, 2], [2, 1], [3, 2], [1, 3]], 3: [None, [2, 1, 2]]}[spatial]
    dilations = {1: [None, [2]], 2: [None, [2, 2], [1, 2], [3, 1]], 3: [None, [1, 2, 1]]}[spatial]
    kernels = {1: [[3], [2], [1]], 2: [[3, 3], [2, 3], [1, 1], [2, 2], [3, 1]], 3: [[2, 3, 1]]}[spatial]
    return pads, strides, dilations, kernels


def explicit(attributes):
    """Pads do not go with an automatic padding."""
    if attributes.get("auto_pad", "NOTSET") != "NOTSET":
        attributes.pop("pads", None)


@recipe("AveragePool", "MaxPool", "LpPool")
def pool(ask):
    shapes = {1: [2, 3, 11], 2: IMAGE, 3: [1, 2, 5, 6, 4]}
    for spatial, limit in ((2, ask.limit * 3 // 4), (1, ask.limit // 8 + 1), (3, ask.limit // 8 + 1)):
        pads, strides, dilations, kernels = windows(spatial, ask.rng)
        outputs = [1, 2] if ask.operator == "MaxPool" and ask.version >= 8 else [1]
        choices = dict(kernel_shape=kernels, strides=strides, pads=pads, dilations=dilations, outputs_=outputs, p=[None, 1, 2, 3], kind_=["normal", "huge"])
        for attributes, pick in ask.combos(limit, dtype_=ask.types(most=4 if spatial == 2 else 1), **choices):
            explicit(attributes)
            if "SAME" in attributes.get("auto_pad", ""):
                # onnxruntime leaves them out of the padding, which no other voice does.
                attributes.pop("dilations", None)
            yield Call([Layer(shapes[spatial], pick.kind_, pick.dtype_)], attributes, pick.outputs_, tail=pick.outputs_ == 1)


@recipe("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(ask):
    for attributes, pick in ask.combos(shape_=[IMAGE, [2, 3, 11], [1, 2, 5, 6, 4], [3, 5, 1, 1]], kind_=["normal", "huge", "large"], p=[None, 1, 2, 3]):
        yield Call([Layer(pick.shape_, pick.kind_)], attributes)


@recipe("Conv", "ConvTranspose")
def convolution(ask):
    transposed = ask.operator == "ConvTranspose"
    for spatial, limit in ((2, ask.limit), (1, ask.limit // 6 + 1), (3, ask.limit // 8 + 1)):
        pads, strides, dilations, kernels = windows(spatial, ask.rng)
        extra = [None] if not transposed else {1: [None, [1]], 2: [None, [1, 0], [1, 1], [0, 1]], 3: [None]}[spatial]
        sizes = [None] if not transposed or spatial != 2 else [None, None, [19, 14], [18, 15]]
        choices = dict(output_padding=extra, output_shape=sizes, kernel_=kernels, kernel_shape=[None], strides=strides, pads=pads, dilations=dilations, group=[None, 1, 2, 4])
        for attributes, pick in ask.combos(limit, bias_=[False, True], said_=[False, True], before_=["layer", "fed"], **choices):
            explicit(attributes)
            if pick.output_shape:
                attributes.pop("pads", None)
                attributes.pop("output_padding", None)
                attributes["strides"] = [2, 2]
            group = attributes.get("group", 1)
            shape = [2, 4, *[9, 7, 5][:spatial]]
            kernel = normal(ask.rng, *([4, 6 // 2] if transposed else [8, 4 // group]), *pick.kernel_)
            if pick.said_:
                attributes["kernel_shape"] = pick.kernel_
            data = Layer(shape) if pick.before_ == "layer" else Fed(normal(ask.rng, *shape))
            out = 3 * group if transposed else 8
            yield Call([data, Const(kernel), Const(normal(ask.rng, out)) if pick.bias_ else None], attributes)


@recipe("ConvInteger")
def integer_convolution(ask):
    pads, strides, dilations, kernels = windows(2, ask.rng)
    choices = dict(kernel_=kernels, kernel_shape=None, said_=[0, 1], strides=strides, pads=pads, dilations=dilations, group=[None, 2], zeros_=[0, 1, 2])
    for attributes, pick in ask.combos(x_=[np.uint8, np.int8], w_=[np.uint8, np.int8], **choices):
        explicit(attributes)
        if pick.said_:
            attributes["kernel_shape"] = pick.kernel_
        w = random(ask.rng, [4, 4 // attributes.get("group", 1), *pick.kernel_], pick.w_, -9, 9)
        zeros = [Const(np.array(3, pick.x_)), Const(np.array(2, pick.w_))][: pick.zeros_]
        yield Call([Layer([2, 4, 9, 7], "whole", pick.x_), Const(w), *zeros], attributes)


@recipe("MatMulInteger")
def integer_product(ask):
    for attributes, pick in ask.combos(x_=[np.uint8, np.int8], w_=[np.uint8, np.int8], zeros_=[0, 1, 2], shape_=[[3, 5], [2, 3, 5]]):
        zeros = [Const(np.array(3, pick.x_)), Const(np.array(2, pick.w_))][: pick.zeros_]
        yield Call([Layer(pick.shape_, "whole", pick.x_), Const(random(ask.rng, [5, 4], pick.w_, -9, 9)), *zeros], attributes)


@recipe("QLinearConv")
def quantized_convolution(ask):
    pads, strides, dilations, kernels = windows(2, ask.rng)
    choices = dict(kernel_=kernels, kernel_shape=None, said_=[0, 1], strides=strides, pads=pads, dilations=dilations, group=[None, 2], bias_=[False, True], channels_=[False, True])
    for attributes, pick in ask.combos(x_=[np.uint8, np.int8], **choices):
        explicit(attributes)
        if pick.said_:
            attributes["kernel_shape"] = pick.kernel_
        w = random(ask.rng, [4, 4 // attributes.get("group", 1), *pick.kernel_], np.int8, -60, 60)
        scale = ask.rng.uniform(0.01, 0.03, 4).astype(np.float32) if pick.channels_ else np.float32(0.02)
        bias = [Const(ask.rng.integers(-500, 500, 4).astype(np.int32))] if pick.bias_ else []
        x = [Layer([2, 4, 9, 7], "whole", pick.x_), Const(np.float32(0.5)), Const(np.array(2, pick.x_))]
        weights = [Const(w), Const(scale), Const(np.zeros(np.shape(scale), np.int8))]
        yield Call([*x, *weights, Const(np.float32(0.0837)), Const(np.array(7, pick.x_)), *bias], attributes)


@recipe("QLinearMatMul")
def quantized_product(ask):
    for attributes, pick in ask.combos(x_=[np.uint8, np.int8], shape_=[[3, 5], [2, 3, 5]], columns_=[False, True]):
        w = random(ask.rng, [5, 4], np.int8, -60, 60)
        scale = ask.rng.uniform(0.01, 0.03, 4).astype(np.float32) if pick.columns_ else np.float32(0.02)
        x = [Layer(pick.shape_, "whole", pick.x_), Const(np.float32(0.5)), Const(np.array(2, pick.x_))]
        weights = [Const(w), Const(scale), Const(np.zeros(np.shape(scale), np.int8))]
        yield Call([*x, *weights, Const(np.float32(0.0837)), Const(np.array(7, pick.x_))], attributes)


@recipe("DeformConv")
def deformable(ask):
    choices = dict(kernel_shape=[None], strides=[None, [2, 2]], pads=[[0, 0, 0, 0], [1, 1, 1, 1]], dilations=[None, [2, 1]], group=[None, 2], offset_group=[None, 2], mask_=[0, 1], bias_=[0, 1])
    for attributes, pick in ask.combos(**choices):
        strides, pads, dilations = attributes.get("strides", [1, 1]), attributes["pads"], attributes.get("dilations", [1, 1])
        out = [(size + pads[at] + pads[at + 2] - dilations[at] * 1 - 1) // strides[at] + 1 for at, size in enumerate((9, 7))]
        offsets = attributes.get("offset_group", 1)
        kernel = normal(ask.rng, 4, 4 // attributes.get("group", 1), 2, 2)
        attributes["kernel_shape"] = [2, 2]
        bias = Const(normal(ask.rng, 4)) if pick.bias_ else None
        mask = Const(normal(ask.rng, 1, offsets * 4, *out)) if pick.mask_ else None
        yield Call([Layer([1, 4, 9, 7]), Const(kernel), Const(normal(ask.rng, 1, offsets * 8, *out)), bias, mask], attributes)


@recipe("CausalConvWithState")
def causal(ask):
    for attributes, pick in ask.combos(bias_=[0, 1], past_=[0, 1], size_=[3, 2, 1]):
        bias = Const(normal(ask.rng, 3)) if pick.bias_ else None
        past = Fed(normal(ask.rng, 2, 3, pick.size_ - 1)) if pick.past_ else None
        yield Call([Layer([2, 3, 7]), Const(normal(ask.rng, 3, 1, pick.size_)), bias, past], attributes, 2)


@recipe("MaxUnpool")
def unpool(ask):
    for attributes, pick in ask.combos(kernel_shape=[[2, 2]], strides=[[2, 2], None], pads=[None, [0, 0, 0, 0]], size_=[None, [1, 1, 7, 9]]):
        if pick.size_ and pick.strides is None:
            continue
        places = np.array([[[[0, 3], [17, 12]]]] if pick.strides else [[[[0, 2], [4, 8]]]], np.int64)
        yield Call([Layer([1, 1, 2, 2]), Const(places), None if pick.size_ is None else Const(ints(*pick.size_))], attributes)


@recipe("Upsample")
def upsample(ask):
    forms = [[1, 1, 2, 2], [1, 1, 3, 2], [1, 1, 1.5, 2.5], [1, 1, 1, 2]]
    old = ask.version == 1
    for attributes, pick in ask.combos(scales_=forms, scales=None, mode=[None, "linear", "nearest"], width_scale=[2.0, 1.0], height_scale=[2.0, 3.0], shape_=[[1, 3, 5, 7], [2, 3, 4, 6]]):
        if ask.has("scales"):
            attributes["scales"] = [float(scale) for scale in pick.scales_]
        scales = [] if old or ask.has("scales") else [Const(np.array(pick.scales_, np.float32))]
        yield Call([Layer(pick.shape_), *scales], attributes)


@recipe("Resize")
def resize(ask):
    scales = [[2, 2], [0.5, 0.5], [1.5, 2], [1, 3], [0.75, 0.5], [2.5, 1.25], [1, 1], [0.6, 1.0]]
    sizes = [[10, 14], [3, 4], [8, 7], [1, 5], [13, 3], [5, 7], [1, 1]]
    sides = [("scales", value) for value in scales] + ([("sizes", value) for value in sizes] if ask.version >= 11 else [])
    modes = ["nearest", "linear", "cubic"] if ask.version >= 11 else ["nearest", "linear"]
    kept = [None, "stretch", "not_larger", "not_smaller"]
    choices = dict(side_=sides, mode=modes, axes=[None, [2, 3], [3, 2], [-1]], cubic_coeff_a=[None, -0.5], antialias=[None, 1], extrapolation_value=[None, 10.0])
    rounds = 3 if ask.version in (11, 13, 19) else 2
    for attributes, pick in ask.combos(ask.limit * rounds, keep_aspect_ratio_policy=kept, shape_=[[1, 3, 5, 7], [2, 3, 9, 6]], dtype_=ask.types(most=4), **choices):
        side, value = pick.side_
        full = attributes.get("axes") is None
        if side == "scales":
            attributes.pop("keep_aspect_ratio_policy", None)
        if attributes["mode"] != "nearest":
            attributes.pop("nearest_mode", None)
        if attributes["mode"] != "cubic":
            attributes.pop("cubic_coeff_a", None)
            attributes.pop("exclude_outside", None)
        if not full:
            value = value[: len(attributes["axes"])]
        shape = pick.shape_
        if side == "scales":
            value = np.array(([1, 1] if full else []) + list(value), np.float32)
        else:
            value = np.array((shape[:2] if full else []) + list(value), np.int64)
        # How interpolated integers are rounded is nowhere said.
        layer = Layer(shape, "normal", pick.dtype_ if attributes["mode"] == "nearest" else np.float32)
        if ask.version == 10:
            yield Call([layer, Const(value)], attributes)
            continue
        crops = attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize"
        if crops:
            count = len(value)
            roi = Const(np.array([0.0] * (count - 2) + [0.1, 0.2][-count:] + [1.0] * (count - 2) + [0.8, 1.1][-count:], np.float32))
        else:
            attributes.pop("extrapolation_value", None)
            roi = None if ask.version >= 13 else Const(np.zeros(0, np.float32))
        other = None if ask.version >= 13 else Const(np.zeros(0, np.float32))
        yield Call([layer, roi, *([Const(value)] if side == "scales" else [other, Const(value)])], attributes)


@recipe("GridSample")
def grid_sample(ask):
    modes = ["bilinear", "nearest", "bicubic"] if ask.version < 20 else ["linear", "nearest", "cubic"]
    for attributes, pick in ask.combos(mode=[None, *modes], shape_=[[2, 3, 5, 7], [1, 2, 4, 5, 3]] if ask.version >= 20 else [[2, 3, 5, 7]], fed_=[0, 1]):
        spatial = len(pick.shape_) - 2
        grid = ask.rng.uniform(-1.4, 1.4, [pick.shape_[0], *[4, 3, 2][:spatial], spatial]).astype(np.float32)
        yield Call([Layer(pick.shape_), (Fed if pick.fed_ else Const)(grid)], attributes)


@recipe("AffineGrid")
def affine(ask):
    for attributes, pick in ask.combos(size_=[[2, 3, 5, 7], [1, 1, 4, 3], [2, 3, 4, 5, 3]]):
        spatial = len(pick.size_) - 2
        yield Call([Fed(normal(ask.rng, pick.size_[0], spatial, spatial + 1)), Const(ints(*pick.size_))], attributes)


@recipe("RoiAlign", "MaxRoiPool")
def regions(ask):
    aligned = ask.operator == "RoiAlign"
    boxes = np.array([[0, 0, 5, 6], [1, 2, 4, 5], [2, 1, 6, 8]], np.float32)
    choices = dict(pooled_shape=[[2, 3], [1, 1]], spatial_scale=[None, 0.5], output_height=[None, 2], output_width=[None, 3], sampling_ratio=[None, 2])
    for attributes, pick in ask.combos(**choices):
        if aligned:
            yield Call([Layer([2, 3, 9, 7]), Const(boxes), Const(ints(0, 1, 1))], attributes)
        else:
            attributes.setdefault("spatial_scale", 1.0)
            yield Call([Layer([2, 3, 9, 7]), Const(np.concatenate([np.float32([[0], [1], [1]]), boxes], 1))], attributes)


@recipe("Col2Im")
def columns(ask):
    for attributes, pick in ask.combos(strides=[None, [2, 1]], pads=[None, [1, 0, 0, 1]], dilations=[None, [1, 2]]):
        strides, pads, dilations = (attributes.get(name, usual) for name, usual in (("strides", [1, 1]), ("pads", [0] * 4), ("dilations", [1, 1])))
        blocks = [(size + pads[at] + pads[at + 2] - dilations[at] - 1) // strides[at] + 1 for at, size in enumerate((5, 6))]
        yield Call([Layer([2, 3 * 4, blocks[0] * blocks[1]]), Const(ints(5, 6)), Const(ints(2, 2))], attributes)


@recipe("NonMaxSuppression")
def suppression(ask):
    corners = ask.rng.random([1, 9, 2]) * 5
    boxes = np.concatenate([corners, corners + 0.5 + ask.rng.random([1, 9, 2]) * 3], 2).astype(np.float32)
    for attributes, pick in ask.combos(count_=[None, 2, 9], overlap_=[None, 0.5, 0.1], least_=[None, 0.0]):
        limits = [None if pick.count_ is None else ints(pick.count_)] + [None if value is None else np.array([value], np.float32) for value in (pick.overlap_, pick.least_)]
        yield Call([Fed(boxes), Layer([1, 2, 9]), *(None if value is None else Const(value) for value in limits)], attributes)
