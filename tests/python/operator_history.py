"""Prints, as JSON, the versions of each standard operator that matter between two opsets.

The arguments are the two opsets. For each operator: the version in force at the first opset, or
its first one, then all later ones up to the second.
"""

import json
import sys

import onnx


def main():
    first, last = int(sys.argv[1]), int(sys.argv[2])
    versions = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            versions.setdefault(schema.name, set()).add(schema.since_version)
    history = {}
    for name, since in versions.items():
        start = max((version for version in since if version <= first), default=min(since))
        history[name] = sorted(version for version in since if start <= version <= last)
    print(json.dumps({name: since for name, since in history.items() if since}))


if __name__ == "__main__":
    main()
