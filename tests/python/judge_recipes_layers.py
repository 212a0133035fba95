"""Recipes of layers: products, normalisations, recurrent networks, attention, quantization; of signals and losses; of nodes with bodies."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from judge_build import Call, Const, Fed, Layer
from judge_recipes import ints, normal, random, recipe

IMAGE, ROWS, TABLE = [2, 3, 5, 7], [2, 5, 7], [3, 5]


@recipe("MatMul")
def product(ask):
    pairs = [([3, 5], [5, 4]), ([2, 3, 5], [5, 4]), ([2, 3, 5], [2, 5, 4]), ([3, 5], [2, 5, 4]), ([5], [5, 4]), ([3, 5], [5]), ([1, 3, 5, 7], [7, 2]), ([2, 1, 3, 5], [4, 5, 2]), ([1, 3, 5, 7], [3, 7, 2]), ([2, 3, 5], [5])]
    for attributes, pick in ask.combos(pair_=pairs, how_=["right", "left", "both"], dtype_=ask.types(most=4)):
        a, b = pick.pair_
        if pick.how_ == "left":
            yield Call([Const(random(ask.rng, a, pick.dtype_)), Layer(b, "normal", pick.dtype_)], attributes)
        else:
            b = Const(random(ask.rng, b, pick.dtype_)) if pick.how_ == "right" else Layer(b, "normal", pick.dtype_)
            yield Call([Layer(a, "normal", pick.dtype_), b], attributes)


@recipe("Gemm")
def gemm(ask):
    biases = [None, [4], [1, 4], [3, 1], [3, 4], [], [1]]
    for attributes, pick in ask.combos(bias_=biases, how_=["right", "left"], dtype_=ask.types(most=3), broadcast=[1], transA=[None, 1], transB=[None, 1]):
        a = [5, 3] if attributes.get("transA") else [3, 5]
        b = [4, 5] if attributes.get("transB") else [5, 4]
        bias = None if pick.bias_ is None else Const(random(ask.rng, pick.bias_, pick.dtype_))
        operands = [Layer(a, "normal", pick.dtype_), Const(random(ask.rng, b, pick.dtype_))]
        if pick.how_ == "left":
            operands = [Const(random(ask.rng, a, pick.dtype_)), Layer(b, "normal", pick.dtype_)]
        yield Call([*operands, bias], attributes)


@recipe("Einsum")
def einsum(ask):
    forms = [
        ("bij,jk->bik", [2, 3, 5], [5, 4]), ("bij,bjk->bik", [2, 3, 5], [2, 5, 4]), ("bhid,bhjd->bhij", [1, 2, 3, 5], [1, 2, 4, 5]), ("ij->ji", [3, 5], None),
        ("ij->i", [3, 5], None), ("ii->i", [4, 4], None), ("...ij,jk->...ik", [2, 3, 5], [5, 4]), ("i,j->ij", [3], [4]), ("ij,ij->", [3, 5], [3, 5]),
        ("bchw,c->bchw", [1, 3, 5, 7], [3]), ("ij,jk", [3, 5], [5, 4]), ("nchw->nhwc", [1, 3, 5, 7], None), ("bij,bik->bjk", [2, 3, 5], [2, 3, 4]), ("ii", [4, 4], None),
    ]  # fmt: skip
    for attributes, pick in ask.combos(form_=forms, equation=["ij->i"], how_=["right", "left", "both"]):
        equation, first, second = pick.form_
        attributes["equation"] = equation
        operands = [Layer(first)] if second is None else [Layer(first), Const(normal(ask.rng, *second))]
        if second is not None and pick.how_ == "left":
            operands = [Const(normal(ask.rng, *first)), Layer(second)]
        if second is not None and pick.how_ == "both":
            operands[1] = Layer(second)
        yield Call(operands, attributes)


@recipe("BatchNormalization")
def batch_normalization(ask):
    for attributes, pick in ask.combos(shape_=[IMAGE, [2, 3, 7], [4, 3], [1, 3, 2, 5, 3]], epsilon=[None, 0.1], momentum=[None], is_test=[1], spatial=[None, 1], kind_=["normal", "huge"], training_mode=[None, 0], consumed_inputs=[[0, 0, 0, 1, 1]]):
        channel = [Const(normal(ask.rng, 3)), Const(normal(ask.rng, 3)), Const(normal(ask.rng, 3)), Const(np.abs(normal(ask.rng, 3)))]
        yield Call([Layer(pick.shape_, pick.kind_), *channel], attributes)
    if ask.has("momentum"):
        yield Call([Layer(IMAGE), *(Const(np.abs(normal(ask.rng, 3))) for _ in range(4))], {"momentum": 0.5} | ({"is_test": 1} if ask.has("is_test") else {}))


@recipe("InstanceNormalization")
def instance_normalization(ask):
    for attributes, pick in ask.combos(shape_=[IMAGE, [2, 3, 7], [1, 3, 4, 5, 2]], epsilon=[None, 0.1, 0.0], kind_=["normal", "huge", "tiny"]):
        yield Call([Layer(pick.shape_, pick.kind_), Const(normal(ask.rng, 3)), Const(normal(ask.rng, 3))], attributes)


@recipe("LayerNormalization", "RMSNormalization")
def layer_normalization(ask):
    centred = ask.operator == "LayerNormalization"
    for attributes, pick in ask.combos(shape_=[ROWS, TABLE, IMAGE], axis=[None, -1, 1, -2, 2], epsilon=[None, 0.1], stash_type=[None, 1], kind_=["normal", "huge", "tiny"], bias_=[0, 1], outputs_=[1, 3, 2], scale_=["full", "last"]):
        axis = attributes.get("axis", -1)
        if axis >= len(pick.shape_):
            continue
        shape = pick.shape_[axis:] if pick.scale_ == "full" else pick.shape_[-1:]
        operands = [Layer(pick.shape_, pick.kind_), Const(normal(ask.rng, *shape))]
        if pick.bias_ and centred:
            operands.append(Const(normal(ask.rng, *shape)))
        yield Call(operands, attributes, pick.outputs_ if centred else 1, tail=pick.outputs_ == 1)


@recipe("GroupNormalization")
def group_normalization(ask):
    for attributes, pick in ask.combos(shape_=[[2, 6, 5, 7], [1, 6, 7]], num_groups=[2, 1, 3, 6], epsilon=[None, 0.1], stash_type=[None, 1], kind_=["normal", "huge", "tiny"]):
        count = attributes["num_groups"] if ask.version < 21 else 6
        yield Call([Layer(pick.shape_, pick.kind_), Const(normal(ask.rng, count)), Const(normal(ask.rng, count))], attributes)


@recipe("MeanVarianceNormalization")
def mean_variance(ask):
    for attributes, pick in ask.combos(shape_=[IMAGE], axes=[None, [0, 1, 2, 3], [2, 3], [1]], kind_=["normal", "large"]):
        yield Call([Layer(pick.shape_, pick.kind_)], attributes)


@recipe("LpNormalization")
def lp_normalization(ask):
    for attributes, pick in ask.combos(shape_=[IMAGE, ROWS, TABLE], axis=[None, 1, -2, 0], kind_=["normal", "huge"]):
        yield Call([Layer(pick.shape_, pick.kind_)], attributes)


@recipe("LRN")
def local_response(ask):
    for attributes, pick in ask.combos(shape_=[[2, 7, 5, 3]], size=[3, 1, 5, 2, 4], alpha=[None, 0.5], beta=[None, 0.5], bias=[None, 2.0], kind_=["normal", "large"]):
        yield Call([Layer(pick.shape_, pick.kind_)], attributes)


ACTIVATIONS = ["Relu", "Tanh", "Sigmoid", "Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu", "Softsign", "Softplus"]
ALPHAS, BETAS = {"Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu"}, {"Affine", "ScaledTanh", "HardSigmoid"}


@recipe("RNN", "LSTM", "GRU")
def recurrent(ask):
    gates, count = {"RNN": (1, 1), "LSTM": (4, 3), "GRU": (3, 2)}[ask.operator]
    usual = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}[ask.operator]
    ones = [[*usual[:at], name, *usual[at + 1 :]] for name in ACTIVATIONS for at in range(count)]
    activations = [None] * 8 + ones + [["Relu"] * count]
    masks = [True, [True, False], [False, True]] + ([[True, True, True]] if ask.operator == "LSTM" else [])
    choices = dict(
        hidden_size=[3], activations=activations, activation_alpha=None, activation_beta=None, clip=[None, None, 0.3], bias_=[1, 0], lengths_=[0, 0, 1],
        start_=[0, 1, 2], peep_=[0, 0, 1], outputs_=masks, output_sequence=[None, 1], one_=[False, True], values_=[None, 0.4],
    )  # fmt: skip
    for attributes, pick in ask.combos(ask.limit * 3, **choices):
        batch, steps, size, hidden = (1 if pick.one_ else 2), 4, 5, 3
        directions = 2 if attributes.get("direction") == "bidirectional" else 1
        if "activations" in attributes:
            names = attributes["activations"] = attributes["activations"] * directions
            if pick.values_:
                for key, having in (("activation_alpha", ALPHAS), ("activation_beta", BETAS)):
                    values = [pick.values_ for name in names if name in having]
                    if values:
                        attributes[key] = values
        batched = attributes.get("layout") == 1
        sides = [batch, directions] if batched else [directions, batch]
        w, r = normal(ask.rng, directions, gates * hidden, size) / 2, normal(ask.rng, directions, gates * hidden, hidden) / 2
        lengths = Const(ask.rng.permutation([steps, 2])[:batch].astype(np.int32)) if pick.lengths_ else None
        state = (lambda: Const(normal(ask.rng, *sides, hidden))) if pick.start_ == 1 else (lambda: Fed(normal(ask.rng, *sides, hidden)))
        first = state() if pick.start_ else None
        operands = [Layer([batch, steps, size] if batched else [steps, batch, size]), Const(w), Const(r)]
        operands += [Const(normal(ask.rng, directions, 2 * gates * hidden)) if pick.bias_ else None, lengths, first]
        outputs = pick.outputs_ if isinstance(pick.outputs_, list) else [True, True]
        if ask.operator == "LSTM":
            operands += [state() if pick.start_ else None, Const(normal(ask.rng, directions, 3 * hidden)) if pick.peep_ else None]
        yield Call(operands, attributes, outputs, tail=False)
    if ask.has("layout"):
        # The one voice that has it, the reference evaluator, knows of little else.
        for steps, both in ((4, False), (3, True)):
            w, r = normal(ask.rng, 1, gates * 3, 5) / 2, normal(ask.rng, 1, gates * 3, 3) / 2
            yield Call([Layer([2, steps, 5]), Const(w), Const(r)], {"hidden_size": 3, "layout": 1}, [True, both], tail=False)


@recipe("Attention")
def attention(ask):
    masks = [None, None, "bool", "float", "full"]
    choices = dict(
        rank_=[4, 3], groups_=[1, 2], q_num_heads=[None], kv_num_heads=[None], mask_=masks, past_=[0, 0, 1], scale=[None, 0.3], softcap=[None, 2.0],
        left_window_size=[None, 1], right_window_size=[None, 0], qk_matmul_output_mode=[None, 0, 1, 2, 3], softmax_precision=[None, 1], outputs_=[1, 3, 4], lengths_=[0, 0, 1],
    )  # fmt: skip
    for attributes, pick in ask.combos(ask.limit * 2, **choices):
        few, many, long, deep = 2, 2 * pick.groups_, 4, 6
        if pick.rank_ == 3:
            attributes |= {"q_num_heads": many, "kv_num_heads": few}
            operands = [Layer([2, 3, many * deep]), Layer([2, long, few * deep]), Layer([2, long, few * deep])]
        else:
            operands = [Layer([2, many, 3, deep]), Layer([2, few, long, deep]), Layer([2, few, long, deep])]
        past = 2 if pick.past_ else 0
        shape = {"bool": [3, long + past], "float": [3, long + past], "full": [2, many, 3, long + past]}.get(pick.mask_)
        mask = None if shape is None else random(ask.rng, shape, bool if pick.mask_ == "bool" else np.float32)
        if pick.mask_ == "bool":
            mask[:, 0] = True
        operands.append(None if mask is None else Const(mask))
        if past:
            operands += [Fed(normal(ask.rng, 2, few, past, deep)), Fed(normal(ask.rng, 2, few, past, deep))]
        if pick.outputs_ < 4:
            attributes.pop("qk_matmul_output_mode", None)
        outputs = {1: 1, 3: 3, 4: 4}[pick.outputs_]
        if pick.lengths_ and len(ask.schema.inputs) > 6 and not past:
            operands += [None, None, Const(ints(4, 3))]
            outputs = [True, False, False, True] if outputs == 4 else 1
        yield Call(operands, attributes, outputs, tail=outputs == 1)


@recipe("RotaryEmbedding")
def rotary(ask):
    for attributes, pick in ask.combos(rank_=[4, 3], num_heads=[None], rotary_embedding_dim=[None, 4], places_=[0, 1]):
        size = attributes.get("rotary_embedding_dim", 6) // 2
        cache = [[2, 5, size], [9, size]][pick.places_]
        if pick.rank_ == 3:
            attributes["num_heads"] = 3
        data = Layer([2, 3, 5, 6] if pick.rank_ == 4 else [2, 5, 18])
        places = Const(ask.rng.integers(0, 9, [2, 5]).astype(np.int64)) if pick.places_ else None
        yield Call([data, Const(normal(ask.rng, *cache)), Const(normal(ask.rng, *cache)), places], attributes)


@recipe("LinearAttention")
def linear_attention(ask):
    rules = ["gated_delta", "linear", "gated", "delta"]
    for attributes, pick in ask.combos(update_rule=rules, q_num_heads=[2, 4], kv_num_heads=[2], past_=[0, 1], scale=[None, 0.5], chunk_size=[None, 16]):
        heads_, rule = attributes["q_num_heads"], attributes["update_rule"]
        past = Const(normal(ask.rng, 1, 2, 3, 4)) if pick.past_ else None
        decay = Const(-np.abs(normal(ask.rng, 1, 5, 2))) if "gated" in rule else None
        beta = Const(ask.rng.random([1, 5, 2]).astype(np.float32)) if "delta" in rule else None
        yield Call([Layer([1, 5, heads_ * 3], "unit"), Layer([1, 5, 6], "unit"), Layer([1, 5, 8]), past, decay, beta], attributes, 2, tail=False)


@recipe("QuantizeLinear")
def quantize(ask):
    choices = dict(shape_=[IMAGE, TABLE, ROWS], axis=[None, 0, 1, -1], channels_=[0, 1], block_size=[None], zero_=[None, np.uint8, np.int8, np.int16, np.uint16], kind_=["normal", "large", "huge"])
    for attributes, pick in ask.combos(output_dtype=[None, 2, 3, 5], precision=[None, 1], saturate=[None, 1], **choices):
        axis = attributes.get("axis", 1)
        if axis >= len(pick.shape_):
            continue
        count = [pick.shape_[axis]] if pick.channels_ and ask.version >= 13 else []
        scale = ask.rng.uniform(0.02, 0.09, count).astype(np.float32)
        zero = None if pick.zero_ is None else Const(ask.rng.integers(0, 9, count).astype(pick.zero_))
        if zero is not None:
            attributes.pop("output_dtype", None)
        yield Call([Layer(pick.shape_, pick.kind_), Const(scale), zero], attributes)
    if ask.has("block_size"):
        for axis, count in ((1, [3, 3]), (-1, [3, 3])):
            yield Call([Layer([3, 6]), Const(ask.rng.uniform(0.02, 0.09, count).astype(np.float32)), Const(np.zeros(count, np.int8))], {"block_size": 2, "axis": axis})


@recipe("DequantizeLinear")
def dequantize(ask):
    choices = dict(shape_=[IMAGE, TABLE, ROWS], axis=[None, 0, 1, -1], channels_=[0, 1], block_size=[None], zero_=[True, False], dtype_=[np.uint8, np.int8, np.int32, np.int16, np.uint16], constant_=[0, 1])
    for attributes, pick in ask.combos(output_dtype=[None, 1], **choices):
        axis = attributes.get("axis", 1)
        if axis >= len(pick.shape_):
            continue
        count = [pick.shape_[axis]] if pick.channels_ and ask.version >= 13 else []
        scale = ask.rng.uniform(0.02, 0.09, count).astype(np.float32)
        zero = Const(ask.rng.integers(0, 9, count).astype(pick.dtype_)) if pick.zero_ and pick.dtype_ != np.int32 else None
        data = Const(random(ask.rng, pick.shape_, pick.dtype_, -99, 99)) if pick.constant_ else Layer(pick.shape_, "whole", pick.dtype_)
        yield Call([data, Const(scale), zero], attributes)
    if ask.has("block_size"):
        for axis, count in ((1, [3, 3]), (-1, [3, 3])):
            yield Call([Layer([3, 6], "whole", np.int8), Const(ask.rng.uniform(0.02, 0.09, count).astype(np.float32)), Const(np.zeros(count, np.int8))], {"block_size": 2, "axis": axis})


@recipe("DynamicQuantizeLinear")
def dynamic(ask):
    for shape in (IMAGE, TABLE, [7]):
        for kind in ("normal", "huge", "positive"):
            yield Call([Layer(shape, kind)], {}, 3)


@recipe("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(ask):
    softmax = ask.operator == "SoftmaxCrossEntropyLoss"
    for attributes, pick in ask.combos(shape_=[[5, 3], [2, 3, 5], [2, 3, 4, 5]], weights_=[0, 1], ignore_index=[None, 1], outputs_=[1, 2] if softmax else [1], dtype_=[np.int64, np.int32]):
        labels = ask.rng.integers(0, 3, [pick.shape_[0], *pick.shape_[2:]]).astype(pick.dtype_)
        weights = Const(np.abs(normal(ask.rng, 3))) if pick.weights_ else None
        yield Call([Layer(pick.shape_), (Fed)(labels), weights], attributes, pick.outputs_)


@recipe("Det")
def determinant(ask):
    for shape in ([3, 3], [2, 4, 4], [2, 3, 5, 5]):
        yield Call([Layer(shape)])


@recipe("DFT")
def fourier(ask):
    for attributes, pick in ask.combos(axis_=[None, 1, 2, -2], axis=[None, 1, 2], length_=[None, 8, 5], parts_=[1, 2], shape_=[[2, 6, 7], [1, 5, 9]]):
        length = None if pick.length_ is None else Const(np.array(pick.length_, np.int64))
        axis = None if ask.has("axis") or pick.axis_ is None else Const(np.array(pick.axis_, np.int64))
        yield Call([Layer([*pick.shape_, pick.parts_]), length, axis], attributes)


@recipe("STFT")
def short_fourier(ask):
    for attributes, pick in ask.combos(window_=[0, 1], length_=[0, 1], step_=[4, 8], shape_=[[2, 32, 1], [1, 40, 1]]):
        window = Const(np.abs(normal(ask.rng, 16))) if pick.window_ else None
        length = Const(np.array(16, np.int64)) if pick.length_ or not pick.window_ else None
        yield Call([Layer(pick.shape_), Const(np.array(pick.step_, np.int64)), window, length], attributes)


@recipe("BlackmanWindow", "HammingWindow", "HannWindow")
def window(ask):
    for attributes, pick in ask.combos(size_=[10, 7], dtype_=[np.int64, np.int32], output_datatype=[None, 1, 11], fed_=[0, 1]):
        yield Call([(Fed if pick.fed_ else Const)(np.array(pick.size_, pick.dtype_))], attributes)


@recipe("MelWeightMatrix")
def mel(ask):
    for attributes, _ in ask.combos(output_datatype=[None, 1, 11]):
        numbers = [np.array(value, np.int64) for value in (8, 16, 8192)] + [np.float32(0), np.float32(4096)]
        yield Call([Const(value) for value in numbers], attributes)


def body(name, inputs, nodes, outputs, constants=()):
    typed = lambda pairs: [helper.make_tensor_value_info(title, kind, shape) for title, kind, shape in pairs]
    return helper.make_graph(nodes, name, typed(inputs), typed(outputs), list(constants))


@recipe("If")
def branches(ask):
    factor = numpy_helper.from_array(np.float32(2.5), "factor")
    for constant in (True, False):
        for value in (True, False):
            then = body("then", [], [helper.make_node("Add", ["x1", "factor"], ["then_y"])], [("then_y", TensorProto.FLOAT, [3, 5])], [factor])
            other = body("other", [], [helper.make_node("Tanh", ["x1"], ["other_y"])], [("other_y", TensorProto.FLOAT, [3, 5])])
            # x1 is the first input of the model, which the branches read from outside.
            condition = (Const if constant else Fed)(np.array(value))
            yield Call([Read(TABLE), condition], {"then_branch": then, "else_branch": other})


class Read(Fed):
    """An input of the model that no operand names, but bodies do."""

    def __init__(self, shape):
        super().__init__(np.linspace(-2, 2, int(np.prod(shape)), dtype=np.float32).reshape(shape))


@recipe("Loop")
def loop(ask):
    inputs = [("step", TensorProto.INT64, []), ("going", TensorProto.BOOL, []), ("state", TensorProto.FLOAT, [3, 5])]
    for times in (1, 3):
        nodes = [("Identity", ["going"], ["still"]), ("Tanh", ["state"], ["next"]), ("Mul", ["state", "state"], ["square"])]
        outputs = [("still", TensorProto.BOOL, []), ("next", TensorProto.FLOAT, [3, 5]), ("square", TensorProto.FLOAT, [3, 5])]
        inner = body("body", inputs, [helper.make_node(*node) for node in nodes], outputs)
        yield Call([Const(np.array(times, np.int64)), Const(np.array(True)), Layer(TABLE)], {"body": inner}, 2, tail=False)


@recipe("Scan")
def scan(ask):
    for attributes, pick in ask.combos(num_scan_inputs=[1], body=[None], scan_input_axes=[None, [0], [1]], scan_output_axes=[None, [0], [1]], directions=[None, [0], [1]], scan_input_directions=[None, [1], [0]], scan_output_directions=[None, [1], [0]]):
        axis = attributes.get("scan_input_axes", [0])[0]
        inner = [("state", TensorProto.FLOAT, [5]), ("row", TensorProto.FLOAT, [5])]
        nodes = [helper.make_node("Add", ["state", "row"], ["next"]), helper.make_node("Mul", ["state", "row"], ["made"])]
        attributes["body"] = body("body", inner, nodes, [("next", TensorProto.FLOAT, [5]), ("made", TensorProto.FLOAT, [5])])
        data = Layer([4, 5] if axis == 0 else [5, 4])
        if ask.version == 8:
            yield Call([None, Layer([2, 5]), Layer([2, 4, 5])], attributes, 2, tail=False)
        else:
            yield Call([Layer([5]), data], attributes, 2, tail=False)
