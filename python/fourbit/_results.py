"""What came of a conversion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, List, Optional, Type, TypeVar

from . import _native
from ._errors import FileError
from ._limits import missed
from ._metric import missed as missed_metric
from ._plan import Plan
from ._progress import logger
from ._record import Record, Told
from ._types import Path
from ._words import spelled

if TYPE_CHECKING:
    import pathlib

    import pandas  # type: ignore[import-untyped, import-not-found, unused-ignore]

_R = TypeVar("_R", bound=Told)


def told(kind: Type[_R], native: _native.Told) -> _R:
    """What the native module gave, as a record of this kind."""
    return kind(native.json, spelled(native.text(None, False)), spelled(native.text(None, True)))


class Result:
    """A conversion that was made.

    `path` is the file that was written, `model` its bytes, `report` what was done and what it cost, and `text` the same in words.
    """

    def __init__(self, native: _native.Told) -> None:
        self._native = native
        #: What was done and what it cost, as the program writes it with ``--report FILE.json``: `.sizes.ratio`,
        #: `.verdict.scores.drop_points` in points, `.verdict.outputs[0].sqnr_db` in dB ...
        self.report: Told = told(Told, native)
        #: What `metric` found: `.float` and `.quantized`, means over the samples, and `.drop`, the difference. None without it.
        self.metric: Optional[Record] = None
        self._max_metric_drop: Optional[float] = None
        self._plan: Optional[Plan] = None
        for warning in self.report["warnings"]:
            logger().warning("%s", warning)

    @property
    def path(self) -> Optional[pathlib.Path]:
        """The file that was written; None if the model is in memory."""
        from pathlib import Path

        return None if self._native.model is not None else Path(self.report["output"])

    @property
    def model(self) -> bytes:
        """The bytes of the model."""
        held, path = self._native.model, self.path
        return path.read_bytes() if held is None and path is not None else held or b""

    @property
    def verdict(self) -> Record:
        """What the comparison of both models found: `.state` is "validated" or "not_validated"."""
        found: Record = self.report["verdict"]
        return found

    @property
    def layers(self) -> List[Record]:
        """What was quantized: one record for each tensor, with `.tensor`, `.operator`, `.bits`, `.sqnr_db` in dB, and `.reason`."""
        found: List[Record] = self.report["sites"]
        return found

    @property
    def plan(self) -> Plan:
        """The plan, which can be edited and applied again."""
        if self._plan is None:
            self._plan = Plan(json.loads(self._native.plan or "{}"))
        return self._plan

    @property
    def missed(self) -> List[str]:
        """The limits that are not met, in words."""
        return missed(self.report.to_dict().get("budget")) + missed_metric(self.metric, self._max_metric_drop)

    @property
    def text(self) -> str:
        """The verdict, in sentences for people."""
        return self.report.text

    @property
    def details(self) -> str:
        """All tables too, with every tensor that stays float."""
        return self.report.details

    def save(self, path: Path, *, overwrite: bool = False) -> pathlib.Path:
        """Writes the model to `path`, and the file of large tensors, where there is one, beside it under its own name."""
        import pathlib
        import shutil

        place = pathlib.Path(path)
        if place.exists() and not overwrite:
            error = FileError(f"{place} exists; set overwrite= to replace it")
            error.file = str(place)
            raise error
        if self.path is None:
            place.write_bytes(self.model)
            return place
        side = self.path.with_name(self.path.name + ".data")
        if side.exists():
            shutil.copyfile(side, place.with_name(side.name))
        shutil.copyfile(self.path, place)
        return place

    def to_pandas(self) -> "pandas.DataFrame":
        """The layers as a table: a row for each tensor that was quantized. Needs pandas."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_pandas needs pandas: pip install pandas") from error
        rows = [{key: value for key, value in layer.to_dict().items() if not isinstance(value, dict)} for layer in self.layers]
        return pandas.DataFrame(rows)

    def _repr_html_(self) -> str:
        from ._html import page

        return page(self.report.to_dict(), str(self.path or "in memory"))

    def __repr__(self) -> str:
        sizes: Any = self.report["sizes"]
        return f"Result({str(self.path or 'in memory')}, {sizes['before']} -> {sizes['after']} bytes, {self.verdict['state']})"

    def __str__(self) -> str:
        return self.text
