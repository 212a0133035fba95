"""Results as data: JSON objects whose fields are attributes."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List, Optional

from ._words import all_spelled


def _seen(value: Any) -> Any:
    if isinstance(value, dict):
        return Record(value)
    if isinstance(value, list):
        return [_seen(part) for part in value]
    return value


class Record:
    """An object of a report. `record.field` and `record["field"]` are the same; objects in it are records too.

    The fields are those of the JSON forms: docs/reference/json.md.
    """

    def __init__(self, data: Dict[str, Any]) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._data:
            return _seen(self._data[name])
        raise AttributeError(f"{type(self).__name__} has no field {name!r}; it has {', '.join(self._data)}")

    def __getitem__(self, name: str) -> Any:
        return _seen(self._data[name])

    def __contains__(self, name: object) -> bool:
        return name in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self._data == other._data

    def __hash__(self) -> int:
        return id(self)

    def __dir__(self) -> List[str]:
        return [*super().__dir__(), *self._data]

    def get(self, name: str, default: Optional[Any] = None) -> Any:
        """The field `name`, or `default` if there is none."""
        return _seen(self._data.get(name, default))

    def to_dict(self) -> Dict[str, Any]:
        """The record as plain dictionaries, lists, strings and numbers; a copy."""
        copy: Dict[str, Any] = json.loads(json.dumps(self._data))
        return copy

    def __repr__(self) -> str:
        fields = ", ".join(f"{key}={value!r}" for key, value in self._data.items())
        return f"{type(self).__name__}({fields if len(fields) < 200 else fields[:200] + ' ...'})"


class Told(Record):
    """A record that fourbit also tells in words."""

    def __init__(self, json_text: str, text: str, details: str) -> None:
        super().__init__(all_spelled(json.loads(json_text)))
        self._text = text
        self._details = details

    @property
    def text(self) -> str:
        """Sentences for people."""
        return self._text

    @property
    def details(self) -> str:
        """All tables too, with every tensor that stays float."""
        return self._details

    def __str__(self) -> str:
        return self.text
