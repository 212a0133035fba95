"""Writes the signatures of all standard operators, as the onnx package has them, to standard output: see src/onnx/signatures."""

import onnx
from onnx import defs

NAMES = {name.lower(): number for name, number in onnx.TensorProto.DataType.items() if number}
NEWEST = 27


def number(kind):
    """ONNX's number of a tensor type; None of sequences and the like."""
    if not kind.startswith("tensor(") or not kind.endswith(")"):
        return None
    return NAMES[kind[len("tensor("):-1]]


def main():
    sets, rows = {}, []

    def named(kinds):
        numbers = sorted({number(kind) for kind in kinds if number(kind) is not None})
        if len(numbers) < len(set(kinds)):
            return "*"
        return sets.setdefault(tuple(numbers), f"s{len(sets)}")

    schemas = [s for s in defs.get_all_schemas_with_history() if s.domain == "" and s.since_version <= NEWEST]
    for schema in sorted(schemas, key=lambda s: (s.name, s.since_version)):
        constraints = {c.type_param_str: list(c.allowed_type_strs) for c in schema.type_constraints}

        def slots(parameters):
            words = []
            for parameter in parameters:
                kinds = constraints.get(parameter.type_str)
                mark = {"Single": "", "Optional": "?", "Variadic": "..."}[parameter.option.name]
                if mark == "..." and not parameter.is_homogeneous:
                    words.append("*" + mark)
                elif kinds is None:
                    words.append(named([parameter.type_str]) + mark)
                elif named(kinds) == "*":
                    words.append("*" + mark)
                else:
                    words.append(f"{parameter.type_str}:{named(kinds)}{mark}")
            return " ".join(words)

        attributes = ",".join(sorted(schema.attributes)) or "-"
        row = f"{schema.name} {schema.since_version} {attributes} {schema.min_input}"
        rows.append(f"{row} {slots(schema.inputs)} > {slots(schema.outputs)}".replace("  ", " "))
    print("# Made by tests/python/signatures.py from onnx " + onnx.__version__)
    for numbers, name in sets.items():
        print(f"= {name} {','.join(map(str, numbers))}")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
