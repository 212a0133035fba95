"""Plans: everything that a conversion decides, as data."""

from __future__ import annotations

import fnmatch
import json
import os
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, MutableMapping, Optional

from . import _native
from ._errors import FileError, OptionsError, PlanError
from ._models import source
from ._progress import Listening, note
from ._record import Told
from ._types import Model, Path, Progress

if TYPE_CHECKING:
    import pathlib


class Applied(Told):
    """A plan that was carried out."""

    _model: Optional[bytes] = None

    @property
    def path(self) -> Optional[pathlib.Path]:
        """The file that was written; None if the model is in memory."""
        from pathlib import Path

        return None if self._model is not None else Path(self._data["output"])

    @property
    def model(self) -> bytes:
        """The bytes of the model."""
        path = self.path
        return path.read_bytes() if path is not None else self._model or b""


class Plan(MutableMapping[str, Any]):
    """What is done to each tensor, as a dictionary; docs/reference/json.md names the fields.

    To leave a tensor float, remove its decision from `decisions`, or use `leave_float`.
    """

    def __init__(self, data: Dict[str, Any]) -> None:
        self._data = data

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """The plan in a file, as `Plan.save` and ``fourbit plan`` write them."""
        try:
            with open(path, encoding="utf-8") as file:
                data = json.load(file)
        except OSError as error:
            raise _failed(f"cannot read {os.fspath(path)}: {error.strerror}", path) from error
        except ValueError as error:
            raise PlanError(f"{os.fspath(path)}: JSON: {error}") from error
        if not isinstance(data, dict):
            raise PlanError(f"{os.fspath(path)}: this is no plan")
        return cls(data)

    def save(self, path: Path, *, overwrite: bool = False) -> pathlib.Path:
        """Writes the plan as JSON."""
        from pathlib import Path as Place

        place = Place(path)
        text = json.dumps(self._data, indent=2) + "\n"
        try:
            with place.open("w" if overwrite else "x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            raise _failed(f"{place} exists; set overwrite= to replace it", path) from error
        except OSError as error:
            raise _failed(f"cannot write {place}: {error.strerror}", path) from error
        return place

    @property
    def decisions(self) -> List[Dict[str, Any]]:
        """What is done, in the order of the graph. The list may be edited."""
        found: List[Dict[str, Any]] = self._data["decisions"]
        return found

    def leave_float(self, *patterns: str) -> int:
        """Removes the decisions on tensors that match a pattern (``*``, ``?``), and says how many these were."""
        before = len(self.decisions)
        kept = [one for one in self.decisions if not any(fnmatch.fnmatchcase(one["tensor"], pattern) for pattern in patterns)]
        self._data["decisions"] = kept
        return before - len(kept)

    def apply(
        self,
        model: Model,
        output: Optional[Path] = None,
        *,
        first: Optional[int] = None,
        overwrite: bool = False,
        external_data: bool = False,
        progress: Progress = None,
    ) -> Applied:
        """Writes the model that the plan describes, and proves that the file says what the plan does.

        Args:
            model: the float model that the plan was made for: a path, bytes, or an ``onnx.ModelProto``.
            output: the file to write. None writes beside a model that is a path; the result of a model in memory stays in memory.
            first: apply only this many decisions, so that one that costs accuracy can be found by halving.
            overwrite: replace a file that exists.
            external_data: put large tensors into a file of their own.
            progress: as in `quantize`.
        """
        import tempfile

        found = source(model)
        in_memory = output is None and isinstance(found, bytes)
        if in_memory and external_data:
            raise OptionsError("a model in memory has no file beside it: give output=, or leave external_data= out")
        with tempfile.TemporaryDirectory(prefix="fourbit-") as folder, Listening(progress) as listener:
            plan = os.path.join(folder, "plan.json")
            Plan(self._data).save(plan)
            options: Dict[str, Any] = {"overwrite": overwrite, "external_data": external_data}
            if first is not None:
                options["first"] = first
            if in_memory:
                output = os.path.join(folder, "model.onnx")
            if output is not None:
                options["output"] = os.fspath(output)
            native = _native.apply(found, plan, json.dumps(options), listener, note)
            applied = Applied(native.json, native.text(None, False), native.text(None, True))
            if in_memory and output is not None:
                with open(output, "rb") as file:
                    applied._model = file.read()
        return applied

    def __getitem__(self, name: str) -> Any:
        return self._data[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._data[name] = value

    def __delitem__(self, name: str) -> None:
        del self._data[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return f"Plan({self._data.get('precision')}, {len(self._data.get('decisions', []))} decisions)"


def _failed(message: str, path: Path) -> FileError:
    error = FileError(message)
    error.file = os.fspath(path)
    return error
