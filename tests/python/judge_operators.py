"""One-operator models of every operator, version and attribute of the standard."""

import zlib

import numpy as np

import judge_oracles as oracles
import judge_recipes_foreign as foreign
import judge_recipes_fused as fused
import judge_recipes_layers
import judge_recipes_shape  # noqa: F401  (recipes register themselves)
import judge_recipes_windows  # noqa: F401
import judge_schemas as schemas
from judge_build import Const, Graph, Layer, seeded
from judge_covered import EXCUSED
from judge_recipes import RECIPES

NEWEST = 27
# Models of the newest version of an operator, and of each older one.
MOST, FEWER = 30, 10
# One of so many stands before a layer, too.
TAIL = 2
# Below this opset, onnxruntime promises nothing.
PLAIN = 7
# That of models with operators outside the standard.
FOREIGN_OPSET = 17


def versions():
    """(schema, names that are attributes in any version, whether it is the newest) of all operators that are tried."""
    for name, history in schemas.schemas().items():
        history = [schema for schema in history if schema.since_version <= NEWEST]
        if not history or name in EXCUSED:
            continue
        known = {attribute for schema in history for attribute in schema.attributes}
        for schema in history:
            if not schema.deprecated:
                yield schema, known, schema is history[-1]


def opset(schema):
    """The opset at which a version is tried: its own, or the first that runtimes know well if it is still in force there."""
    after = [other.since_version for other in schemas.schemas()[schema.name] if other.since_version > schema.since_version]
    return min([max(schema.since_version, PLAIN), *(version - 1 for version in after), NEWEST])


def grown(call, operator, opset, rng, domain="", domains=()):
    """The graph of a call, and the names of its outputs."""
    graph = Graph(opset, rng, domains)
    inputs = []
    for operand in call.inputs:
        name = graph.operand(operand)
        if not isinstance(operand, judge_recipes_layers.Read):
            inputs.append(name)
    names = graph.node(operator, inputs, call.outputs, domain=domain, **call.attributes)
    return graph, [name for name in ([names] if isinstance(names, str) else names) if name]


def tailed(graph, name, value, rng):
    """A layer behind an output, where one can stand there: its output, or None."""
    if value.dtype != np.float32 or value.ndim not in (2, 3, 4) or 0 in value.shape or not np.isfinite(value).all():
        return None
    if rng.random() < 0.5:
        name = graph.node("Relu", [name])
    if value.ndim == 4:
        kernel = rng.standard_normal([2, value.shape[1], 3, 3]).astype(np.float32)
        return graph.node("Conv", [name, graph.constant(kernel)], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    return graph.node("MatMul", [name, graph.constant(rng.standard_normal([value.shape[-1], 2]).astype(np.float32))])


def put(shelf, name, call, operator, opset, about, domain="", domains=()):
    """Builds a call and keeps it, where any voice runs it."""
    rng = seeded(name)
    graph, outputs = grown(call, operator, opset, rng, domain, domains)
    bare = graph.model(outputs)
    try:
        made = oracles.run_onnxruntime(oracles.session_of(bare), graph.feeds)
    except oracles.Refusal as refusal:
        made = None if refusal.is_invalid() else oracles.in_reference(bare, graph.feeds)
        if made is None or len(made) != len(outputs):
            shelf.dropped.append((name, " ".join(str(refusal).split())[:200]))
            return False
    if call.tail and len(outputs) == 1 and isinstance(made[0], np.ndarray) and zlib.crc32(name.encode()) % TAIL == 0:
        behind = tailed(graph, outputs[0], made[0], rng)
        if behind is not None:
            return shelf.put(name, graph.model([behind]), graph.feeds, graph.moved, about)
    return shelf.put(name, graph.model(outputs, made), graph.feeds, graph.moved, about)


def write(shelf, schema, known, newest, scale=1.0):
    """All models of one version of an operator."""
    name = f"{schema.name}-{schema.since_version}"
    rng = seeded(name)
    limit = max(3, int((MOST if newest else FEWER) * scale))
    ask = schemas.Ask(schema, known, rng, limit)
    at_opset = opset(schema)
    recipe = RECIPES.get(schema.name, RECIPES["generic"])
    for at, call in enumerate(recipe(ask)):
        about = {"operator": schema.name, "version": schema.since_version, "attributes": sorted(call.attributes), "call": described(call)}
        put(shelf, f"{name}-{at}", call, schema.name, at_opset, about)


def write_foreign(shelf, at, shares):
    """One share of the models with operators outside the standard domain."""
    for position, (domain, operator) in enumerate(foreign.FOREIGN):
        if position % shares != at:
            continue
        rng = seeded(operator)
        found = list(foreign.calls(domain, operator, rng))
        picked = found if len(found) <= MOST else [found[place] for place in sorted(rng.choice(len(found), MOST, replace=False))]
        for number, call in enumerate(picked):
            about = {"operator": f"{domain}.{operator}".strip("."), "version": 1, "attributes": sorted(call.attributes), "call": described(call)}
            domains = {domain: 3 if domain == foreign.ML else 1} if domain else {}
            put(shelf, f"{operator}-{number}", call, operator, FOREIGN_OPSET, about, domain, domains)


def write_fused(shelf, at, shares):
    """One share of the models with attention and what onnxruntime fuses."""
    for position, key in enumerate(fused.FUSED):
        domain, operator, opset = key
        rng = seeded(f"{operator}-{opset}")
        for number, call in enumerate(fused.calls(key, rng)):
            if (position + number) % shares != at:
                continue
            about = {"operator": f"{domain}.{operator}".strip("."), "version": opset, "attributes": sorted(call.attributes), "call": described(call)}
            put(shelf, f"{operator}-{domain or 'standard'}-{opset}-{number}", call, operator, opset, about, domain, {domain: 1} if domain else {})


def described(call):
    """A call in a line, for people."""
    operands = []
    for operand in call.inputs:
        match operand:
            case None:
                operands.append("-")
            case Layer():
                operands.append(f"{operand.kind}{operand.shape}:{np.dtype(operand.dtype)}")
            case _:
                values = operand.value
                short = f"={values.tolist()}" if values.size <= 8 and values.dtype.kind in "iub" else ""
                operands.append(f"{'const' if isinstance(operand, Const) else 'fed'}{list(values.shape)}:{values.dtype}{short}")
    attributes = {key: value for key, value in call.attributes.items() if not hasattr(value, "node")}
    return f"({', '.join(operands)}) {attributes} -> {call.outputs}"

