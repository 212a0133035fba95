"""Writes the trained decoder as onnxruntime's model builder writes one, and texts as the calls that a program makes of it."""

import shutil

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import nets
from export import Onnx, record, save_arrays

# Characters of the first call, and the calls after it, of one character each.
PREFILL, STEPS = 64, 4


class Cached(Onnx):
    """Writes the decoder with onnxruntime's fused operators and a cache a block."""

    def fused(self, kind, inputs, name, outputs, **attributes):
        domain = "" if kind == "SimplifiedLayerNormalization" else "com.microsoft"
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=f"/{name}", domain=domain, **attributes))

    def embed(self, x, name, rows, width):
        self.lengths()
        return self.node("Gather", [self.initial(f"{name}.weight", self.params[f"{name}.weight"]), x], f"/{name}/Gather")

    def lengths(self):
        """Two INT32 values from the mask: the last place of each text, and the length of the longest."""
        one = self.initial("one", [1], np.int64)
        x = self.node("ReduceSum", ["attention_mask", one], "/model/attn_mask/ReduceSum", keepdims=0)
        x = self.node("Sub", [x, one], "/model/attn_mask/Sub")
        self.last = self.node("Cast", [x], "/model/attn_mask/last", to=TensorProto.INT32)
        x = self.node("Shape", ["attention_mask"], "/model/attn_mask/Shape")
        x = self.node("Gather", [x, self.initial("second", 1, np.int64)], "/model/attn_mask/Gather")
        self.total = self.node("Cast", [x], "/model/attn_mask/total", to=TensorProto.INT32)

    def project(self, x, name, out):
        w = self.initial(f"{name}.MatMul.weight", self.params[f"{name}.weight"])
        return self.node("MatMul", [x, w], f"/{name}/MatMul")

    def rms_norm(self, x, name):
        w, out = self.initial(f"{name}.weight", self.params[f"{name}.scale"]), f"{name}.out"
        self.fused("SimplifiedLayerNormalization", [x, w], name, [out], axis=-1, epsilon=nets.EPSILON)
        return out

    def skip_rms_norm(self, x, y, name):
        w, out, both = self.initial(f"{name}.weight", self.params[f"{name}.scale"]), f"{name}.out", f"{name}.sum"
        outputs = [out] if name == "model.norm" else [out, "", "", both]
        self.fused("SkipSimplifiedLayerNormalization", [x, y, w], name, outputs, epsilon=nets.EPSILON)
        return both, out

    def gated(self, gate, up, name):
        x = self.node("Sigmoid", [gate], f"/{name}/act_fn/Sigmoid")
        x = self.node("Mul", [gate, x], f"/{name}/act_fn/Mul")
        return self.node("Mul", [x, up], f"/{name}/Mul")

    def attend_cached(self, q, k, v, layer, name):
        cos, sin = (self.initial(f"{key}_cache", table) for key, table in zip(("cos", "sin"), nets.rotary()))
        past = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
        present = [f"present.{layer}.{part}" for part in ("key", "value")]
        out = f"{name}.out"
        self.fused("GroupQueryAttention", [q, k, v, *past, self.last, self.total, cos, sin], f"{name}/GroupQueryAttention",
                   [out, *present], num_heads=nets.QUERIES, kv_num_heads=nets.KEYS, scale=nets.HEAD**-0.5, do_rotary=1,
                   rotary_interleaved=0, local_window_size=-1)
        return out


def model(params):
    builder = Cached(params, {}, True)
    nets.decoder(builder, "input_ids")
    builder.nodes[-1].output[0] = "logits"
    info = helper.make_tensor_value_info
    cache = ["batch_size", nets.KEYS, "past_sequence_length", nets.HEAD]
    inputs = [info("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"]),
              info("attention_mask", TensorProto.INT64, ["batch_size", "total_sequence_length"])]
    outputs = [info("logits", TensorProto.FLOAT, ["batch_size", "sequence_length", nets.VOCABULARY])]
    for layer in range(nets.LAYERS):
        for part in ("key", "value"):
            inputs.append(info(f"past_key_values.{layer}.{part}", TensorProto.FLOAT, cache))
            outputs.append(info(f"present.{layer}.{part}", TensorProto.FLOAT, cache[:2] + ["total_sequence_length", nets.HEAD]))
    graph = helper.make_graph(builder.nodes, "main_graph", inputs, outputs, builder.initializers)
    return helper.make_model(graph, producer_name="fourbit-models", ir_version=10, opset_imports=[
        helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)])


