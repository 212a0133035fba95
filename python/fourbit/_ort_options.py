"""Arguments of ``onnxruntime.quantization`` as arguments of `fourbit.quantize`."""

from __future__ import annotations

import os
import tempfile
import warnings
from contextlib import ExitStack
from typing import Any, Dict, Mapping, Optional, Sequence

from ._bridge import ArgumentWarning, ignored, known, literal, word
from ._errors import OptionsError
from ._peek import nodes
from ._types import Model

#: Operators whose weights fourbit quantizes; the names that onnxruntime has for them too.
WITH_WEIGHTS = frozenset(
    ("Conv", "ConvTranspose", "DeformConv", "Einsum", "GRU", "Gather", "Gemm", "LSTM", "MatMul", "RNN")
    + ("Attention", "EmbedLayerNormalization", "FusedConv", "FusedGemm", "FusedMatMul", "MultiHeadAttention")
)

_WEIGHTS = {"QInt8": "int8", "QUInt8": "uint8", "QInt4": "int4", "QUInt4": "uint4"}
_ACTIVATIONS = {"QInt8": "int8", "QUInt8": "uint8", "QInt16": "int16", "QUInt16": "int16", "QInt4": "int4", "QUInt4": "uint4"}
_UINT8_RULE = '[[layer]]\nmatch = "*"\nweights = "uint8"\n'

#: Form of the file, unless a target decides on it: integer kernels where onnxruntime has them.
_FORMS: Dict[str, Dict[str, Any]] = {
    "uint8": {"target": "ort-cpu-int8"},
    "int8": {"storage": "int8", "placement": "outputs", "bias": "int32"},
}
_OTHER_FORM = {"placement": "outputs"}

_RANGES = "ranges of activations do not decide: scales are those of least squared error"
_PAIRS = "which activations get Q/DQ pairs follows from the layers; see the argument placement of fourbit.quantize"
#: Extra options without effect, and why.
_IGNORED = {
    "ActivationRestrictedAsymmetric": "zero points are those of least squared error",
    "AddQDQPairToWeight": "weights are stored as codes, never as floats",
    "CalibMaxIntermediateOutputs": "no activations are kept in memory",
    "CalibMovingAverage": _RANGES,
    "CalibMovingAverageConstant": _RANGES,
    "CalibPercentile": _RANGES,
    "CalibStridedMinMax": _RANGES,
    "CalibTensorRangeSymmetric": _RANGES,
    "DedicatedQDQPair": "consumers of an activation share its pair",
    "EnableSubgraph": "weights inside If, Loop and Scan are quantized in any case, activations there are not",
    "ForceQuantizeNoInputCheck": _PAIRS,
    "MinimumRealRange": "scales are those of least squared error, and never zero",
    "OpTypesToExcludeOutputQuantization": _PAIRS,
    "QDQDisableWeightAdjustForInt32Bias": "where a bias does not fit into INT32, it stays float",
    "QDQKeepRemovableActivations": _PAIRS,
    "QDQOpTypePerChannelSupportToAxis": "the axis of the output channels follows from the operator",
    "SmoothQuant": "rounding errors are compensated for in the weights instead",
    "SmoothQuantAlpha": "rounding errors are compensated for in the weights instead",
    "SmoothQuantFolding": "rounding errors are compensated for in the weights instead",
    "TensorQuantOverrides": 'give rules for layers: extra_options={"fourbit": {"config": "rules.toml"}}',
    "UseQDQContribOps": 'the model is raised to an opset that has the types; extra_options={"fourbit": {"opset": "keep"}} keeps its own',
    "extra.Sigmoid.nnapi": "Sigmoid is not quantized",
}
#: Values that ask for what happens in any case.
_USUAL: Dict[str, Any] = {
    "EnableSubgraph": True,
    # What onnxruntime's get_qdq_config always says.
    "ForceQuantizeNoInputCheck": True,
    "MatMulConstBOnly": True,
    "MinimumRealRange": None,
    "TensorQuantOverrides": {},
}


