"""Samples in the forms in which Python programs have them, on their way to Rust.

A path goes as it is. All else is read once, from its start to its end, one item after another; what was read lies in a temporary
file, so that memory does not grow with the number of samples.
"""

from __future__ import annotations

import fnmatch
import os
import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from . import _native
from ._arrays import Input, Labels, is_array, numpy_array, single, split
from ._errors import SamplesError
from ._progress import logger

if TYPE_CHECKING:
    import numpy

#: Samples to calibrate on unless `max_samples` says otherwise; the library's own number.
CALIBRATION_SAMPLES = 512

_LABELS = ("labels", "label")

#: How folders of this module are called; nobody else has heard of them.
_FOLDER = "fourbit-samples-"


@contextmanager
def told_by_name() -> Iterator[None]:
    """Errors about samples in a temporary file say of which argument they are."""
    try:
        yield
    except SamplesError as error:
        message = re.sub(rf"\S*{_FOLDER}(\w+?)-[^\s:/\\]*([/\\]\d+\.npz)?", r"\1", str(error))
        if message != str(error):
            error.args = (message,)
            error.file = None
        raise


def prepared(
    samples: Any,
    model: Union[str, bytes],
    stack: ExitStack,
    *,
    argument: str,
    labels: Any = None,
    preprocess: bool = False,
    most: Optional[int] = None,
    shapes: Optional[Mapping[str, Sequence[int]]] = None,
    state: Optional[Mapping[str, str]] = None,
) -> Union[str, _native.Spool, None]:
    """`samples` as the native module takes them.

    Of what is iterated, `most` samples are read. Temporary files go away with `stack`.
    """
    if samples is None or isinstance(samples, (str, os.PathLike)):
        if labels is not None:
            raise SamplesError(f"labels for {argument}: labels belong to arrays; a file holds its own")
        return None if samples is None else os.fspath(samples)
    inputs = [Input(*found).fixed((shapes or {}).get(found[0])) for found in _native.inputs(model)]
    reader = _Reader(inputs, argument, labels, list((state or {}).values()))
    if preprocess:
        import tempfile

        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{_FOLDER}{argument}-"))
        return reader.stored(samples, folder, most)
    return reader.spooled(samples, most)