def empty():
    """A cache of nothing for each of the model's."""
    shape = (1, nets.KEYS, 0, nets.HEAD)
    return {f"past_key_values.{layer}.{part}": np.zeros(shape, np.float32)
            for layer in range(nets.LAYERS) for part in ("key", "value")}


def split(text, following):
    """The calls of one text: most of it at once, then one character each; and what follows each character."""
    ends = [PREFILL + step for step in range(STEPS + 1)]
    for begin, end in zip([0] + ends[:-1], ends):
        yield {"input_ids": text[None, begin:end].astype(np.int64), "attention_mask": np.ones((1, end), np.int64),
               "labels": following[None, begin:end]}


def write(folder, params, calibration, validation, trained):
    """The whole folder; checks the calls in onnxruntime against the trained network, which knows of no cache."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model(params), folder / "model.onnx")
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    for part, (texts, following), labels in (("calibration", calibration, False), ("validation", validation, True)):
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir()
        for number, text in enumerate(zip(texts, following)):
            for call, arrays in enumerate(split(*text), 1):
                if not labels:
                    del arrays["labels"]
                save_arrays(folder / part / f"story{number:02}-{call}.npz", **arrays)

    right, count, results = 0, 0, {}
    for text, following, expected in zip(*validation, trained):
        cache, begin = empty(), 0
        for arrays in split(text, following):
            labels = arrays.pop("labels")
            results = dict(zip(names, session.run(None, arrays | cache)))
            logits = results["logits"]
            assert np.abs(logits[0] - expected[begin:begin + logits.shape[1]]).max() < 2e-3
            cache = {name.replace("present", "past_key_values"): value for name, value in results.items() if name != "logits"}
            right, count, begin = right + (logits.argmax(-1) == labels).sum(), count + labels.size, begin + labels.size
    sample = folder / "test_data_set_0"
    sample.mkdir(exist_ok=True)
    first = next(split(validation[0][0], validation[1][0]))
    first.pop("labels")
    inputs = first | empty()
    for kind, values in (("input", inputs), ("output", dict(zip(names, session.run(None, inputs))))):
        for number, (name, value) in enumerate(values.items()):
            (sample / f"{kind}_{number}.pb").write_bytes(numpy_helper.from_array(value, name).SerializeToString())

    record(folder, params, right / count, int(count))
    size, texts = (folder / "model.onnx").stat().st_size, len(calibration[0])
    (folder / "README.md").write_text(f"""# {folder.name}

A decoder of two blocks as onnxruntime's model builder writes one: GroupQueryAttention with rotary positions and a cache,
SimplifiedLayerNormalization and SkipSimplifiedLayerNormalization, SwiGLU, MatMul with weights that fit MatMulNBits. It tells
small stories, character by character.

- inputs `input_ids` [batch_size, sequence_length] and `attention_mask` [batch_size, total_sequence_length] int64, caches
  `past_key_values.N.key` and `.value` [batch_size, {nets.KEYS}, past_sequence_length, {nets.HEAD}] float32; outputs `logits`
  [batch_size, sequence_length, {nets.VOCABULARY}] and the caches `present.N.key` and `.value`; opset 21
- trained parameters: {sum(v.size for v in params.values())}; `model.onnx`: {size} bytes
- the next character is right in {100 * right / count:.2f} % with onnxruntime, of the {count} characters in `validation`
- `calibration`, `validation`: {texts} and {len(validation[0])} stories as the calls of a program: the first {PREFILL} characters in one call, then
  {STEPS} calls of one character each; `validation` with `labels`, the characters that follow. The caches are fed by the outputs:
  `--state 'present.*:past_key_values.*'`

Made by `../train`; the stories are drawn by its generator.
""")
