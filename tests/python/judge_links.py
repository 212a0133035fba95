"""The links of random chains. Each takes a chain, adds nodes behind its newest value, and gives the new one, or None where it does not fit."""

import numpy as np

LINKS = []


def link(weight=1):
    def register(function):
        LINKS.extend([function] * weight)
        return function

    return register


def is_image(chain):
    return len(chain.shape) == 4


def same_padding(chain, kernel):
    """Attributes of a padding, in one of its ways to be said."""
    how = chain.pick("SAME_UPPER", "SAME_LOWER", "VALID", "pads", "pads", "none")
    if how == "pads":
        return {"pads": [int(chain.rng.integers(0, size)) for size in kernel * 2]}
    return {} if how == "none" else {"auto_pad": how}


def fits(chain, kernel, attributes):
    """Whether a window lies within the padded image at all; of one that does not, runtimes make what they like."""
    if "SAME" in attributes.get("auto_pad", ""):
        return True
    pads = attributes.get("pads", [0] * 4)
    return all(chain.shape[2 + at] + pads[at] + pads[at + 2] >= size for at, size in enumerate(kernel))


@link(4)
def convolution(chain):
    if not is_image(chain):
        return None
    channels = chain.shape[1]
    groups = chain.pick(1, 1, 1, channels, 2)
    if channels % groups:
        return None
    out = groups * chain.pick(1, 2, 3)
    kernel = [chain.pick(1, 2, 3), chain.pick(1, 2, 3)]
    attributes = same_padding(chain, kernel)
    if chain.chance(0.5):
        attributes["strides"] = [chain.pick(1, 2), chain.pick(1, 2, 3)]
    if chain.chance(0.3) and "SAME" not in attributes.get("auto_pad", ""):
        attributes["dilations"] = [chain.pick(1, 2), 2]
    weights = chain.normal(out, channels // groups, *kernel) / np.float32((channels // groups * np.prod(kernel)) ** 0.5)
    inputs = [chain.name, chain.constant(weights)] + ([chain.constant(chain.normal(out))] if chain.chance(0.4) else [])
    return chain.node("Conv", inputs, group=groups, **attributes)


@link()
def transposed_convolution(chain):
    if not is_image(chain):
        return None
    channels = chain.shape[1]
    groups = chain.pick(1, 1, channels)
    kernel = [chain.pick(2, 3), chain.pick(1, 3)]
    attributes = {"strides": [chain.pick(1, 2), chain.pick(1, 2)]}
    if chain.chance(0.5):
        attributes["pads"] = [int(chain.rng.integers(0, size)) for size in kernel * 2]
    if chain.chance(0.2):
        attributes["output_padding"] = [stride - 1 for stride in attributes["strides"]]
    weights = chain.normal(channels, chain.pick(1, 2, 3), *kernel) / np.float32(channels**0.5)
    return chain.node("ConvTranspose", [chain.name, chain.constant(weights)], group=groups, **attributes)


@link(2)
def product(chain):
    if len(chain.shape) < 2:
        return None
    size = chain.shape[-1]
    if chain.chance(0.15) and len(chain.shape) >= 3:
        order = [*range(len(chain.shape) - 2), len(chain.shape) - 1, len(chain.shape) - 2]
        return chain.node("MatMul", [chain.name, chain.node("Transpose", [chain.name], perm=order)])
    if chain.chance(0.2):
        return chain.node("MatMul", [chain.constant(chain.normal(chain.pick(3, 4), chain.shape[-2]) / 2), chain.name])
    return chain.node("MatMul", [chain.name, chain.constant(chain.normal(size, chain.pick(3, 4, 6)) / np.float32(size**0.5))])


@link()
def gemm(chain):
    if len(chain.shape) != 2:
        return None
    turned, size, out = chain.pick(0, 1), chain.shape[1], chain.pick(3, 5)
    weights = chain.normal(*([out, size] if turned else [size, out]))
    bias = chain.constant(chain.normal(*chain.pick([out], [1, out], [])))
    return chain.node("Gemm", [chain.name, chain.constant(weights), bias], transB=turned, alpha=chain.pick(None, 0.5), beta=chain.pick(None, 2.0))


@link(2)
def pool(chain):
    if not is_image(chain):
        return None
    kernel = [chain.pick(2, 3), chain.pick(1, 2, 3)]
    attributes = {"kernel_shape": kernel, "strides": chain.pick(None, [2, 2], [1, 2]), **same_padding(chain, kernel)}
    if not fits(chain, kernel, attributes):
        return None
    operator = chain.pick("MaxPool", "AveragePool")
    if chain.opset >= 10 and "auto_pad" not in attributes and chain.chance(0.3):
        attributes["ceil_mode"] = 1
    if operator == "AveragePool" and chain.chance(0.4):
        attributes["count_include_pad"] = 1
    return chain.node(operator, [chain.name], **attributes)


@link()
def global_pool(chain):
    return chain.node(chain.pick("GlobalAveragePool", "GlobalMaxPool"), [chain.name]) if is_image(chain) else None


@link(6)
def arithmetic(chain):
    """With a constant on either side, of any rank."""
    shape, rank = chain.shape, len(chain.shape)
    shapes = [[], [1], shape[-1:], [1] * rank, shape[1:], [1, *shape]]
    if rank > 2:
        shapes += [[shape[1], *[1] * (rank - 2)], [1, shape[1], *[1] * (rank - 2)]] * 3
    constant = chain.normal(*shapes[int(chain.rng.integers(len(shapes)))])
    operator = chain.pick("Add", "Sub", "Mul", "Div", "Max", "Min", "Sub", "Add", "Mul")
    left = chain.chance(0.35)
    if operator == "Div":
        left, constant = False, np.where(np.abs(constant) < 0.3, np.float32(0.7), constant).astype(np.float32)
    inputs = [chain.name, chain.constant(constant)]
    return chain.node(operator, inputs[::-1] if left else inputs)


@link(2)
def residual(chain):
    """With an earlier value of the same shape."""
    same = [name for name, shape in chain.values[:-1] if shape == chain.shape]
    if not same:
        return None
    return chain.node(chain.pick("Add", "Sub", "Mul", "Max"), [chain.name, chain.pick(*same)])


@link(2)
def gated(chain):
    """Two readers of one value, that meet again."""
    first, second = (chain.node(chain.pick("Relu", "Sigmoid", "Tanh", "Identity", "Neg", "Abs"), [chain.name]) for _ in range(2))
    if chain.chance(0.3):
        return chain.node("Concat", [first, second], axis=len(chain.shape) - 1 if chain.chance(0.5) else min(1, len(chain.shape) - 1))
    return chain.node(chain.pick("Mul", "Add", "Sub"), [first, second])


@link()
def twice(chain):
    """Two layers that read one value."""
    if not is_image(chain):
        return None
    channels = chain.shape[1]
    wide, narrow = chain.normal(3, channels, 3, 3) / 4, chain.normal(3, channels, 1, 1)
    first = chain.node("Conv", [chain.name, chain.constant(wide)], pads=[1, 1, 1, 1])
    return chain.node("Add", [first, chain.node("Conv", [chain.name, chain.constant(narrow)])])


@link(4)
def activation(chain):
    names = ["Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Softplus", "Softsign", "HardSigmoid", "Selu", "Neg", "Abs", "Exp", "Identity", "PRelu"]
    names += ["Erf"] if chain.opset >= 9 else []
    names += ["Celu", "ThresholdedRelu"] if chain.opset >= 12 else []
    names += ["HardSwish"] if chain.opset >= 14 else []
    names += ["Mish"] if chain.opset >= 18 else []
    names += ["Gelu", "Gelu"] if chain.opset >= 20 else []
    name = chain.pick(*names)
    if name == "PRelu":
        slopes = chain.normal(*(chain.shape[1:2] + [1] * (len(chain.shape) - 2))) if len(chain.shape) > 1 else chain.normal(1)
        return chain.node(name, [chain.name, chain.constant(slopes)])
    attributes = {"alpha": chain.pick(None, 0.3, 2.0)} if name in ("LeakyRelu", "Elu", "Celu", "ThresholdedRelu", "HardSigmoid", "Selu") else {}
    if name == "Gelu":
        attributes = {"approximate": chain.pick("none", "tanh")}
    return chain.node(name, [chain.name], **attributes)


@link()
def clip(chain):
    low, high = chain.pick((-0.3, 0.9), (0.0, 6.0), (None, 0.5), (-0.25, None))
    if chain.opset < 11:
        return chain.node("Clip", [chain.name], min=low, max=high)
    return chain.node("Clip", [chain.name, *("" if bound is None else chain.constant(np.float32(bound)) for bound in (low, high))])


def axis_operand(chain, operator, axes, since):
    """Axes as attribute, or as an input in later versions."""
    return ({"axes": axes}, []) if chain.opset < since else ({}, [chain.ints(*axes)])


@link(3)
def slices(chain):
    axis = int(chain.rng.integers(len(chain.shape)))
    size = chain.shape[axis]
    if chain.opset < 10:
        return chain.node("Slice", [chain.name], axes=[axis], starts=[chain.pick(0, 1, -2)], ends=[chain.pick(1000, size)])
    start, end, step = chain.pick((0, 1000, 2), (1, 1000, 2), (1, 1000, 1), (size - 1, -1000, -1), (5, 1000, 2), (-1, -1000, -2), (0, -1, 1), (2, 1000, 3), (0, 1000, 3))
    return chain.node("Slice", [chain.name, chain.ints(start), chain.ints(end), chain.ints(axis), chain.ints(step)])


@link(3)
def pad(chain):
    rank = len(chain.shape)
    mode = chain.pick("constant", "reflect", "edge", "constant", *(["wrap"] if chain.opset >= 19 else []))
    pads = [0] * 2 * rank
    for axis in range(max(0, rank - 2), rank):
        most = min(2, chain.shape[axis] - 1)
        if most < 1:
            return None
        pads[axis], pads[axis + rank] = (int(chain.rng.integers(-1 if mode == "constant" else 0, most + 1)) for _ in range(2))
    if rank > 2 and chain.chance(0.2):
        pads[1] = 1
    value = chain.pick(None, 0.0, 1.5) if mode == "constant" else None
    if chain.opset < 11:
        return chain.node("Pad", [chain.name], mode=mode, pads=pads, value=value)
    return chain.node("Pad", [chain.name, chain.ints(*pads), *([] if value is None else [chain.constant(np.float32(value))])], mode=mode)


@link()
def concat(chain):
    axis = int(chain.rng.integers(len(chain.shape)))
    shape = list(chain.shape)
    shape[axis] = chain.pick(1, 2)
    inputs = [chain.name, chain.constant(chain.normal(*shape))]
    return chain.node("Concat", inputs[::-1] if chain.chance(0.5) else inputs, axis=axis)


@link(2)
def split(chain):
    axes = [axis for axis, size in enumerate(chain.shape) if size >= 2]
    if not axes:
        return None
    axis = chain.pick(*axes)
    first = int(chain.rng.integers(1, chain.shape[axis]))
    sizes = [first, chain.shape[axis] - first]
    if chain.opset < 13:
        parts = chain.node("Split", [chain.name], 2, axis=axis, split=sizes)
    else:
        parts = chain.node("Split", [chain.name, chain.ints(*sizes)], 2, axis=axis)
    how = chain.pick("swap", "one", "tanh")
    if how == "one":
        return parts[1]
    if how == "tanh":
        parts[0] = chain.node("Tanh", [parts[0]])
    return chain.node("Concat", parts[::-1], axis=axis)


@link(2)
def transpose(chain):
    return chain.node("Transpose", [chain.name], perm=[int(axis) for axis in chain.rng.permutation(len(chain.shape))])


@link(2)
def reshape(chain):
    shape = chain.shape
    if len(shape) >= 3:
        new = chain.pick([shape[0], -1], [shape[0], shape[1], -1], [0, 0, -1], [shape[0], -1, shape[-1]], [1, *shape], [shape[0] * shape[1], *shape[2:]])
    else:
        new = chain.pick([1, *shape], [1, 1, *shape], [-1, 1, *shape[1:]])
    return chain.node("Reshape", [chain.name, chain.ints(*new)])


@link()
def flatten(chain):
    return chain.node("Flatten", [chain.name], axis=chain.pick(None, 1, len(chain.shape) - 1))


@link()
def unsqueeze(chain):
    attributes, inputs = axis_operand(chain, "Unsqueeze", [int(chain.rng.integers(len(chain.shape) + 1))], 13)
    return chain.node("Unsqueeze", [chain.name, *inputs], **attributes) if len(chain.shape) < 5 else None


@link()
def squeeze(chain):
    ones = [axis for axis, size in enumerate(chain.shape) if size == 1]
    if not ones or len(chain.shape) < 2:
        return None
    attributes, inputs = axis_operand(chain, "Squeeze", [chain.pick(*ones)], 13)
    return chain.node("Squeeze", [chain.name, *inputs], **attributes)


@link(3)
def resize(chain):
    if not is_image(chain) or chain.opset < 10:
        return None
    mode = chain.pick("nearest", "nearest", "linear", *(["cubic"] if chain.opset >= 11 else []))
    scales = [1.0, 1.0, *chain.pick((2.0, 2.0), (0.5, 0.5), (1.5, 2.0), (1.0, 2.0), (2.0, 1.0), (3.0, 1.5))]
    if chain.opset < 11:
        return chain.node("Resize", [chain.name, chain.constant(np.float32(scales))], mode=mode)
    attributes = {"mode": mode, "coordinate_transformation_mode": chain.pick("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")}
    if mode == "nearest":
        attributes["nearest_mode"] = chain.pick("floor", "round_prefer_floor", "round_prefer_ceil", "ceil")
    empty = chain.constant(np.zeros(0, np.float32)) if chain.opset < 13 else ""
    if chain.chance(0.5):
        return chain.node("Resize", [chain.name, empty, chain.constant(np.float32(scales))], **attributes)
    sizes = [*chain.shape[:2], chain.shape[2] + chain.pick(-1, 1, 3), chain.shape[3] * chain.pick(1, 2)]
    return chain.node("Resize", [chain.name, empty, empty, chain.ints(*sizes)], **attributes) if min(sizes) > 0 else None


@link(3)
def reduction(chain):
    operator = chain.pick("Mean", "Sum", "Max", "Min", "L1", "L2", "SumSquare", "LogSumExp", "Mean", "Prod")
    axes = sorted({int(axis) for axis in chain.rng.integers(0, len(chain.shape), chain.pick(1, 2))})
    attributes, inputs = axis_operand(chain, operator, axes, 13 if operator == "Sum" else 18)
    if len(axes) == len(chain.shape):
        return None
    return chain.node(f"Reduce{operator}", [chain.name, *inputs], keepdims=chain.pick(None, 0, 1), **attributes)


@link(3)
def softmax(chain):
    axis = int(chain.rng.integers(len(chain.shape)))
    return chain.node(chain.pick("Softmax", "LogSoftmax"), [chain.name], axis=chain.pick(axis, axis - len(chain.shape)) if chain.opset >= 11 else axis)


@link(2)
def batch_normalization(chain):
    if len(chain.shape) < 2:
        return None
    size = chain.shape[1]
    inputs = [chain.normal(size), chain.normal(size), chain.normal(size), np.abs(chain.normal(size)) + np.float32(0.1)]
    return chain.node("BatchNormalization", [chain.name, *map(chain.constant, inputs)], epsilon=chain.pick(None, 0.01))


@link()
def instance_normalization(chain):
    if len(chain.shape) < 3 or int(np.prod(chain.shape[2:])) < 3:
        return None
    return chain.node("InstanceNormalization", [chain.name, *(chain.constant(chain.normal(chain.shape[1])) for _ in range(2))], epsilon=0.01)


@link()
def layer_normalization(chain):
    if chain.opset < 17 or chain.shape[-1] < 3:
        return None
    inputs = [chain.constant(chain.normal(chain.shape[-1])) for _ in range(chain.pick(1, 2))]
    return chain.node("LayerNormalization", [chain.name, *inputs], epsilon=0.01, axis=chain.pick(None, -1))


@link()
def group_normalization(chain):
    if chain.opset < 18 or len(chain.shape) < 3 or int(np.prod(chain.shape[2:])) < 3:
        return None
    channels = chain.shape[1]
    groups = chain.pick(1, channels)
    count = channels if chain.opset >= 21 else groups
    return chain.node("GroupNormalization", [chain.name, *(chain.constant(chain.normal(count)) for _ in range(2))], num_groups=groups, epsilon=0.01)


@link()
def local_response(chain):
    return chain.node("LRN", [chain.name], size=chain.pick(1, 3), alpha=0.3, beta=0.5, bias=1.0) if is_image(chain) else None


@link(2)
def gather(chain):
    axis = int(chain.rng.integers(len(chain.shape)))
    size = chain.shape[axis]
    indices = chain.rng.integers(0 if chain.opset < 11 else -size, size, chain.pick([2], [size], [], [2, 2]))
    return chain.node("Gather", [chain.name, chain.constant(np.array(indices, np.int64))], axis=axis) if len(chain.shape) > 1 else None


@link()
def expand(chain):
    if chain.opset < 8:
        return None
    shape = [chain.pick(2, 3) if size == 1 else size for size in chain.shape]
    return chain.node("Expand", [chain.name, chain.ints(*chain.pick(shape, [2, *shape], [1]))])


@link()
def tile(chain):
    return chain.node("Tile", [chain.name, chain.ints(*(chain.pick(1, 1, 2) for _ in chain.shape))])


@link()
def blocks(chain):
    if not is_image(chain):
        return None
    if chain.shape[1] % 4 == 0:
        return chain.node("DepthToSpace", [chain.name], blocksize=2, mode=chain.pick("DCR", "CRD") if chain.opset >= 11 else None)
    return chain.node("SpaceToDepth", [chain.name], blocksize=2) if chain.shape[2] % 2 == chain.shape[3] % 2 == 0 else None


@link(2)
def where(chain):
    """Chosen by a comparison of the value itself."""
    if chain.opset < 9:
        return None
    bound = chain.constant(np.float32(chain.pick(0.0, 0.1)))
    condition = chain.node(chain.pick("Greater", "Less"), [chain.name, bound])
    other = chain.pick(chain.constant(np.float32(-0.5)), chain.node("Sigmoid", [chain.name]))
    inputs = [other, chain.name] if chain.chance(0.5) else [chain.name, other]
    return chain.node("Where", [condition, *inputs])


@link()
def fraction(chain):
    """What casting to integers cuts off."""
    if chain.opset < 9:
        return None
    whole = chain.node("Floor", [chain.name]) if chain.chance(0.3) else chain.node("Cast", [chain.node("Cast", [chain.name], to=7)], to=1)
    return chain.node("Sub", [chain.name, whole])


@link()
def top(chain):
    if chain.opset < 11 or chain.shape[-1] < 2:
        return None
    return chain.node("TopK", [chain.name, chain.ints(chain.pick(1, 2))], 2, axis=-1, largest=chain.pick(0, 1))[0]


@link()
def cumulative(chain):
    if chain.opset < 11:
        return None
    axis = chain.constant(np.array(int(chain.rng.integers(len(chain.shape))), np.int64))
    return chain.node("CumSum", [chain.name, axis], reverse=chain.pick(0, 1), exclusive=chain.pick(0, 1))


@link(2)
def quantized(chain):
    """A pair of QuantizeLinear and DequantizeLinear."""
    if chain.opset < 10:
        return None
    axis, size = None, []
    if chain.opset >= 13 and len(chain.shape) > 1 and chain.chance(0.3):
        axis, size = 1, [chain.shape[1]]
    scale = chain.constant(chain.rng.uniform(0.01, 0.04, size).astype(np.float32))
    zero = chain.constant(np.full(size, chain.pick(0, 3), chain.pick(np.int8, np.uint8)))
    return chain.node("DequantizeLinear", [chain.node("QuantizeLinear", [chain.name, scale, zero], axis=axis), scale, zero], axis=axis)


@link()
def recurrent(chain):
    if len(chain.shape) != 3:
        return None
    operator = chain.pick("LSTM", "GRU", "RNN")
    gates, size, hidden = {"LSTM": 4, "GRU": 3, "RNN": 1}[operator], chain.shape[2], 3
    directions = chain.pick(1, 2)
    weights = [chain.normal(directions, gates * hidden, size) / 3, chain.normal(directions, gates * hidden, hidden) / 3]
    weights += [chain.normal(directions, 2 * gates * hidden)] if chain.chance(0.5) else []
    direction = "bidirectional" if directions == 2 else chain.pick("forward", "reverse")
    before = chain.node(operator, [chain.name, *map(chain.constant, weights)], 1, hidden_size=hidden, direction=direction)
    attributes, inputs = axis_operand(chain, "Squeeze", [1], 13)
    return chain.node("Squeeze", [before, *inputs], **attributes) if directions == 1 else chain.node("Transpose", [before], perm=[0, 2, 1, 3])
