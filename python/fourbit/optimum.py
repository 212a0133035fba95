"""Folders of ONNX models as optimum exports them; the work behind ``optimum-cli fourbit quantize``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Optional, Union

from ._convert import quantize
from ._errors import FileError, OptionsError
from ._folders import copied, models
from ._results import Result
from ._types import Samples

__all__ = ["quantize_folder"]


def quantize_folder(
    folder: Union[str, "os.PathLike[str]"],
    output: Union[str, "os.PathLike[str]"],
    samples: Optional[Samples] = None,
    *,
    precision: str = "w4",
    target: Optional[str] = None,
    **options: Any,
) -> Dict[Path, Result]:
    """Converts every ONNX model of `folder` into a file of the same name in `output`, and copies configuration and tokenizer files.

    So the class that loads the one folder loads the other: ``ORTModelForImageClassification.from_pretrained(output)``.

    Args:
        folder: what ``optimum-cli export onnx`` wrote, or a folder with models in its subfolder ``onnx``.
        output: another folder; it is made if it is missing.
        samples: calibration samples for all models, as `fourbit.quantize` takes them. None generates some, or finds them beside a model.
        precision: bits of weights and activations; ``"w4"`` needs no samples.
        target: the runtime that the files are for. None chooses onnxruntime's form: ``ort-cpu``, or ``ort-cpu-int8`` with activations.
        options: further arguments of `fourbit.quantize`.

    Returns:
        What came of each file, by the path of the new one.
    """
    source, place = Path(folder), Path(output)
    found = models(source) + models(source / "onnx") if source.is_dir() else []
    if not found:
        raise FileError(f"{source}: expected a folder with ONNX models, found none")
    if place.exists() and place.resolve() == source.resolve():
        raise OptionsError("the output folder must be another one than that of the models")
    if target is None:
        target = "ort-cpu-int8" if precision.lower() in ("w4a8", "w8a8") else "ort-cpu"
    results = {}
    for model in found:
        new = place / model.relative_to(source)
        new.parent.mkdir(parents=True, exist_ok=True)
        results[new] = quantize(model, samples, output=new, precision=precision, target=target, progress=False, **options)
    copied(source, place)
    return results
