"""Folders for Transformers.js: ``onnx/model.onnx`` becomes ``onnx/model_q4.onnx``, and so on.

    from fourbit.transformers_js import quantize_folder

    quantize_folder("my-model", dtypes=["q4", "q8"])

In a shell: ``python -m fourbit.transformers_js my-model --dtype q4``. In the browser, ``{ dtype: "q4" }`` loads the file.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

from ._convert import quantize
from ._errors import Error, FileError, ModelError, OptionsError
from ._folders import copied, models, side_file
from ._peek import nodes, weight_types
from ._results import Result
from ._types import Samples

__all__ = ["DTYPES", "quantize_folder"]

#: What Transformers.js calls the files that fourbit can write: the ending of the name, and the precision.
DTYPES: Dict[str, Any] = {
    "q8": ("_quantized", "w8"),
    "int8": ("_int8", "w8"),
    "q4": ("_q4", "w4"),
    "q4f16": ("_q4f16", "w4"),
    "q2": ("_q2", "w2"),
}
#: All endings that Transformers.js knows: files with these are no float models.
_ENDINGS = ("_fp16", "_int8", "_uint8", "_quantized", "_q4", "_q4f16", "_q2", "_q2f16", "_q1", "_q1f16", "_bnb4")
_FLOAT, _FLOAT16 = 1, 10
_Path = Union[str, "os.PathLike[str]"]


def quantize_folder(
    folder: _Path,
    output: Optional[_Path] = None,
    samples: Optional[Samples] = None,
    *,
    dtypes: Union[str, Sequence[str]] = ("q4",),
    target: Optional[str] = None,
    overwrite: bool = False,
    **options: Any,
) -> Dict[Path, Result]:
    """Writes quantized files into the layout that Transformers.js loads. Weights are quantized, activations stay float.

    Args:
        folder: a model's folder, with float models in ``onnx/``, or beside its configuration as ``optimum-cli export onnx`` leaves them.
        output: another folder to write to; configuration and tokenizer files are copied there. None writes beside the float models.
        samples: calibration samples for all models, as `fourbit.quantize` takes them. None generates some where it can.
        dtypes: what to write: ``"q4"``, ``"q8"`` (which the browser loads by default), ``"int8"``, ``"q2"``, and ``"q4f16"``, which needs
            a ``model_fp16.onnx`` that is half precision indeed.
        target: the form of the files. None takes ``webgpu`` (MatMulNBits, which onnxruntime-web has on the GPU and on the CPU) for
            models of matrix products, and ``portable`` (weights that are unpacked once, while the file is loaded) for models with
            convolutions, and wherever the widths ask for it.
        overwrite: replace files that exist.
        options: further arguments of `fourbit.quantize`.

    Returns:
        What came of each file, by its path.
    """
    source = Path(folder)
    place = source if output is None else Path(output)
    wanted = [dtypes] if isinstance(dtypes, str) else list(dtypes)
    unknown = [dtype for dtype in wanted if dtype not in DTYPES]
    if unknown:
        raise OptionsError(f"dtype {unknown[0]}: fourbit writes {', '.join(DTYPES)}")
    home = source / "onnx" if (source / "onnx").is_dir() else source
    floats = [path for path in models(home) if not path.stem.endswith(_ENDINGS)]
    if not floats:
        raise FileError(f"{source}: expected onnx/model.onnx or the like, found no float model")
    (place / "onnx").mkdir(parents=True, exist_ok=True)
    found: Dict[Path, Result] = {}
    for dtype in wanted:
        ending, precision = DTYPES[dtype]
        for path in floats:
            read = _half(path) if dtype.endswith("f16") else path
            new = place / "onnx" / f"{path.stem}{ending}.onnx"
            chosen: Dict[str, Any] = {"precision": precision, **_form(read, precision, target), **options}
            found[new] = quantize(read, samples, output=new, overwrite=overwrite, progress=False, **chosen)
    if place.resolve() != source.resolve():
        copied(source, place)
    _named_aside(place, [path for path in found if side_file(path)[1]])
    return found


def _half(path: Path) -> Path:
    """The model in half precision beside `path`."""
    half = path.with_name(f"{path.stem}_fp16.onnx")
    if not half.exists():
        raise FileError(f"q4f16 needs {half.name} beside {path.name}: activations are as in the float model, and these are FLOAT")
    kinds = weight_types(half)
    if kinds.get(_FLOAT16, 0) <= kinds.get(_FLOAT, 0):
        raise ModelError(f"{half} is not in half precision: its weights are FLOAT")
    return half


def _form(model: Path, precision: str, target: Optional[str]) -> Dict[str, Any]:
    """The form of the file."""
    operators = {node.operator for node in nodes(model)}
    if target is None:
        convolutions = bool(operators & {"Conv", "ConvTranspose"})
        target = "portable" if convolutions or precision == "w2" else "webgpu"
    # Blocks of 32 are what Transformers.js's own q4 files have.
    return {"target": target, **({"granularity": "block:32"} if target == "webgpu" and precision == "w4" else {})}


def _named_aside(place: Path, large: List[Path]) -> None:
    """Gives files of large tensors the names that Transformers.js asks for, and says so in the configuration."""
    for path in large:
        side = side_file(path)[0]
        new = path.with_name(f"{path.name}_data")
        # Both names have the same length, so that nothing else in the file moves.
        path.write_bytes(path.read_bytes().replace(side.name.encode(), new.name.encode()))
        os.replace(side, new)
    config = place / "config.json"
    if large and config.exists():
        data = json.loads(config.read_text(encoding="utf-8"))
        settings = data.setdefault("transformers.js_config", {})
        known = settings.get("use_external_data_format")
        chunks = dict(known) if isinstance(known, dict) else {"model": known} if known else {}
        settings["use_external_data_format"] = {**chunks, **{path.name: 1 for path in large}}
        config.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def main(arguments: Optional[List[str]] = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m fourbit.transformers_js", description="Writes quantized files for Transformers.js.")
    parser.add_argument("folder", help="the model's folder, with float models in onnx/")
    parser.add_argument("-o", "--output", help="another folder to write to (default: beside the float models)")
    parser.add_argument("--dtype", action="append", choices=sorted(DTYPES), help="what to write (default: q4); repeatable")
    parser.add_argument("--calibration", help="calibration samples: .npz, .npy, a folder, generated, or none")
    parser.add_argument("--target", help="the form of the files: webgpu, portable ...")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    given = parser.parse_args(arguments)
    try:
        found = quantize_folder(
            given.folder,
            given.output,
            given.calibration,
            dtypes=given.dtype or ["q4"],
            target=given.target,
            overwrite=given.overwrite,
        )
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path, result in found.items():
        print(f"{path}\n{result.text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