def of_weights(kind: Any, stack: ExitStack) -> Dict[str, Any]:
    """The type of the weights. Temporary files go away with `stack`."""
    name = word(kind)
    if name not in _WEIGHTS:
        raise OptionsError(f"weight_type {name}: weights have 4 or 8 bits; choose QInt4, QUInt4, QInt8 or QUInt8")
    # A call of onnxruntime's function gives all weights the bits that it names.
    if name != "QUInt8":
        return {"weights": _WEIGHTS[name], "strict_bits": True}
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fourbit-"))
    rules = os.path.join(folder, "rules.toml")
    with open(rules, "w", encoding="utf-8") as file:
        file.write(_UINT8_RULE)
    return {"weights": "int8", "strict_bits": True, "config": rules}


def of_activations(kind: Any, extra: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """The type of the activations, and the form of the file that it needs unless a target decides on that."""
    name = word(kind)
    if name not in _ACTIVATIONS:
        raise OptionsError(f"activation_type {name}: choose QUInt8, QInt8, QInt16, QUInt4 or QInt4")
    if name == "QUInt16":
        ignored("the sign of activation_type=QUInt16", "16-bit activations are QInt16")
    activations = _ACTIVATIONS[name]
    if ((extra or {}).get("fourbit") or {}).get("target"):
        return {"activations": activations}
    # Signed codes with zero points are unsigned ones less 128, and these have faster kernels.
    if activations == "int8" and not (extra or {}).get("ActivationSymmetric"):
        activations = "uint8"
    return {"activations": activations, **_FORMS.get(activations, _OTHER_FORM)}


def of_layers(
    model: Model, operators: Optional[Sequence[str]], only: Optional[Sequence[str]], but: Optional[Sequence[str]]
) -> Dict[str, Any]:
    """Which layers are quantized."""
    found: Dict[str, Any] = {}
    if not (operators or only or but):
        return found
    there = list(nodes(model))
    names = [node.name for node in there]
    if operators:
        # onnxruntime's callers list all that it can quantize, in the model or not.
        weighted = [str(name) for name in operators if str(name) in WITH_WEIGHTS]
        found["op_types"] = sorted({node.operator for node in there} & set(weighted))
        if not found["op_types"]:
            have = sorted({node.operator for node in there} & WITH_WEIGHTS)
            raise OptionsError(f"op_types_to_quantize names no operator with weights that the model has; it has {', '.join(have) or 'none'}")
    missing = "the model has no such node"
    if only:
        found["include"] = [literal(name) for name in known(only, names, "nodes_to_quantize", missing)]
        if not found["include"]:
            raise OptionsError("nodes_to_quantize names no node of the model")
    if but:
        found["exclude"] = [literal(name) for name in known(but, names, "nodes_to_exclude", missing)]
    return found


def of_extras(extra: Optional[Mapping[str, Any]], dynamic: bool) -> Dict[str, Any]:
    """What of `extra_options` counts; the rest is warned about."""
    found: Dict[str, Any] = {}
    for name, value in (extra or {}).items():
        if name in _USUAL and value == _USUAL[name] or value is None:
            continue
        if name == "ActivationSymmetric" and not dynamic:
            found["symmetric_activations"] = bool(value)
        elif name == "WeightSymmetric":
            found["symmetric_weights"] = bool(value)
        elif name == "QuantizeBias" and not dynamic:
            found["bias"] = "int32" if value else "float"
        elif name == "BlockSize":
            if int(value) > 0:
                found["granularity"] = f"block:{int(value)}"
        elif name == "MatMulConstBOnly":
            ignored("MatMulConstBOnly=False", "products of two activations stay float")
        elif name == "fourbit":
            continue
        elif name in ("ActivationSymmetric", "QuantizeBias"):
            ignored(f"extra_options[{name!r}]", "activations and biases stay float")
        elif value is not False or name == "SmoothQuantFolding":
            ignored(f"extra_options[{name!r}]", _IGNORED.get(name, "it does not know this option"))
    found.update((extra or {}).get("fourbit") or {})
    return found


def doubts(kind: Any, per_channel: bool, chosen: Mapping[str, Any]) -> None:
    """Warns of what is done as asked, but is seldom meant."""
    if word(kind) in ("QInt4", "QUInt4") and not per_channel and chosen.get("granularity") == "tensor":
        text = "per_channel=False gives one scale to a whole tensor, which costs accuracy with 4-bit weights: per_channel=True does not"
        warnings.warn(text, ArgumentWarning, stacklevel=3)
