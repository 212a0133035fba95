"""What the bridges to other packages share."""

from __future__ import annotations

import re
import warnings
from typing import Any, Iterable, List

_SPECIAL = re.compile(r"[*?\[\]{}\\]")


class ArgumentWarning(UserWarning):
    """An argument of another package's function that has no meaning, or another one, in fourbit. The message says why."""


def ignored(argument: str, reason: str, level: int = 3) -> None:
    """Warns that `argument` has no effect; `level` is how many calls up the program is."""
    warnings.warn(f"fourbit ignores {argument}: {reason}", ArgumentWarning, stacklevel=level + 1)


def literal(name: str) -> str:
    """The pattern that fits `name` and nothing else."""
    return _SPECIAL.sub(lambda sign: f"[{sign.group()}]", name)


def word(value: Any) -> str:
    """An enumerator of another package as its name; texts stay."""
    return str(getattr(value, "name", value))


def known(names: Iterable[Any], there: Iterable[str], argument: str, what: str, level: int = 3) -> List[str]:
    """Those of `names` that are `there`; the others are warned about, at most five by name."""
    have = set(there)
    given = [str(name) for name in names]
    missing = [name for name in given if name not in have]
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        ignored(f"{shown} in {argument}", what, level + 1)
    return [name for name in given if name in have]