class _Reader:
    """Reads samples for a model of these inputs."""

    def __init__(self, inputs: List[Input], argument: str, labels: Any, fed: List[str]) -> None:
        self.inputs = inputs
        #: Patterns of inputs that outputs feed, so that samples may leave them out.
        self.fed = fed
        self.argument = argument
        self.labels = None if labels is None else Labels(numpy_array(labels, "labels"), argument)

    def spooled(self, samples: Any, most: Optional[int]) -> _native.Spool:
        """All samples, cut apart."""
        spool = _native.Spool("arrays of the program" if _in_memory(samples) else "samples of the program")
        for arrays, labels in self._samples(samples):
            if most is not None and not _in_memory(samples) and len(spool) >= most:
                told = "%s: the first %d samples are used; what the iterable gives after these is not read"
                logger().info(told, self.argument, most)
                break
            spool.add([(name, *_raw(array)) for name, array in arrays], labels)
        if len(spool) == 0:
            rows = max((one.batch or 1 for one in self.inputs), default=1)
            few = f", or no item with {rows} rows, as many as the model takes at once" if rows > 1 else ""
            raise SamplesError(f"{self.argument}: there are no samples{few}")
        if self.labels is not None:
            self.labels.used_up(_in_memory(samples))
        return spool

    def _samples(self, samples: Any) -> Iterator[Tuple[List[Tuple[str, numpy.ndarray[Any, Any]]], List[int]]]:
        whole = isinstance(samples, Mapping) or is_array(samples)
        for at, item in enumerate(_items(samples)):
            place = self.argument if whole else f"{self.argument}, item {at}"
            arrays, labels = self._named(item, place, whole)
            yield from split(self.inputs, arrays, self.labels if labels is None else Labels(labels, place), place, whole)
            if labels is not None and self.labels is not None:
                raise SamplesError(f"{place}: it has labels of its own, and there is an argument for labels too")

    def stored(self, samples: Any, folder: str, most: Optional[int]) -> str:
        """Pictures, which the library turns into inputs: arrays as they came, in files."""
        import numpy

        count = 0
        whole = isinstance(samples, Mapping) or is_array(samples)
        for at, item in enumerate(_items(samples)):
            if most is not None and not _in_memory(samples) and count >= most:
                break
            place = self.argument if whole else f"{self.argument}, item {at}"
            arrays, labels = self._named(item, place, whole)
            kept: Dict[str, Any] = {name: array if whole else single(array) for name, array in arrays.items()}
            rows = len(next(iter(kept.values())))
            if labels is None and self.labels is not None:
                labels = self.labels.take(rows)
            if labels is not None:
                kept["labels"] = labels.astype("int64").reshape(-1)
            count += rows
            numpy.savez(os.path.join(folder, f"{at:08}.npz"), **kept)
        if count == 0:
            raise SamplesError(f"{self.argument}: there are no samples")
        if self.labels is not None:
            self.labels.used_up(_in_memory(samples))
        files = os.listdir(folder)
        return os.path.join(folder, files[0]) if len(files) == 1 else folder

    def _named(
        self, item: Any, place: str, whole: bool
    ) -> Tuple[Dict[str, numpy.ndarray[Any, Any]], Optional[numpy.ndarray[Any, Any]]]:
        """The arrays of an item by the names of inputs, and its labels."""
        names = [one.name for one in self.inputs]
        given, labels = item, None
        if isinstance(item, (tuple, list)) and not whole:
            given, labels = self._parted(item, place)
        if isinstance(given, Mapping):
            return self._keyed(given, labels, names, place)
        if isinstance(given, (tuple, list)) and len(given) == len(names):
            parts = list(given)
        elif len(names) == 1:
            parts = [given]
        else:
            raise SamplesError(f"{place}: the model has the inputs {', '.join(names)}; give a dictionary with an array for each")
        arrays = {name: numpy_array(part, f"{place}, input {name}") for name, part in zip(names, parts)}
        return arrays, None if labels is None else numpy_array(labels, f"{place}, labels")

    def _parted(self, item: Any, place: str) -> Tuple[Any, Any]:
        """Inputs and labels of a tuple: (inputs, labels), or an array for each input and perhaps labels behind."""
        count = len(self.inputs)
        nested = len(item) > 0 and isinstance(item[0], (Mapping, tuple, list))
        if len(item) == 1:
            return item[0], None
        if len(item) == 2 and (nested or count == 1):
            return item[0], item[1]
        if len(item) == count:
            return item, None
        if len(item) == count + 1:
            return item[:-1], item[-1]
        expected = f"{count} array{'s' if count > 1 else ''}, one for each input, and perhaps labels behind"
        raise SamplesError(f"{place}: expected {expected}, found a {type(item).__name__} of {len(item)}")

    def _keyed(
        self, given: Mapping[str, Any], labels: Any, names: List[str], place: str
    ) -> Tuple[Dict[str, numpy.ndarray[Any, Any]], Optional[numpy.ndarray[Any, Any]]]:
        found = [key for key in given if key in _LABELS and key not in names]
        if labels is None and found:
            labels = given[found[0]]
        absent = [name for name in names if name not in given]
        missing = [name for name in absent if not any(fnmatch.fnmatchcase(name, pattern) for pattern in self.fed)]
        extra = [str(key) for key in given if key not in names and key not in _LABELS]
        if missing or extra:
            has = f"found the keys {', '.join(map(str, given))}"
            raise SamplesError(f"{place}: expected an array for each of the inputs {', '.join(names)} and nothing else, {has}")
        arrays = {name: numpy_array(given[name], f"{place}, input {name}") for name in names if name in given}
        return arrays, None if labels is None else numpy_array(labels, f"{place}, labels")


def _items(samples: Any) -> Iterable[Any]:
    if isinstance(samples, Mapping) or is_array(samples):
        return [samples]
    if hasattr(samples, "get_next"):
        return iter(samples.get_next, None)
    try:
        found: Iterator[Any] = iter(samples)
        return found
    except TypeError:
        expected = "a path, arrays, an iterable of these, or an object with get_next"
        raise TypeError(f"samples are {expected}, not {type(samples).__name__}") from None


def _in_memory(samples: Any) -> bool:
    return isinstance(samples, (Mapping, list, tuple)) or is_array(samples)


def _raw(array: numpy.ndarray[Any, Any]) -> Tuple[str, Tuple[int, ...], bytes]:
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.dtype.name, array.shape, array.tobytes()
