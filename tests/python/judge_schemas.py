"""What the standard says of an operator: its types and attributes, and combinations of values to try.

An operator's recipe asks for combinations (`Ask.combos`). It names values for what needs thought, and all other attributes of
the schema get values by their type, default and description. So an attribute that is new is tried without anybody's doing.
"""

import functools
import itertools
import re
import types

import numpy as np
import onnx
from onnx import defs, helper

INT, FLOAT, STRING = defs.OpSchema.AttrType.INT, defs.OpSchema.AttrType.FLOAT, defs.OpSchema.AttrType.STRING
# Types of values in the order in which they are tried.
TYPES = ["float", "int64", "uint8", "bool", "double", "int32", "float16", "int8", "uint32", "int16", "uint16", "uint64"]
ELEMENTS = ["to", "dtype", "output_dtype", "output_datatype", "stash_type", "softmax_precision", "precision"]
# Words that an attribute takes, but its description does not quote.
WORDS = {
    "auto_pad": ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"],
    "direction": ["forward", "reverse", "bidirectional", "LEFT", "RIGHT"],
    "coordinate_transformation_mode": [
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize",
        "tf_half_pixel_for_nn", "output_half_pixel",
    ],
    "nearest_mode": ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"],
}
OFTEN = 4
QUOTED = re.compile(r"[\"'`]([A-Za-z_]+)[\"'`]")


@functools.cache
def schemas():
    """All operators of the standard domain with all their versions, the oldest first."""
    found = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            found.setdefault(schema.name, []).append(schema)
    return {name: sorted(found[name], key=lambda schema: schema.since_version) for name in sorted(found)}


def default(attribute):
    """The default of an attribute, or None."""
    value = attribute.default_value
    return helper.get_attribute_value(value) if value.type else None


def candidates(attribute):
    """Values to try for an attribute of which only the schema is known; None leaves it out."""
    left_out = [] if attribute.required else [None]
    name, usual = attribute.name, default(attribute)
    if attribute.type == INT and name in ELEMENTS:
        return left_out + [1, 10, 11, 6, 7]
    if attribute.type == INT and "axis" in name:
        return left_out + [0, 1, -1]
    if attribute.type == INT:
        return left_out + [value for value in (0, 1, 2, 3) if value != usual][: 1 if usual in (0, 1) else 3]
    if attribute.type == FLOAT:
        return left_out + ([0.5, 1.75] if usual is None else [usual * 0.5 + 0.125, usual * 2.0 + 0.25, -usual or -0.5])
    if attribute.type == STRING:
        words = WORDS.get(name, []) + QUOTED.findall(attribute.description)
        usual = usual.decode() if usual else None
        return left_out + [word for word in dict.fromkeys(words) if word != usual or attribute.required]
    return left_out


def pairwise(choices, rng, limit):
    """Combinations of one value of each choice in which, as far as the limit allows, all pairs of values occur."""
    names = [name for name in choices if choices[name]]
    sizes = [len(choices[name]) for name in names]
    if int(np.prod(sizes)) <= limit:
        for picked in itertools.product(*(range(size) for size in sizes)):
            yield {name: choices[name][at] for name, at in zip(names, picked, strict=True)}
        return
    open_pairs = {
        (a, i, b, j) for a, b in itertools.combinations(range(len(names)), 2) for i in range(sizes[a]) for j in range(sizes[b])
    }
    # The first is the plainest: everything left out, or what comes first.
    picked, made = [0] * len(names), set()
    for _ in range(limit):
        made.add(tuple(picked))
        open_pairs -= {(a, picked[a], b, picked[b]) for a, b in itertools.combinations(range(len(names)), 2)}
        yield {name: choices[name][at] for name, at in zip(names, picked, strict=True)}
        best, most = None, -1
        wanted = sorted(open_pairs)
        for _ in range(12):
            tried = [int(rng.integers(size)) for size in sizes]
            if wanted:
                a, i, b, j = wanted[int(rng.integers(len(wanted)))]
                tried[a], tried[b] = i, j
            if tuple(tried) in made:
                continue
            gain = sum((a, tried[a], b, tried[b]) in open_pairs for a, b in itertools.combinations(range(len(names)), 2))
            if gain > most:
                best, most = tried, gain
        if best is None:
            return
        picked = best


class Ask:
    """One version of one operator, for which a recipe makes calls."""

    def __init__(self, schema, known, rng, limit):
        self.schema, self.rng, self.limit = schema, rng, limit
        self.operator, self.version = schema.name, schema.since_version
        # Names that are attributes in some version, but maybe not in this one.
        self.known = known

    def has(self, name):
        return name in self.schema.attributes

    def types(self, slot=0, most=6):
        """NumPy types that an input may have; float32, of which most models are, several times."""
        if slot >= len(self.schema.inputs):
            slot = len(self.schema.inputs) - 1
        allowed = self.schema.inputs[slot].types
        names = [name for name in TYPES if f"tensor({name})" in allowed]
        found = [numpy_type(name) for name in names[:most]]
        return [found[0]] * OFTEN + found if found and found[0] is np.float32 else found

    def combos(self, limit=None, **choices):
        """Attributes and further choices: those among `choices` that are attributes in some version, and the rest as a namespace.

        A single value in the place of a list is one choice."""
        asked = {name: value if isinstance(value, list) else [value] for name, value in choices.items()}
        for name, attribute in self.schema.attributes.items():
            if name not in asked:
                asked[name] = candidates(attribute)
        asked = {name: value for name, value in asked.items() if name in self.schema.attributes or name not in self.known}
        for picked in pairwise(asked, self.rng, limit or self.limit):
            attributes = {name: value for name, value in picked.items() if name in self.schema.attributes and value is not None}
            yield attributes, types.SimpleNamespace(**picked)


def numpy_type(name):
    code = onnx.TensorProto.DataType.Value({"double": "DOUBLE"}.get(name, name.upper()))
    return helper.tensor_dtype_to_np_dtype(code).type
