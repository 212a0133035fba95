"""Writes trained networks as ONNX files, with their samples, in the zoo's layout."""

import json
import zipfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import nets

ABOUT = {
    "shapes_resnet": "ResNet-14 (Conv, BatchNormalization kept, ReLU, residual Add): "
                     "coloured shapes in 3x32x32 pictures, 10 classes.",
    "shapes_mobile": "MobileNet-v2 style (inverted residuals, depthwise Conv, Clip 0..6, batch "
                     "normalisation folded into Conv): coloured shapes in 3x32x32 pictures, 10 classes.",
    "digits_attention": "Two transformer blocks (MatMul, LayerNormalization, Softmax, GELU as Erf) "
                        "over the 49 patches of a drawn 1x28x28 digit, 10 classes.",
    "waves_recurrent": "1-D Conv, ConvTranspose, LSTM and Gemm (batch normalisation folded): "
                       "waveforms of 128 points, 10 classes.",
}


class Onnx:
    """Writes a network as ONNX nodes; the methods are those of nets.Tensors."""

    def __init__(self, params, state, fold):
        self.params, self.state, self.fold = params, state, fold
        self.nodes, self.initializers, self.counts = [], [], {}

    def initial(self, name, value, kind=np.float32):
        value = np.ascontiguousarray(value, dtype=kind)
        if name not in [i.name for i in self.initializers]:
            self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def node(self, kind, inputs, name=None, **attributes):
        if name is None:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            name = f"{kind.lower()}_{self.counts[kind]}"
        out = f"{name}.out"
        self.nodes.append(helper.make_node(kind, inputs, [out], name=name, **attributes))
        return out

    def _normalised(self, kind, x, name, weight, out_axis, **attributes):
        """A convolution and its batch normalisation, folded or as two nodes."""
        bn = f"{name}.bn"
        scale, bias = self.params[f"{bn}.scale"], self.params[f"{bn}.bias"]
        mean, var = self.state[f"{bn}.mean"], self.state[f"{bn}.var"]
        if not self.fold:
            w = self.initial(f"{name}.weight", weight)
            x = self.node(kind, [x, w], name, **attributes)
            values = {"scale": scale, "bias": bias, "mean": mean, "var": var}
            named = [self.initial(f"{bn}.{key}", value) for key, value in values.items()]
            return self.node("BatchNormalization", [x] + named, bn, epsilon=nets.EPSILON)
        gain = scale / np.sqrt(var + nets.EPSILON)
        shape = [1] * weight.ndim
        shape[out_axis] = -1
        w = self.initial(f"{name}.weight", weight * gain.reshape(shape))
        b = self.initial(f"{name}.bias", bias - mean * gain)
        return self.node(kind, [x, w, b], name, **attributes)

    def conv_bn(self, x, name, out, size, stride=1, depthwise=False):
        weight = self.params[f"{name}.weight"]
        rank = weight.ndim - 2
        # [spatial, in, out] to [out, in, spatial]; depthwise keeps one input each.
        order = (rank, rank + 1) if depthwise else (rank + 1, rank)
        return self._normalised(
            "Conv", x, name, weight.transpose(order + tuple(range(rank))), 0,
            kernel_shape=[size] * rank, strides=[stride] * rank, dilations=[1] * rank,
            pads=[size // 2] * 2 * rank, group=out if depthwise else 1)

    def conv_transpose_bn(self, x, name, out, size, stride):
        weight = self.params[f"{name}.weight"].transpose(2, 1, 0)
        return self._normalised(
            "ConvTranspose", x, name, weight, 1, kernel_shape=[size], strides=[stride],
            dilations=[1], pads=[(size - stride) // 2] * 2, group=1)

    def relu(self, x):
        return self.node("Relu", [x])

    def relu6(self, x):
        return self.node("Clip", [x, self.initial("zero", 0.0), self.initial("six", 6.0)])

    def add(self, x, y):
        return self.node("Add", [x, y])

    def global_pool(self, x):
        return self.node("GlobalAveragePool", [x])

    def flatten(self, x):
        return self.node("Flatten", [x], axis=1)

    def gemm(self, x, name, out):
        w = self.initial(f"{name}.weight", self.params[f"{name}.weight"].T)
        b = self.initial(f"{name}.bias", self.params[f"{name}.bias"])
        return self.node("Gemm", [x, w, b], name, transB=1)

    def dense(self, x, name, out):
        w = self.initial(f"{name}.weight", self.params[f"{name}.weight"])
        b = self.initial(f"{name}.bias", self.params[f"{name}.bias"])
        return self.node("Add", [self.node("MatMul", [x, w], name), b], f"{name}.add")

    def reshape(self, x, name, shape):
        return self.node("Reshape", [x, self.initial(f"{name}.shape", shape, np.int64)], name)

    def patches(self, x, size, patch):
        side = size // patch
        x = self.reshape(x, "patches.split", [0, side, patch, side, patch])
        x = self.node("Transpose", [x], "patches.transpose", perm=[0, 1, 3, 2, 4])
        return self.reshape(x, "patches.join", [0, side * side, patch * patch])

    def position(self, x, name, tokens):
        return self.node("Add", [x, self.initial(name, self.params[name])], f"{name}.add")

    def layer_norm(self, x, name):
        values = [self.initial(f"{name}.{k}", self.params[f"{name}.{k}"]) for k in ("scale", "bias")]
        return self.node("LayerNormalization", [x] + values, name, axis=-1, epsilon=nets.EPSILON)

    def attend(self, q, k, v, tokens, heads, width, name):
        def split(x, part, perm):
            x = self.reshape(x, f"{name}.{part}.split", [0, tokens, heads, width])
            return self.node("Transpose", [x], f"{name}.{part}.transpose", perm=perm)

        q, v = split(q, "query", [0, 2, 1, 3]), split(v, "value", [0, 2, 1, 3])
        k = split(k, "key", [0, 2, 3, 1])
        x = self.node("MatMul", [q, k], f"{name}.scores")
        x = self.node("Mul", [x, self.initial("attention.scale", width**-0.5)], f"{name}.scale")
        x = self.node("Softmax", [x], f"{name}.softmax", axis=-1)
        x = self.node("MatMul", [x, v], f"{name}.context")
        x = self.node("Transpose", [x], f"{name}.transpose", perm=[0, 2, 1, 3])
        return self.reshape(x, f"{name}.join", [0, tokens, heads * width])

    def gelu(self, x, name):
        """x * (1 + erf(x / sqrt 2)) / 2, as exporters wrote it before opset 20."""
        y = self.node("Div", [x, self.initial("sqrt_two", 2**0.5)], f"{name}.div")
        y = self.node("Erf", [y], f"{name}.erf")
        y = self.node("Add", [y, self.initial("one", 1.0)], f"{name}.add")
        y = self.node("Mul", [x, y], f"{name}.mul")
        return self.node("Mul", [y, self.initial("half", 0.5)], f"{name}.half")

    def mean_tokens(self, x):
        return self.node("ReduceMean", [x], axes=[1], keepdims=0)

    def lstm(self, x, name, hidden):
        # A bias of one on the forget gate is part of the trained network.
        one = np.repeat(np.float32([0, 0, 1, 0]), hidden)
        bias = np.concatenate([self.params[f"{name}.B"] + one, np.zeros(4 * hidden)])
        values = [self.initial(f"{name}.W", self.params[f"{name}.W"][None]),
                  self.initial(f"{name}.R", self.params[f"{name}.R"][None]),
                  self.initial(f"{name}.B", bias[None])]
        x = self.node("Transpose", [x], f"{name}.transpose", perm=[2, 0, 1])
        self.nodes.append(helper.make_node("LSTM", [x] + values, ["", f"{name}.last"], name=name,
                                           hidden_size=hidden, direction="forward"))
        axes = self.initial(f"{name}.axes", [0], np.int64)
        return self.node("Squeeze", [f"{name}.last", axes], f"{name}.squeeze")


def model(name, task, params, state, shape):
    builder = Onnx(params, state, task.fold)
    last = task.net(builder, task.input_name)
    builder.nodes[-1].output[0] = "logits"
    assert builder.nodes[-1].name + ".out" == last
    graph = helper.make_graph(
        builder.nodes, name,
        [helper.make_tensor_value_info(task.input_name, TensorProto.FLOAT, ["N"] + list(shape))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
        builder.initializers)
    proto = helper.make_model(graph, producer_name="fourbit-models", ir_version=8,
                              opset_imports=[helper.make_opsetid("", task.opset)])
    onnx.checker.check_model(proto, full_check=True)
    return proto


def save_arrays(path, **arrays):
    """As np.savez_compressed, but at the highest level and with fixed times."""
    with zipfile.ZipFile(path, "w") as archive:
        for key, array in arrays.items():
            entry = zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def record(folder, params, top1, samples):
    """Writes what a float model reaches into the table of all."""
    path = folder.parent / "accuracy.json"
    table = json.loads(path.read_text()) if path.exists() else {}
    table[folder.name] = {"float_top1": round(float(top1), 6), "samples": samples,
                          "parameters": int(sum(v.size for v in params.values())),
                          "bytes": (folder / "model.onnx").stat().st_size}
    path.write_text(json.dumps(dict(sorted(table.items())), indent=2) + "\n")


def write(models, name, task, params, state, calibration, validation, pictures, trained, scaling):
    """The whole folder of a network; checks ONNX against the trained network."""
    folder = models / name
    sample_set = folder / "test_data_set_0"
    sample_set.mkdir(parents=True, exist_ok=True)
    inputs, labels = task.inputs(validation[0]), validation[1].astype(np.int64)
    proto = model(name, task, params, state, inputs.shape[1:])
    onnx.save(proto, folder / "model.onnx")

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"),
                                           providers=["CPUExecutionProvider"])
    logits = np.concatenate([session.run(None, {task.input_name: inputs[i:i + 100]})[0]
                             for i in range(0, len(inputs), 100)])
    top1, before = float((logits.argmax(1) == labels).mean()), float((trained.argmax(1) == labels).mean())
    assert np.abs(logits - trained).max() < 2e-3, np.abs(logits - trained).max()

    save_arrays(folder / "calibration.npz", **{task.input_name: task.inputs(calibration[0])})
    save_arrays(folder / "validation.npz", **{task.input_name: inputs, "labels": labels})
    one = inputs[:1]
    result = session.run(None, {task.input_name: one})[0]
    for file, value, label in (("input_0", one, task.input_name), ("output_0", result, "logits")):
        tensor = numpy_helper.from_array(value, label)
        (sample_set / f"{file}.pb").write_bytes(tensor.SerializeToString())
    if pictures is not None:
        save_arrays(folder / "pictures.npz", x=pictures[0], y=pictures[1].astype(np.int64))
        mean, std = ([round(float(v), 6) for v in part] for part in scaling)
        (folder / "preprocess.toml").write_text(
            'array = "x"\nlabels = "y"\nlayout = "NHWC"\nchannel_order = "RGB"\n'
            f"divide_by = 255.0\nmean = {mean}\nstd = {std}\n")

    count = int(sum(v.size for v in params.values()))
    size = (folder / "model.onnx").stat().st_size
    (folder / "README.md").write_text(
        f"# {name}\n\n{ABOUT[name]}\n\n"
        f"- input `{task.input_name}` [N, {', '.join(map(str, inputs.shape[1:]))}] float32, "
        f"output `logits` [N, 10]; opset {task.opset}\n"
        f"- trained parameters: {count}; `model.onnx`: {size} bytes\n"
        f"- float top-1 with onnxruntime: {100 * top1:.2f} % on the {len(labels)} samples of "
        f"`validation.npz`\n"
        f"- `calibration.npz`: {len(calibration[0])} samples, no labels; drawn apart from training "
        "and validation\n"
        + ("- `pictures.npz`: 100 pictures as uint8 NHWC with labels; `preprocess.toml` says how "
           "they become the input\n" if pictures is not None else "")
        + "\nMade by `../train`; the data is drawn by its generator.\n")
    record(folder, params, top1, len(labels))
    print(f"{name}: top-1 {before:.4f} as trained, {top1:.4f} in onnxruntime; {count} parameters,"
          f" {size} bytes", flush=True)
