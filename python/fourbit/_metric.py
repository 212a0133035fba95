"""A caller's own figure of merit, on the outputs of both models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from ._errors import RunError
from ._record import Record
from ._types import Metric

if TYPE_CHECKING:
    import numpy

_Outputs = List[Tuple[str, List[int], bytes]]


def _arrays(outputs: _Outputs) -> Dict[str, numpy.ndarray[Any, Any]]:
    import numpy

    return {name: numpy.frombuffer(values, numpy.float32).reshape(dims) for name, dims, values in outputs}


class Figures:
    """The figure of both models for each sample. Their means are what the models are worth."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._figures: List[Tuple[float, float]] = []

    def __call__(self, sample: int, labels: List[int], original: _Outputs, quantized: _Outputs) -> None:
        import numpy

        # Begun anew.
        del self._figures[sample:]
        given = numpy.array(labels, numpy.int64) if labels else None
        one, other = (float(self._metric(_arrays(outputs), given)) for outputs in (original, quantized))
        self._figures.append((one, other))

    def found(self) -> Record:
        """The means over all samples."""
        if not self._figures:
            raise RunError("metric= saw no outputs: the models were not compared as a whole; the report says why")
        count = len(self._figures)
        original, quantized = (sum(pair[at] for pair in self._figures) / count for at in (0, 1))
        return Record({"float": original, "quantized": quantized, "drop": original - quantized, "samples": count})


def missed(found: Optional[Record], most: Optional[float]) -> List[str]:
    """The limit on the drop of the metric, in words, if it is not met."""
    if found is None or most is None or found["drop"] <= most:
        return []
    return [f"max_metric_drop={most:g}: {found['drop']:.6g} ({found['float']:.6g} -> {found['quantized']:.6g})"]

