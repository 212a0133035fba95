"""When two outputs are the same. The one place that states tolerances.

A float output is the same if no value is further off than `tolerance` times the largest finite magnitude of what is expected, and
what is not finite is so on both sides. Integers and booleans are the same exactly; where they came of rounding, a small share may be one off.
Values that a runtime itself gives otherwise on inputs changed by a millionth (`judge_oracles.NUDGE`) are left out.
"""

import numpy as np

from judge_oracles import operators

# Moving, and arithmetic in float32 whose order differs.
PLAIN = 1e-4
# Kernels of tract that approximate (exp, tanh, erf and what is made of them), and blocks whose scales it keeps as halves.
APPROXIMATE = 1e-3
# Below this magnitude what such kernels give is exact to the tolerance times this.
FLOOR = 1e-2
# FLOAT16 and BFLOAT16, which are run as FLOAT.
HALF = 2e-2
# Share of rounded integers that may be one off.
OFF = 0.02
# Beyond this share of values that small changes of the inputs move, there is nothing to compare.
UNSTEADY = 0.5

APPROXIMATED = {
    "Exp", "Log", "Tanh", "Sigmoid", "Softmax", "LogSoftmax", "Softplus", "Softsign", "Erf", "Gelu", "Mish", "Swish", "Elu", "Selu",
    "Celu", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "ReduceLogSum", "ReduceLogSumExp",
    "RNN", "LSTM", "GRU", "FastGelu", "BiasGelu", "QuickGelu", "Pow",
    "DFT", "STFT", "SwiGLU", "LinearAttention", "SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss", "HardSwish", "LRN", "Rsqrt",
    "Reciprocal", "Div", "InstanceNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization",
    "MeanVarianceNormalization", "LpNormalization", "SimplifiedLayerNormalization", "GatherBlockQuantized", "CausalConvWithState", "LinearClassifier", "TreeEnsembleClassifier",
}  # fmt: skip
ROUNDED = {"QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "Round", "Cast", "CastLike"}
# Element types as which halves are kept in NumPy.
HALVES = {"float16", "bfloat16"}


def tolerance(model):
    """What the outputs of a model may differ by, relative to the largest."""
    kinds = {node.op_type for node in operators(model.graph)}
    return APPROXIMATE if kinds & APPROXIMATED else PLAIN


def rounds(model):
    """Whether integers among the outputs may have come of rounding floats."""
    return any(node.op_type in ROUNDED for node in operators(model.graph))


def wide(value):
    return value.astype(np.complex128 if value.dtype.kind == "c" else np.float64)


def floating(value):
    return value.dtype.kind in "fc" or value.dtype.name in HALVES


def far(expected, moved, allowed):
    """Which values a small change of the inputs moves, as a mask or None."""
    if moved is None or not isinstance(moved, np.ndarray) or moved.shape != expected.shape:
        return None
    if not floating(expected):
        return moved != expected
    with np.errstate(all="ignore"):
        a, b = wide(expected), wide(moved)
        unlike = ~np.isfinite(a) | ~np.isfinite(b)
        gap = np.abs(a - b)
        return np.where(unlike, ~((a == b) | (np.isnan(a) & np.isnan(b))), gap > allowed / 2 * largest(a))


def largest(values):
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


def difference(expected, found, allowed, rounded=False, unsteady=None):
    """What is wrong with one output, or None. `allowed` is relative to the largest magnitude."""
    if expected is None or isinstance(expected, (list, tuple)):
        return None if expected is None else "not a tensor"
    expected, found = np.asarray(expected), np.asarray(found)
    if expected.shape != found.shape:
        return f"shape {list(found.shape)} for {list(expected.shape)}"
    if expected.dtype.kind in "OUS" or found.dtype.kind in "OUS":
        return None if (expected.astype(str) == found.astype(str)).all() else "other strings"
    if floating(expected) != floating(found):
        return f"type {found.dtype} for {expected.dtype}"
    steady = np.ones(expected.shape, bool) if unsteady is None else ~unsteady
    if not floating(expected):
        return integers(expected, found, steady, rounded)
    a, b = wide(expected), wide(found)
    if expected.dtype.name in HALVES:
        allowed = max(allowed, HALF)
        b = np.where(np.isinf(a) & (np.abs(b) > 6e4) & (np.sign(a) == np.sign(b)), a, b)
    with np.errstate(all="ignore"):
        alike = (a == b) | (np.isnan(a) & np.isnan(b))
        unlike = (np.isfinite(a) != np.isfinite(b)) | (~np.isfinite(a) & ~alike)
        if (unlike & steady).any():
            return f"{int((unlike & steady).sum())} of {a.size} values not finite on one side"
        gap = np.where(np.isfinite(a) & np.isfinite(b) & steady, np.abs(a - b), 0.0)
    scale = max(largest(a), FLOOR if allowed >= APPROXIMATE else 1e-30)
    worst = float(gap.max()) / scale if gap.size else 0.0
    if worst > allowed:
        return f"{worst:.1e} of the largest, {int((gap > allowed * scale).sum())} of {a.size} values"
    return None


def integers(expected, found, steady, rounded):
    unlike = (expected != found) & steady
    count = int(unlike.sum())
    if count == 0:
        return None
    gap = int(np.abs(expected[unlike].astype(np.float64) - found[unlike].astype(np.float64)).max())
    if rounded and expected.dtype != bool and gap <= 1 and count <= max(OFF * expected.size, 1):
        return None
    return f"{count} of {expected.size} integers differ, by up to {gap}"


def shaken(at, expected, moved, allowed):
    """Which values of an output any small change of the inputs moves, as a mask or None."""
    if not isinstance(expected, np.ndarray) or expected.dtype.kind in "OUS":
        return None
    masks = [far(expected, run[at], allowed) for run in moved or ()]
    return np.any([mask for mask in masks if mask is not None], axis=0) if any(mask is not None for mask in masks) else None


def differences(expected, found, allowed, rounded=False, moved=None):
    """What is wrong with a list of outputs, or None. `moved` are lists of outputs on inputs changed a little."""
    if found is None or len(found) != len(expected):
        return f"{0 if found is None else len(found)} outputs for {len(expected)}"
    for at, (a, b) in enumerate(zip(expected, found, strict=True)):
        problem = difference(a, b, allowed, rounded, shaken(at, a, moved, allowed))
        if problem:
            return problem if len(expected) == 1 else f"output {at}: {problem}"
    return None


def unsteady(expected, moved, allowed):
    """Whether small changes of the inputs move so much that there is nothing to compare."""
    masks = [shaken(at, value, moved, allowed) for at, value in enumerate(expected)]
    return any(mask is not None and mask.size and mask.mean() > UNSTEADY for mask in masks)
