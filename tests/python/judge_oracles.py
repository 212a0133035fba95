"""The voices that say what a model computes: onnxruntime without optimizations, the reference evaluator, and OpenVINO."""

import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import onnx
import onnxruntime as ort
from onnx.reference import ReferenceEvaluator

ort.set_default_logger_severity(4)
NUDGE = 1e-6  # by which inputs are changed, relative, to see what such changes do


# Versions that only added BFLOAT16 to types, which onnxruntime does not have of every operator: it means what the one before means.
ONLY_TYPES = {22: 21}
# What onnxruntime says of models that are valid, but that it cannot run.
UNKNOWN = ("NOT_IMPLEMENTED", "is not a registered", "No Op registered", "under development", "Unsupported model IR", "(layout == 1) are not supported")


class Refusal(Exception):
    """A runtime does not run a model."""

    def is_invalid(self):
        """Whether the model is at fault, and not the runtime."""
        return not any(word in str(self) for word in UNKNOWN)


def onnxruntime_session(data):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of many types
        raise Refusal(str(error)) from error


def session_of(model):
    """A session of the model, or of the same in the version before where that means the same."""
    try:
        return onnxruntime_session(model.SerializeToString())
    except Refusal as refusal:
        older = ONLY_TYPES.get(next((entry.version for entry in model.opset_import if not entry.domain), 0))
        if older is None or refusal.is_invalid():
            raise
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    next(entry for entry in copy.opset_import if not entry.domain).version = older
    return onnxruntime_session(copy.SerializeToString())


def run_onnxruntime(session, feeds):
    try:
        return session.run(None, feeds)
    except Exception as error:  # of many types
        raise Refusal(str(error)) from error


# Where nodes have attributes or inputs that the reference evaluator leaves out, it is no voice.
RECURRENT = {"RNN", "LSTM", "GRU"}
HEEDED = {"hidden_size", "layout", "linear_before_reset"}


def is_heard(node):
    """Whether the reference evaluator computes all that a node says."""
    if node.op_type == "Resize":
        # It resizes to sizes that are not whole, and cuts them afterwards.
        return all(attribute.s != b"tf_crop_and_resize" for attribute in node.attribute)
    return node.op_type not in RECURRENT or ({attribute.name for attribute in node.attribute} <= HEEDED and len(node.input) < 5)


def in_reference(model, feeds):
    """The outputs in the reference evaluator, or None where it has none."""
    if not all(map(is_heard, operators(model.graph))):
        return None
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = ReferenceEvaluator(model).run(None, feeds)
    except Exception:  # of many types
        return None
    return [value if isinstance(value, (list, tuple)) or value is None else np.asarray(value) for value in found]


def openvino_outputs(path, feeds):
    """The outputs in OpenVINO, or None where it is not installed or does not run the model."""
    try:
        import openvino

        core = openvino.Core()
        settings = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0", "INFERENCE_NUM_THREADS": 1}
        model = core.compile_model(core.read_model(str(path)), "CPU", settings)
        found = model(feeds)
        return [np.array(found[output]) for output in model.outputs]
    except Exception:  # of many types
        return None


class OpenVino:
    """OpenVINO in a process of its own, since some models end it."""

    def __init__(self):
        self.pool = None

    def run(self, path, feeds):
        self.pool = self.pool or ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        try:
            return self.pool.submit(openvino_outputs, path, feeds).result()
        except BrokenProcessPool:
            self.pool = None
            return None


in_openvino = OpenVino().run


def nudged(feeds, moved, signs, direction):
    """Inputs with those that move changed a little."""
    changed = dict(feeds)
    for name in moved:
        value = feeds[name]
        if value.dtype.kind == "f":
            changed[name] = (value * (1 + NUDGE * direction * signs[name])).astype(value.dtype)
    return changed


def expected(model, feeds, moved, rng):
    """The outputs in onnxruntime, and those on inputs changed a little, one way and the other way.

    Raises Refusal where it does not run the model."""
    session = session_of(model)
    outputs = run_onnxruntime(session, feeds)
    signs = {name: rng.choice([-1.0, 1.0], feeds[name].shape) for name in moved}
    return outputs, [run_onnxruntime(session, nudged(feeds, moved, signs, way)) for way in ((1, -1) if moved else ())]


def operators(graph):
    """The nodes of a graph and of the graphs inside them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            bodies = list(attribute.graphs) + ([attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else [])
            for body in bodies:
                yield from operators(body)
