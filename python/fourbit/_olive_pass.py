"""The pass itself. Only Olive imports this."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Type, Union

from olive.common.config_utils import ParamCategory, validate_config
from olive.data.config import DataConfig
from olive.model import ONNXModelHandler
from olive.model.utils import resolve_onnx_path
from olive.passes import Pass
from olive.passes.pass_config import PassConfigParam
from olive.search.search_parameter import Categorical

from ._convert import quantize
from ._folders import side_file

#: Parameters that are arguments of `fourbit.quantize` under the same name: type and description.
_PARAMETERS: Dict[str, Any] = {
    "target": (str, "The runtime that the file is for; it sets the other defaults. `fourbit targets` lists them."),
    "include": (List[str], "Patterns of tensor and node names: quantize only these."),
    "exclude": (List[str], "Patterns of tensor and node names: keep these in float."),
    "op_types": (List[str], "Quantize only weights of these operators."),
    "weights": (str, "Type of the weights; overrides precision."),
    "activations": (str, "Type of the activations; overrides precision."),
    "granularity": (str, "tensor, channel or block:N."),
    "edges": (str, "Bits of the first and last layers: 4, 8 or float."),
    "storage": (str, "packed, int8, cast or bytes."),
    "placement": (str, "Which activations get Q/DQ pairs: inputs, joins, outputs or everywhere."),
    "bias": (str, "float or int32."),
    "matmul_nbits": (bool, "Write 4-bit weights of MatMul and Gemm as onnxruntime's MatMulNBits."),
    "strict_bits": (bool, "Give all weights the bits asked for. By default single tensors get 8 bits, at most 5 % of the file."),
    "full_range": (bool, "Use the full range of 8-bit weights."),
    "compensation": (str, "How to compensate for rounding errors: sequential, layerwise, scales or none."),
    "max_samples": (int, "Calibrate on at most this many samples."),
    "seed": (int, "Seed of every random choice."),
    "max_drop": (float, "Lose at most this many points of top-1; needs labels."),
    "min_agreement": (float, "Keep the class of the float model on at least this share of the samples, from 0 to 1."),
    "min_sqnr": (float, "Keep the SQNR of all outputs at or above this, in dB."),
    "max_size": (Union[int, str], "Write at most this many bytes: a number, or as in 300kB."),
    "max_bits": (float, "Use at most this many bits per parameter on average."),
    "threads": (int, "Number of threads."),
}
_PATHS: Dict[str, str] = {
    "validation": "What to judge on; the forms are those of calibration.",
    "rules": "Rules for single layers, a TOML file.",
}
#: Arguments that the parameters of Olive must not share a name with.
_RENAMED = {"rules": "config"}


class FourbitQuantization(Pass):  # type: ignore[misc]
    """Quantizes an ONNX model to low-bit weights, and activations if wanted, without retraining."""

    @classmethod
    def _default_config(cls, accelerator_spec: Any) -> Dict[str, Any]:
        found: Dict[str, Any] = {
            "precision": PassConfigParam(
                type_=str,
                default_value="w4a8",
                search_defaults=Categorical(["w4", "w4a8", "w8a8"]),
                description="Bits of weights (w) and activations (a), as in w4a8, w4, w8a8.",
            ),
            "data_config": PassConfigParam(
                type_=Union[DataConfig, Dict[str, Any]],
                description="Calibration data, as Olive's other passes take it.",
            ),
            "calibration": PassConfigParam(
                type_=str,
                description="Calibration samples without data_config: .npz, .npy, a folder of arrays or pictures, generated, or none.",
            ),
            "preprocess": PassConfigParam(
                type_=Union[str, Dict[str, Any]],
                description="How pictures become the input: imagenet, 0..1, -1..1, 0..255, a TOML file, or its keys.",
            ),
            "save_as_external_data": PassConfigParam(
                type_=bool, default_value=False, description="Put large tensors into a file beside the model."
            ),
        }
        for name, text in _PATHS.items():
            found[name] = PassConfigParam(type_=str, category=ParamCategory.PATH, description=text)
        for name, (kind, text) in _PARAMETERS.items():
            found[name] = PassConfigParam(type_=kind, description=text)
        return found

    def _run_for_config(self, model: Any, config: Type[Any], output_model_path: str) -> Any:
        output = Path(resolve_onnx_path(output_model_path, Path(model.model_path).name))
        given = config.model_dump() if hasattr(config, "model_dump") else dict(vars(config))
        names = (*_PARAMETERS, *_PATHS, "precision", "preprocess")
        chosen: Dict[str, Any] = {_RENAMED.get(name, name): given[name] for name in names if given.get(name) is not None}
        # Olive's cache may hold the remains of a run that was stopped.
        result = quantize(
            model.model_path,
            _samples(model, config),
            output=output,
            external_data=bool(given.get("save_as_external_data")),
            overwrite=True,
            progress=False,
            **chosen,
        )
        attributes = {**(model.model_attributes or {}), "fourbit": _figures(result)}
        place = str(output.parent) if side_file(output)[1] else str(output)
        name = output.name if side_file(output)[1] else None
        return ONNXModelHandler(
            model_path=place, onnx_file_name=name, inference_settings=model.inference_settings, model_attributes=attributes
        )


def _samples(model: Any, config: Any) -> Optional[Any]:
    if config.data_config:
        data = validate_config(config.data_config, DataConfig)
        return data.to_data_container().create_calibration_dataloader(model_path=model.model_path, io_config=model.io_config)
    return config.calibration


def _figures(result: Any) -> Dict[str, Any]:
    """What the handler of the new model says of it."""
    report = result.report.to_dict()
    return {"precision": report["precision"], "sizes": report["sizes"], "verdict": report["verdict"]}
