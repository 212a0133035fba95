"""Comparisons of quantized models with their float originals."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import Any, Dict, List, Mapping, Optional, Sequence

from . import _native
from ._convert import pictures
from ._errors import LimitError, OptionsError
from ._metric import Figures, missed
from ._models import source
from ._progress import Listening, note
from ._record import Record, Told
from ._results import told
from ._samples import prepared, told_by_name
from ._types import Metric, Model, Preprocess, Progress, Samples


class Validation(Told):
    """What a comparison found. `.verdict` has the figures, `.limits` each limit with what was found of it."""

    #: What `metric` found: `.float` and `.quantized`, means over the samples, and `.drop`, the difference. None without it.
    metric: Optional[Record] = None
    _max_metric_drop: Optional[float] = None

    @property
    def missed(self) -> List[str]:
        """The limits that are not met, in words."""
        own = missed(self.metric, self._max_metric_drop)
        return [limit["text"] for limit in self._data.get("limits", []) if not limit["met"]] + own

    @property
    def compared(self) -> bool:
        """Whether the models could be compared at all; `.verdict.reason` says why not."""
        return bool(self._data["verdict"]["state"] == "validated")

    @property
    def passed(self) -> bool:
        """Whether the models were compared and all limits are met."""
        return self.compared and not self.missed

    def require(self) -> "Validation":
        """This, or a `LimitError` if it did not pass."""
        if not self.compared:
            raise LimitError(f"the models could not be compared: {self._data['verdict'].get('reason')}")
        if self.missed:
            raise LimitError("; ".join(self.missed))
        return self


def validate(
    float_model: Model,
    quantized_model: Model,
    samples: Optional[Samples] = None,
    *,
    labels: Optional[Any] = None,
    metric: Optional[Metric] = None,
    max_metric_drop: Optional[float] = None,
    preprocess: Optional[Preprocess] = None,
    max_samples: Optional[int] = None,
    seed: int = 0,
    sample_shape: Optional[Mapping[str, Sequence[int]]] = None,
    state: Optional[Mapping[str, str]] = None,
    sequence_length: Optional[int] = None,
    cross_check: Optional[str] = None,
    max_drop: Optional[float] = None,
    min_agreement: Optional[float] = None,
    min_sqnr: Optional[float] = None,
    threads: Optional[int] = None,
    progress: Progress = None,
) -> Validation:
    """Runs a quantized model, whoever made it, beside its float original, and compares their outputs.

    Args:
        float_model, quantized_model: paths, bytes, or ``onnx.ModelProto``.
        samples: in the forms of `quantize`. None looks for files beside the float model, or makes random samples up.
        labels: class indices, one for each row of the samples along axis 0.
        metric: a figure of your own, called as ``metric(outputs, labels)`` for each sample and each model: ``outputs`` are arrays of float32
            by the names of the outputs, ``labels`` the class indices of the sample, or None. The mean over the samples counts; more is better.
        max_metric_drop: the mean may drop by this much.
        preprocess, seed, sample_shape, state, sequence_length, cross_check, threads, progress: as in `quantize`.
        max_samples: use at most this many samples.
        max_drop: top-1 may drop by this many points; needs labels.
        min_agreement: both models shall choose the same class on at least this share of the samples, from 0 to 1.
        min_sqnr: least SQNR of every output, in dB.

    Raises:
        OptionsError: a limit cannot be judged: on random samples, without labels, or without class scores.
        Error: as in `quantize`. A limit that is not met is no error: see `Validation.passed`.
    """
    if max_metric_drop is not None and metric is None:
        raise OptionsError("max_metric_drop= limits what metric= finds, and there is none")
    original, other = source(float_model), source(quantized_model)
    options: Dict[str, Any] = {
        "max_samples": max_samples,
        "seed": seed,
        "sample_shape": [[name, list(dims)] for name, dims in (sample_shape or {}).items()],
        "state": [list(pair) for pair in (state or {}).items()],
        "sequence_length": sequence_length,
        "cross_check": cross_check,
        "max_drop": max_drop,
        "min_agreement": min_agreement,
        "min_sqnr": min_sqnr,
        "threads": threads,
        "preprocess": None if preprocess is None else pictures(preprocess),
    }
    with ExitStack() as stack:
        given = prepared(
            samples,
            original,
            stack,
            argument="samples",
            labels=labels,
            preprocess=preprocess is not None,
            most=max_samples,
            state=state,
        )
        text = json.dumps({name: value for name, value in options.items() if value is not None}, default=os.fspath)
        with told_by_name(), Listening(progress) as listener:
            figures = None if metric is None else Figures(metric)
            found = told(Validation, _native.validate(original, other, text, given, listener, note, figures))
    found.metric = None if figures is None else figures.found()
    found._max_metric_drop = max_metric_drop
    return found
