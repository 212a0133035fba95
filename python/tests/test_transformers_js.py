"""Folders for Transformers.js."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bridges import DIGITS, RESNET, judged, missing, needed, stored

import fourbit
from fourbit.transformers_js import DTYPES, _ENDINGS, quantize_folder

needed("onnx")
needed("onnxruntime")

#: Loads a folder with Transformers.js itself, and prints outputs for inputs that are all ones: node SCRIPT PACKAGES FOLDER DTYPE DEVICE.
LOADER = """
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { dirname, basename } from "node:path";
const [packages, folder, dtype, device] = process.argv.slice(2);
const found = createRequire(packages + "/package.json").resolve("@huggingface/transformers");
const { AutoModel, env, Tensor } = await import(pathToFileURL(found));
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);
const model = await AutoModel.from_pretrained(basename(folder), { dtype, device });
const ids = (value) => new Tensor("int64", BigInt64Array.from({ length: 8 }, (_, at) => value ?? BigInt(at)), [1, 8]);
const outputs = await model({ input_ids: ids(), attention_mask: ids(1n) });
console.log(JSON.stringify(Array.from(Object.values(outputs)[0].data)));
"""

#: The same by the WebAssembly of onnxruntime-web, which the browser has: node SCRIPT PACKAGES MODEL.
WEB = """
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
const [packages, model] = process.argv.slice(2);
const ort = createRequire(packages + "/package.json")("onnxruntime-web");
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(readFileSync(model), { executionProviders: ["wasm"] });
const ids = (value) => new ort.Tensor("int64", BigInt64Array.from({ length: 8 }, (_, at) => value ?? BigInt(at)), [1, 8]);
const outputs = await session.run({ input_ids: ids(), attention_mask: ids(1n) });
console.log(JSON.stringify(Array.from(Object.values(outputs)[0].data)));
"""


def folder_of(model: Path, folder: Path) -> Path:
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "model.onnx").write_bytes(model.read_bytes())
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def bert(path: Path, half: bool = False) -> None:
    """A model with the inputs of a BERT: an embedding, two products, a mean over positions."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    random = np.random.default_rng(0)

    def weights(name: str, *dims: int) -> Any:
        values = random.normal(size=dims) / np.sqrt(dims[0])
        return numpy_helper.from_array(values.astype("float16" if half else "float32"), name)

    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"], "words"),
        helper.make_node("MatMul", ["words", "first"], ["inner"], "first_product"),
        helper.make_node("Tanh", ["inner"], ["bent"], "bent"),
        helper.make_node("MatMul", ["bent", "second"], ["outer"], "second_product"),
        helper.make_node("Cast", ["attention_mask"], ["mask"], "mask", to=kind),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"], "column"),
        helper.make_node("Mul", ["outer", "column"], ["last_hidden_state"], "masked"),
    ]
    dims = ["batch_size", "sequence_length"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, dims) for name in ("input_ids", "attention_mask")]
    outputs = [helper.make_tensor_value_info("last_hidden_state", kind, [*dims, 64])]
    constants = [weights("table", 100, 64), weights("first", 64, 128), weights("second", 128, 64)]
    constants.append(numpy_helper.from_array(np.array([2], "int64"), "last"))
    graph = helper.make_graph(nodes, "bert", inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


def told(path: Path) -> Any:
    """What onnxruntime gives for the inputs of LOADER."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    given = {"input_ids": np.arange(8, dtype="int64")[None], "attention_mask": np.ones((1, 8), "int64")}
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, given)[0].astype("float64")


def test_names_beside_the_float_model(tmp_path: Path) -> None:
    folder = folder_of(RESNET, tmp_path / "net")
    found = quantize_folder(folder, dtypes=["q4", "q8"], max_samples=32)
    assert [path.name for path in found] == ["model_q4.onnx", "model_quantized.onnx"]
    assert sorted(path.name for path in (folder / "onnx").iterdir()) == ["model.onnx", "model_q4.onnx", "model_quantized.onnx"]
    for path in found:
        _, model = stored(path)
        # Convolutions: weights are unpacked once, without types that old runtimes lack.
        assert max(one.version for one in model.opset_import if one.domain == "") < 21
        assert judged(path) > judged(RESNET) - 0.03
    with pytest.raises(fourbit.FileError, match="exists"):
        quantize_folder(folder, max_samples=16)
    quantize_folder(folder, overwrite=True, max_samples=16)


def test_another_folder(tmp_path: Path) -> None:
    source, out = tmp_path / "net", tmp_path / "out"
    source.mkdir()
    # As optimum-cli leaves it: models beside their configuration.
    shutil.copy(DIGITS, source / "decoder_model_merged.onnx")
    (source / "config.json").write_text("{}")
    (source / "vocab.txt").write_text("a")
    (source / "model.safetensors").write_bytes(b"weights")
    done = subprocess.run(
        [sys.executable, "-m", "fourbit.transformers_js", str(source), "-o", str(out), "--dtype", "q8"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        "config.json",
        "onnx/decoder_model_merged_quantized.onnx",
        "vocab.txt",
    ]


def test_products_are_blocks_that_both_devices_run(tmp_path: Path) -> None:
    folder = folder_of(DIGITS, tmp_path / "net")
    bert(folder / "onnx" / "model.onnx")
    place = next(iter(quantize_folder(folder)))
    operators, _ = stored(place)
    assert operators.get("MatMulNBits") == 2, operators
    exact, found = told(folder / "onnx" / "model.onnx"), told(place)
    assert 10 * np.log10((exact**2).mean() / ((exact - found) ** 2).mean()) > 12


def test_half_precision_only_of_models_that_have_it(tmp_path: Path) -> None:
    folder = folder_of(DIGITS, tmp_path / "net")
    bert(folder / "onnx" / "model.onnx")
    with pytest.raises(fourbit.FileError, match="model_fp16.onnx"):
        quantize_folder(folder, dtypes="q4f16")
    shutil.copy(folder / "onnx" / "model.onnx", folder / "onnx" / "model_fp16.onnx")
    with pytest.raises(fourbit.ModelError, match="not in half precision"):
        quantize_folder(folder, dtypes="q4f16")
    bert(folder / "onnx" / "model_fp16.onnx", half=True)
    place = next(iter(quantize_folder(folder, dtypes="q4f16")))
    assert place.name == "model_q4f16.onnx"
    _, model = stored(place)
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert 10 in kinds and 1 not in kinds, kinds


def test_large_tensors_have_the_name_that_is_asked_for(tmp_path: Path) -> None:
    folder = folder_of(RESNET, tmp_path / "net")
    place = next(iter(quantize_folder(folder, external_data=True, max_samples=16)))
    assert (folder / "onnx" / "model_q4.onnx_data").exists() and not (folder / "onnx" / "model_q4.onnx.data").exists()
    assert judged(place) > judged(RESNET) - 0.03
    settings = json.loads((folder / "config.json").read_text())["transformers.js_config"]
    assert settings == {"use_external_data_format": {"model_q4.onnx": 1}}


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(fourbit.OptionsError, match="bnb4"):
        quantize_folder(tmp_path, dtypes=["bnb4"])
    with pytest.raises(fourbit.FileError, match="found no float model"):
        quantize_folder(tmp_path)
    command = [sys.executable, "-m", "fourbit.transformers_js", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "error: " in done.stderr


def packages() -> Path:
    place = os.environ.get("FOURBIT_TRANSFORMERS_JS")
    if not place or not shutil.which("node"):
        missing("@huggingface/transformers")
    return Path(place or "")


def test_names_are_those_of_transformers_js() -> None:
    source = packages() / "node_modules" / "@huggingface" / "transformers" / "src" / "utils" / "dtypes.js"
    text = source.read_text().split("DEFAULT_DTYPE_SUFFIX_MAPPING", 1)[1].split("});", 1)[0]
    theirs = dict(re.findall(r"\[DATA_TYPES\.(\w+)\]: '(\w*)'", text))
    assert {dtype: ending for dtype, (ending, _) in DTYPES.items()}.items() <= theirs.items()
    assert sorted(ending for ending in theirs.values() if ending) == sorted(_ENDINGS)


@pytest.mark.parametrize("external", [False, True])
def test_transformers_js_runs_the_files(tmp_path: Path, external: bool) -> None:
    place = packages()
    folder = folder_of(DIGITS, tmp_path / "net")
    bert(folder / "onnx" / "model.onnx")
    (folder / "tokenizer.json").unlink()
    script = tmp_path / "load.mjs"
    script.write_text(LOADER)
    for path in quantize_folder(folder, dtypes=["q4", "q8"], external_data=external):
        dtype = {"model_q4": "q4", "model_quantized": "q8"}[path.stem]
        done = subprocess.run(["node", str(script), str(place), str(folder), dtype, "cpu"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        near(done.stdout, path)
        if not external:
            web = tmp_path / "web.mjs"
            web.write_text(WEB)
            done = subprocess.run(["node", str(web), str(place), str(path)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            near(done.stdout, path)


def near(printed: str, path: Path) -> None:
    """Whether what node printed is what onnxruntime gives."""
    found, expected = np.array(json.loads(printed.splitlines()[-1])), told(path).ravel()
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
