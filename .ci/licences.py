"""Reads `cargo metadata` from standard input and fails where a dependency's licence is not allowed."""

import json
import re
import sys
import tomllib
from pathlib import Path

# `cargo deny check licenses` reads the same list.
LIST = Path(__file__).resolve().parent.parent / "deny.toml"
ALLOWED = set(tomllib.loads(LIST.read_text())["licenses"]["allow"])


def tokens(expression):
    # Before SPDX expressions, Cargo used a slash for OR.
    return re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))


def allowed(expression):
    """Whether the SPDX expression can be satisfied with ALLOWED alone."""
    rest = tokens(expression)

    def take():
        if not rest:
            raise ValueError("ends early")
        return rest.pop(0)

    def either():
        value = both()
        while rest and rest[0] == "OR":
            take()
            other = both()
            value = value or other
        return value

    def both():
        value = one()
        while rest and rest[0] == "AND":
            take()
            other = one()
            value = value and other
        return value

    def one():
        token = take()
        if token == "(":
            value = either()
            if take() != ")":
                raise ValueError("unbalanced parentheses")
            return value
        if token in {")", "OR", "AND", "WITH"}:
            raise ValueError(f"unexpected {token}")
        if rest and rest[0] == "WITH":
            take()
            token = f"{token} WITH {take()}"
        return token in ALLOWED

    value = either()
    if rest:
        raise ValueError(f"unexpected {rest[0]}")
    return value


def main():
    for expression, expected in [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("(MIT OR GPL-3.0-only) AND Unicode-3.0", True),
        ("MIT/Apache-2.0", True),
        ("Apache-2.0 WITH LLVM-exception", True),
    ]:
        assert allowed(expression) is expected, expression

    packages = json.load(sys.stdin)["packages"]
    wrong = []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        licence = package.get("license")
        if not licence:
            wrong.append(f"{name}: no licence expression ({package.get('license_file') or 'no licence file'})")
            continue
        try:
            if not allowed(licence):
                wrong.append(f"{name}: {licence}")
        except ValueError as error:
            wrong.append(f"{name}: {licence!r}: {error}")
    if wrong:
        print("licences that are not on the list in deny.toml:", *wrong, sep="\n  ", file=sys.stderr)
        return 1
    print(f"{len(packages)} packages, every licence allowed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
