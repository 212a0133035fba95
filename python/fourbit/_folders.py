"""Folders as Hugging Face tools lay them out: models, and configuration and tokenizer files beside them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import List, Tuple

#: Endings of files that hold weights, or belong to one model: they are not copied.
_WEIGHTS = (".onnx", ".onnx_data", ".data", ".bin", ".safetensors", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".ot", ".tflite")
_SIDE = ("_data", ".data")


def models(folder: Path) -> List[Path]:
    """The ONNX files in `folder`, by name."""
    return sorted(path for path in folder.glob("*.onnx") if path.is_file())


def copied(source: Path, output: Path) -> List[Path]:
    """Copies configuration and tokenizer files, and all else that holds no weights; files that exist stay as they are."""
    found = []
    for path in sorted(source.iterdir()):
        place = output / path.name
        chunk = path.name.rpartition("_")[0].endswith(".onnx_data")
        if path.is_file() and not path.name.startswith(".") and not path.name.endswith(_WEIGHTS) and not chunk and not place.exists():
            output.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            found.append(place)
    return found


def side_file(model: Path) -> Tuple[Path, bool]:
    """The file of large tensors that fourbit writes beside `model`, and whether it is there."""
    path = model.with_name(model.name + ".data")
    return path, path.exists()
