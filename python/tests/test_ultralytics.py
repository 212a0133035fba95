"""Exports of Ultralytics.

The first half takes one of the repository's models with the metadata that Ultralytics writes, and runs everywhere. The second half
needs the package itself, which CI does without (see HEAVY in bridges.py): it exports networks with random weights, which need no
download, and loads the converted files with YOLO(...).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest
from bridges import CALIBRATION, PICTURES, RESNET, needed, stored

import fourbit
from fourbit.ultralytics import Preparation, pictures, preparation, prepared, quantize_export

needed("onnx")
needed("onnxruntime")
needed("PIL", "pillow")

#: As Ultralytics 8.4.190 writes it, but for the sizes.
METADATA = {
    "description": "Ultralytics YOLO26n-cls model",
    "author": "Ultralytics",
    "date": "2026-11-30T15:00:00+00:00",
    "version": "8.4.190",
    "stride": "1",
    "task": "classify",
    "head": "Classify",
    "batch": "1",
    "imgsz": "[32, 32]",
    "names": "{0: 'circle', 1: 'square'}",
    "args": "{'batch': 1, 'half': False, 'dynamic': True, 'simplify': True, 'opset': None, 'nms': False}",
    "channels": "3",
    "end2end": "False",
}


def export(folder: Path, **metadata: str) -> Path:
    """A file like an export."""
    import onnx

    model = onnx.load(str(RESNET))
    onnx.helper.set_model_props(model, {**METADATA, **metadata})
    place = folder / "best.onnx"
    onnx.save(model, str(place))
    return place


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """A folder of pictures, in folders of classes; the last one is wide."""
    from PIL import Image

    folder = tmp_path / "images"
    with np.load(PICTURES) as arrays:
        for at, (pixels, label) in enumerate(zip(arrays["x"], arrays["y"])):
            place = folder / str(label)
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).resize((64, 64) if at else (90, 40)).save(place / f"{at:03}.png")
    return folder


def properties(path: Any) -> Dict[str, str]:
    _, model = stored(path)
    return {one.key: one.value for one in model.metadata_props}


def test_an_export_is_converted_on_its_pictures(tmp_path: Path, shapes: Path) -> None:
    result = quantize_export(export(tmp_path), shapes, max_samples=40)
    assert result.path == tmp_path / "best.w4a8.onnx" and result.path.stat().st_size < RESNET.stat().st_size / 3
    kept = properties(result.path)
    assert METADATA.items() <= kept.items()
    assert result.report.calibration["samples"] == 40 and result.verdict.samples > 0, result.report.calibration
    assert min(output.sqnr_db for output in result.verdict.outputs) > 15


def test_pictures_come_in_many_ways(tmp_path: Path, shapes: Path) -> None:
    every = sorted(shapes.rglob("*.png"))
    assert pictures(shapes) == every and pictures([str(path) for path in every]) == every
    (tmp_path / "train.txt").write_text("\n".join(str(path.relative_to(tmp_path)) for path in every[:7]))
    assert pictures(tmp_path / "train.txt") == every[:7]
    needed("yaml", "pyyaml")
    (tmp_path / "data.yaml").write_text("path: .\ntrain: [images/0, train.txt]\nval: images\nnames: {0: circle}\n")
    assert pictures(tmp_path / "data.yaml") == sorted((shapes / "0").iterdir()) + every[:7]
    (tmp_path / "other.yaml").write_text("val: images\n")
    assert pictures(tmp_path / "other.yaml") == every
    (tmp_path / "gone.yaml").write_text("train: nowhere\n")
    with pytest.raises(fourbit.SamplesError, match="nowhere"):
        pictures(tmp_path / "gone.yaml")
    with pytest.raises(fourbit.SamplesError, match="found none"):
        (tmp_path / "empty").mkdir()
        pictures(tmp_path / "empty")
    assert pictures({"images": np.zeros(1)}) is None and pictures(tmp_path / "calib.npz") is None


def test_arrays_are_taken_as_they_are(tmp_path: Path) -> None:
    with np.load(CALIBRATION) as arrays:
        result = quantize_export(export(tmp_path), arrays["input"][:32], output=tmp_path / "out.onnx", precision="w8a8")
    assert result.path == tmp_path / "out.onnx"


def test_the_metadata_says_how(tmp_path: Path) -> None:
    assert preparation(export(tmp_path)) == Preparation((32, 32), 3, True, False)
    # The input's own sides count where they are fixed.
    assert preparation(export(tmp_path, task="detect", imgsz="[480, 640]")).size == (32, 32)
    with pytest.raises(fourbit.ModelError, match="no metadata of Ultralytics"):
        preparation(RESNET)
    with pytest.raises(fourbit.ModelError, match="damaged"):
        preparation(export(tmp_path, imgsz="[480,"))
    with pytest.raises(TypeError, match="YOLO object"):
        quantize_export(3, [])


def test_pictures_fill_the_frame(tmp_path: Path) -> None:
    from PIL import Image

    wide = np.zeros((40, 90, 3), "uint8")
    wide[..., 0] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    (boxed,) = prepared([tmp_path / "wide.png"], Preparation((32, 48), 3, False, True))
    assert boxed.shape == (3, 32, 48) and boxed.dtype == np.float16
    # Red first, padding above and below.
    assert boxed[0, 16, 20] == 1 and boxed[1, 16, 20] == 0 and abs(boxed[:, 0, 0] - 114 / 255).max() < 1e-3
    (cropped,) = prepared([tmp_path / "wide.png"], Preparation((32, 32), 1, True, False))
    assert cropped.shape == (1, 32, 32) and cropped.dtype == np.float32 and abs(cropped - 76 / 255).max() < 1e-6
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(fourbit.SamplesError, match="bad.png"):
        list(prepared([tmp_path / "bad.png"], Preparation((32, 32), 1, True, False)))


@pytest.fixture
def yolo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    needed("ultralytics")
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path / "settings"))
    monkeypatch.chdir(tmp_path)
    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    import torch
    import ultralytics

    torch.manual_seed(0)
    return ultralytics


@pytest.mark.parametrize("name, task", [("yolo26n", "detect"), ("yolo26n-seg", "segment"), ("yolo26n-cls", "classify")])
def test_yolo_loads_and_runs_the_new_file(yolo: Any, tmp_path: Path, shapes: Path, name: str, task: str) -> None:
    original = yolo.YOLO(f"{name}.yaml").export(format="onnx", imgsz=96)
    result = quantize_export(original, shapes, max_samples=24)
    assert result.path is not None and result.path.stat().st_size < Path(original).stat().st_size / 3
    before, after = properties(original), properties(result.path)
    assert before.items() <= after.items() and before["task"] == task
    loaded = yolo.YOLO(str(result.path))
    assets = Path(yolo.__file__).parent / "assets"
    (found,) = loaded(assets / "bus.jpg", imgsz=96, verbose=False)
    assert loaded.predictor.model.metadata["task"] == task and found.names[0] == before_name(before)
    assert min(output.sqnr_db for output in result.verdict.outputs) > 10, result.text


def before_name(metadata: Dict[str, str]) -> Any:
    import ast

    return ast.literal_eval(metadata["names"])[0]


def test_yolo_objects_are_exported_first(yolo: Any, tmp_path: Path, shapes: Path) -> None:
    model = yolo.YOLO("yolo26n-cls.yaml")
    # As large as the metadata says; the class of YOLO takes arguments of the export from its overrides.
    model.overrides["imgsz"] = 64
    result = quantize_export(model, shapes, precision="w4", max_samples=16)
    assert result.path is not None and result.path.name == "yolo26n-cls.w4.onnx"
    again = quantize_export(yolo.YOLO(str(tmp_path / "yolo26n-cls.onnx")), shapes, precision="w8", max_samples=16)
    assert again.path is not None and again.path.name == "yolo26n-cls.w8.onnx"


def test_pictures_are_those_of_ultralytics(yolo: Any) -> None:
    import cv2
    from PIL import Image
    from ultralytics.data.augment import LetterBox, classify_transforms

    for file in sorted((Path(yolo.__file__).parent / "assets").glob("*.jpg")):
        pixels = cv2.imread(str(file))
        expected = LetterBox((320, 416))(image=pixels)[..., ::-1].transpose(2, 0, 1) / 255
        (found,) = prepared([file], Preparation((320, 416), 3, False, False))
        # Decoders of pictures differ in the last bit.
        assert np.abs(found - expected).mean() < 0.01
        middle = classify_transforms(224)(Image.open(file)).numpy()
        (found,) = prepared([file], Preparation((224, 224), 3, True, False))
        # torchvision smooths while it scales down, OpenCV does not.
        assert found.shape == middle.shape and np.abs(found - middle).mean() < 0.05
