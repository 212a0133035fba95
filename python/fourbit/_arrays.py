"""Arrays of samples, cut apart along their first axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from ._errors import SamplesError

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


class Input(NamedTuple):
    """An input as the model declares it."""

    name: str
    element: str
    #: A number, a symbol, or None; no list at all where not even the rank is known.
    dims: Optional[List[Union[int, str, None]]]
    #: The axis of the batch, where that is known not to be the first.
    batch_axis: Optional[int]

    def fixed(self, dims: Optional[Sequence[int]]) -> Input:
        """The input with these dimensions, where there are any."""
        return self if dims is None else Input(self.name, self.element, [int(size) for size in dims], self.batch_axis)

    @property
    def batch(self) -> Optional[int]:
        """Rows that one sample takes; None where the model leaves that open."""
        first = self.dims[0] if self.dims else None
        return first if isinstance(first, int) else None

    def shape(self) -> str:
        if self.dims is None:
            return "any shape"
        return f"[{', '.join('?' if dim is None else str(dim) for dim in self.dims)}]"


class Labels:
    """Class indices along the first axis, taken from the front."""

    def __init__(self, values: Array, place: str) -> None:
        if values.dtype.kind not in "iub":
            raise SamplesError(f"{place}: labels are class indices, whole numbers; found {values.dtype.name}")
        self._values = values.reshape(1) if values.ndim == 0 else values
        self._place = place
        self._taken = 0

    def take(self, rows: int) -> Array:
        end = self._taken + rows
        if end > len(self._values):
            raise SamplesError(f"{self._place}: there are only {len(self._values)} labels for more rows of data")
        found = self._values[self._taken : end]
        self._taken = end
        return found

    def used_up(self, all_of_them: bool) -> None:
        if all_of_them and self._taken != len(self._values):
            raise SamplesError(f"{self._place}: there are {len(self._values)} labels for {self._taken} rows of data")

    def __len__(self) -> int:
        return len(self._values)


def is_array(value: Any) -> bool:
    """Whether it is one array or tensor, and not a list of such."""
    return hasattr(value, "__array__") or hasattr(value, "__array_interface__")


def numpy_array(value: Any, place: str) -> Array:
    """An array of NumPy, torch, TensorFlow, JAX, PIL, or a list of numbers."""
    import numpy

    if not isinstance(value, numpy.ndarray):
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            # NumPy has no such type, and float32 holds all of its values.
            value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        value = value.numpy() if hasattr(value, "numpy") else value
        value = numpy.asarray(value)
    if value.dtype.kind not in "fiub" and value.dtype.name != "bfloat16":
        raise SamplesError(f"{place}: expected numbers, found an array of {value.dtype.name}")
    found: Array = value
    return found


def single(array: Array) -> Array:
    """Pictures stacked along the first axis; one picture becomes a stack of one."""
    channels = (1, 3, 4)
    is_one = array.ndim == 2 or array.ndim == 3 and (array.shape[-1] in channels or array.shape[0] in channels)
    return array[None] if is_one else array


class _Cut(NamedTuple):
    """How one array becomes samples: `rows` of the first axis each, or where that is 0, one row without its axis."""

    number: int
    rows: int
    array: Array
    #: Rows of the batch of one sample, each of which has a label.
    labels: int

    def sample(self, at: int) -> Array:
        found: Array = self.array[at] if self.rows == 0 else self.array[at * self.rows : (at + 1) * self.rows]
        return found


def rows_of(one: Input, array: Array, place: str, whole: bool) -> _Cut:
    """How `array` is cut: `whole` says that it holds all samples, along its first axis; otherwise it is one item of many."""

    def wrong() -> SamplesError:
        stacked = "" if one.dims is None else f", or samples of it stacked: [samples, {one.shape()[1:]}"
        alone = "" if whole or not one.dims or one.batch not in (None, 1) else f", or one sample without its first axis: [{one.shape()[1:].partition(', ')[2]}"
        found = f"[{', '.join(map(str, array.shape))}]"
        return SamplesError(f"{place}, input {one.name}: expected the shape {one.shape()}{stacked}{alone}, found {found}")

    def labels(sample: Tuple[int, ...]) -> int:
        axis = one.batch_axis or 0
        return sample[axis] if axis < len(sample) else 1

    rank = array.ndim if one.dims is None and not whole else array.ndim - 1 if one.dims is None else len(one.dims)
    if array.ndim == rank + 1:
        return _Cut(len(array), 0, array, labels(array.shape[1:]))
    if array.ndim == rank and not whole and (rank == 0 or one.dims is None):
        return _Cut(1, 0, array[None], labels(array.shape))
    if array.ndim == rank and rank > 0:
        if one.batch is None and one.batch_axis:
            if whole:
                raise wrong()
            return _Cut(1, 0, array[None], labels(array.shape))
        rows = one.batch or 1
        count = len(array) // rows
        # The last batch of a loader may be short; what is left over is dropped.
        if whole and count == 0:
            raise wrong()
        return _Cut(count, rows, array, labels((rows, *array.shape[1:])))
    if array.ndim == rank - 1 and not whole and one.batch in (None, 1):
        return _Cut(1, 1, array[None], 1)
    raise wrong()


def split(
    inputs: List[Input], arrays: Dict[str, Array], labels: Optional[Labels], place: str, whole: bool
) -> Iterator[Tuple[List[Tuple[str, Array]], List[int]]]:
    """The samples in `arrays`, each with its labels."""
    inputs = [one for one in inputs if one.name in arrays]
    cuts = {one.name: rows_of(one, arrays[one.name], place, whole) for one in inputs}
    counts = {cut.number for cut in cuts.values()}
    if len(counts) > 1:
        if whole:
            told = ", ".join(f"{cut.number} of {name}" for name, cut in cuts.items())
            raise SamplesError(f"{place}: expected equally many samples for each input, found {told}")
        # Not every input has a batch: the item is what one call of the model takes.
        cuts = {one.name: _Cut(1, 0, arrays[one.name][None], 0) for one in inputs}
    first = cuts[inputs[0].name]
    for at in range(first.number):
        own = [] if labels is None else [int(label) for label in labels.take(first.labels or len(labels)).ravel()]
        yield [(name, cut.sample(at)) for name, cut in cuts.items()], own
    if labels is not None and first.rows > 0:
        # Rows that make no whole sample have labels too.
        labels.take(len(first.array) - first.number * first.rows)
