"""Converts models that Ultralytics exported to ONNX, on pictures prepared as Ultralytics prepares them.

    from fourbit.ultralytics import quantize_export

    result = quantize_export("best.onnx", "datasets/mine/images/train")

The export's own metadata says how: size, task and channels. It is kept, so that ``YOLO("best.w4a8.onnx")`` loads the new file.
"""

from __future__ import annotations

import ast
import os
import random
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from . import _native
from ._convert import quantize
from ._errors import ModelError, SamplesError
from ._models import source
from ._peek import metadata
from ._results import Result

__all__ = ["Preparation", "pictures", "preparation", "prepared", "quantize_export"]

_PICTURES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
#: What Ultralytics pads with.
_PADDING = 114
_Path = Union[str, "os.PathLike[str]"]


class Preparation(NamedTuple):
    """How a model wants its pictures."""

    #: Height and width of the input.
    size: Tuple[int, int]
    #: 3 for red, green and blue; 1 for gray.
    channels: int
    #: Cut the middle out of the picture, as classifiers want it, in the place of padding.
    crop: bool
    #: The input is FLOAT16.
    half: bool


def quantize_export(
    model: Any,
    samples: Any,
    *,
    output: Optional[_Path] = None,
    precision: str = "w4a8",
    target: Optional[str] = None,
    max_samples: int = 300,
    seed: int = 0,
    **options: Any,
) -> Result:
    """Converts an ONNX export of Ultralytics.

    Args:
        model: the path of the export, or a ``YOLO`` object; one that is no export yet is exported first, with ``format="onnx"``.
        samples: what to calibrate on: a folder of pictures (with subfolders), a list of files, a ``.txt`` that lists them, or the
            ``data.yaml`` of a dataset, of which the training pictures are taken. They need no labels. Arrays and other files are
            taken as `fourbit.quantize` takes them.
        output: the file to write. None writes beside the export, as ``best.w4a8.onnx``.
        precision: bits of weights and activations.
        target: the runtime that the file is for. None takes onnxruntime's form, which ``YOLO`` runs ONNX files with: ``ort-cpu-int8``
            with 8-bit activations, ``ort-cpu`` with float ones.
        max_samples: calibrate on at most this many pictures, chosen at random; as many again judge the result.
        seed: of that choice, and of all others.
        options: further arguments of `fourbit.quantize`.

    Raises:
        ModelError: the file has no metadata of Ultralytics.
        SamplesError: there are no pictures.
        Error: as `fourbit.quantize`.
    """
    path = _exported(model)
    wanted = preparation(path)
    given: Any = samples
    files = pictures(samples)
    if files is not None:
        # Those that judge are chosen here too: fourbit reads no further than it needs.
        chosen = random.Random(seed).sample(files, min(len(files), 2 * max_samples))
        given = prepared(chosen, wanted)
    if target is None:
        target = "ort-cpu-int8" if precision.lower() in ("w4a8", "w8a8") else "ort-cpu"
    arguments: Dict[str, Any] = {"precision": precision, "target": target, "max_samples": max_samples, "seed": seed, **options}
    return quantize(path, given, output=output, **arguments)


def preparation(model: _Path) -> Preparation:
    """How the export wants its pictures, as its metadata and its input say."""
    found = metadata(model)
    if "task" not in found or "imgsz" not in found:
        raise ModelError(f"{os.fspath(model)} has no metadata of Ultralytics; export it with YOLO(...).export(format='onnx')")
    try:
        sides = ast.literal_eval(found["imgsz"])
        channels = int(found.get("channels", 3))
    except (ValueError, SyntaxError) as error:
        raise ModelError(f"{os.fspath(model)}: its metadata is damaged: {error}") from error
    height, width = (sides, sides) if isinstance(sides, int) else (int(sides[0]), int(sides[-1]))
    _, kind, dims, *_ = _native.inputs(source(model))[0]
    if dims is not None and len(dims) == 4:
        fixed = [side if isinstance(side, int) and side > 0 else None for side in dims]
        channels, height, width = fixed[1] or channels, fixed[2] or height, fixed[3] or width
    return Preparation((height, width), channels, found["task"] == "classify", "16" in str(kind))


