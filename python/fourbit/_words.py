"""The library's words for settings, as keyword arguments.

The library names a setting in backticks and behind a dot: "choose `.precision` w4". Names out of files are never written so.
"""

from __future__ import annotations

import re
from typing import Any

#: Settings whose keyword has another name.
_SETTINGS = {
    "calibration": "samples",
    "min_sqnr_db": "min_sqnr",
    "max_bytes": "max_size",
    "layers": "config",
    "out": "output",
    "dual.layers": "dual_layers",
    "dual.spelling": "dual_spelling",
    "dual.activations": "dual_activations",
}

_OTHERS = {
    "fourbit::inspect": "fourbit.inspect",
    "fourbit::Quantize": "fourbit.quantize",
    "fourbit::Quantize::plan": "fourbit.plan",
    "fourbit::RankLayers": "fourbit.sensitivity",
    "fourbit::TARGETS": "fourbit.targets()",
    "fourbit::Detail::Full": "result.details",
    "fourbit::Gate::max_drop": "fourbit.validate, with max_drop=",
}

_VALUE = r"w[2-8](?:a\d+)?|u?int\d+|float|keep|packed|bytes|cast|none|auto|all|sum|branches|inputs|joins|outputs|everywhere|generated"
_TARGET = re.compile(r"`\.target` ([a-z][a-z0-9]*(?:-[a-z0-9]+)+)")
_NAMED = r"`(\.[a-z_.]*[a-z_]|fourbit::[A-Za-z_:]+)`"
_NUMBER = r"\"[^\"`]*\"|\d+(?:\.\d+)?"
_WORD = re.compile(rf"{_NAMED}(?: ({_VALUE})(?![\w.:-])(?! or \w)| ({_NUMBER})(?![\w.]))?")


def _replaced(found: re.Match[str]) -> str:
    word, name, number = found.groups()
    if not word.startswith("."):
        told = _OTHERS.get(word, word)
        value = name or number
        return f"{told}{value}" if value and told.endswith("=") else told + (f" {value}" if value else "")
    setting = word[1:]
    keyword = _SETTINGS.get(setting, setting.replace(".", "_"))
    value = f'"{name}"' if name else number or ""
    return f"{keyword}={value}"


def spelled(text: str) -> str:
    """`text` of the library with keyword arguments for settings; all else stays as it is."""
    return _WORD.sub(_replaced, _TARGET.sub(r'target="\1"', text)) if "`" in text else text


def all_spelled(data: Any) -> Any:
    """The same for every string in `data`, which came from JSON."""
    if isinstance(data, str):
        return spelled(data)
    if isinstance(data, list):
        return [all_spelled(part) for part in data]
    if isinstance(data, dict):
        return {key: all_spelled(part) for key, part in data.items()}
    return data