def pictures(samples: Any) -> Optional[List[Path]]:
    """The picture files that `samples` names; None if it names none but is something else, such as arrays."""
    if isinstance(samples, (list, tuple)) and samples and all(isinstance(one, (str, os.PathLike)) for one in samples):
        return [Path(one) for one in samples]
    if not isinstance(samples, (str, os.PathLike)):
        return None
    path = Path(samples)
    if path.suffix in (".yaml", ".yml"):
        found = _dataset(path)
    elif path.suffix == ".txt":
        found = _listed(path)
    elif path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _PICTURES)
        if not found and any(path.glob("*.np[yz]")):
            return None
    else:
        return None
    if not found:
        raise SamplesError(f"{path}: expected pictures ({', '.join(sorted(_PICTURES))}), found none")
    return found


def prepared(files: Sequence[_Path], wanted: Preparation) -> Iterator[Any]:
    """The pictures as inputs, one at a time: RGB or gray, 0..1, channels first."""
    import numpy

    for file in files:
        pixels = _read(file, wanted.channels)
        placed = _cropped(pixels, wanted.size) if wanted.crop else _boxed(pixels, wanted.size)
        ready = numpy.ascontiguousarray(placed.transpose(2, 0, 1)).astype("float32") / numpy.float32(255)
        yield ready.astype("float16") if wanted.half else ready


def _exported(model: Any) -> str:
    """The path of the export."""
    if isinstance(model, (str, os.PathLike)):
        path = os.fspath(model)
        if not path.endswith(".pt"):
            return path
        from ultralytics import YOLO

        model = YOLO(path)
    if not hasattr(model, "export"):
        raise TypeError(f"expected the path of an ONNX export or a YOLO object, found {type(model).__name__}")
    known = getattr(model, "model", None)
    if isinstance(known, (str, os.PathLike)):
        return os.fspath(known)
    return str(model.export(format="onnx"))


def _dataset(path: Path) -> List[Path]:
    """The training pictures of a dataset, or those for validation if there are no others."""
    try:
        import yaml
    except ImportError as error:
        raise ImportError("a dataset's .yaml needs PyYAML: pip install pyyaml; or give the folder of its pictures") from error
    with open(path, encoding="utf-8") as file:
        data = yaml.safe_load(file) or {}
    root = Path(data.get("path") or "")
    roots = [root] if root.is_absolute() else [path.parent / root, root]
    places = data.get("train") or data.get("val")
    found: List[Path] = []
    for place in places if isinstance(places, list) else [places] if places else []:
        there = [base / place for base in roots if (base / place).exists()]
        if not there:
            raise SamplesError(f"{path}: there is no {place} in {roots[0]}; the dataset must be here already")
        found += pictures(there[0]) or []
    return found


def _listed(path: Path) -> List[Path]:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [path.parent / line for line in lines if line]


def _read(file: _Path, channels: int) -> Any:
    """A picture as [height, width, channels], upright, red first."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError("pictures need pillow: pip install pillow") from error
    import numpy

    try:
        with Image.open(file) as opened:
            picture = ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")
            pixels = numpy.asarray(picture)
    except OSError as error:
        raise SamplesError(f"{os.fspath(file)}: the picture cannot be read: {error}") from error
    return pixels[..., None] if channels == 1 else pixels


def _resized(pixels: Any, height: int, width: int) -> Any:
    """Bilinear, by OpenCV as Ultralytics does it, or else by pillow."""
    import numpy

    if pixels.shape[:2] == (height, width):
        return pixels
    try:
        import cv2
    except ImportError:
        from PIL import Image

        flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
        found = numpy.asarray(Image.fromarray(flat).resize((width, height), Image.Resampling.BILINEAR))
    else:
        found = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return found[..., None] if found.ndim == 2 else found


def _boxed(pixels: Any, size: Tuple[int, int]) -> Any:
    """The whole picture in the middle of a frame of this size, with padding on two sides."""
    import numpy

    height, width = pixels.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    inner = (max(round(height * scale), 1), max(round(width * scale), 1))
    # Of an odd row or column of padding, the part behind gets one more.
    top, left = (round((side - part) / 2 - 0.1) for side, part in zip(size, inner))
    frame = numpy.full((*size, pixels.shape[2]), _PADDING, pixels.dtype)
    frame[top : top + inner[0], left : left + inner[1]] = _resized(pixels, *inner)
    return frame


def _cropped(pixels: Any, size: Tuple[int, int]) -> Any:
    """The middle of the picture, its shorter side scaled to that of the frame."""
    height, width = pixels.shape[:2]
    if size[0] != size[1]:
        return _resized(pixels, *size)
    scale = size[0] / min(height, width)
    scaled = _resized(pixels, max(int(height * scale), size[0]), max(int(width * scale), size[1]))
    top, left = (round((have - side) / 2) for have, side in zip(scaled.shape[:2], size))
    return scaled[top : top + size[0], left : left + size[1]]
