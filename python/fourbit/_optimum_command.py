"""The commands behind ``optimum-cli fourbit``. Only optimum imports this."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Dict

from optimum.commands.base import BaseOptimumCLICommand, CommandInfo

#: Arguments of the command that are arguments of `fourbit.quantize` under the same name.
_ARGUMENTS = (
    *("precision", "target", "validation", "preprocess", "max_samples", "granularity", "exclude"),
    *("max_drop", "min_agreement", "min_sqnr", "strict_bits", "seed", "overwrite"),
)


class QuantizeCommand(BaseOptimumCLICommand):  # type: ignore[misc]
    """``optimum-cli fourbit quantize``."""

    args: Any

    @staticmethod
    def parse_args(parser: ArgumentParser) -> None:
        """Declares the arguments; those that optimum's own commands have too have their names."""
        required = parser.add_argument_group("Required arguments")
        required.add_argument(
            "--onnx_model", type=Path, required=True, help="The folder of the ONNX models, as optimum-cli export onnx writes it."
        )
        required.add_argument("-o", "--output", type=Path, required=True, help="The folder to write to; it is made if it is missing.")
        optional = parser.add_argument_group("Optional arguments")
        optional.add_argument("--precision", default="w4", help="Bits of weights and activations: w4 (default), w4a8, w8, w8a8 ...")
        optional.add_argument("--target", help="The runtime that the files are for (default: ort-cpu): fourbit targets lists them.")
        optional.add_argument("--calibration", help="Calibration samples: .npz, .npy, a folder, generated, or none.")
        optional.add_argument("--validation", help="Validation samples: .npz, .npy, or a folder.")
        optional.add_argument("--preprocess", help="How pictures become the input: imagenet, 0..1, -1..1, 0..255, or a TOML file.")
        optional.add_argument("--max_samples", type=int, help="Use at most this many calibration samples.")
        optional.add_argument("--granularity", help="tensor, channel or block:N.")
        optional.add_argument("--exclude", action="append", default=[], help="Keep tensors and nodes that match in float; repeatable.")
        optional.add_argument("--max_drop", type=float, help="Lose at most this many points of top-1; needs labels.")
        optional.add_argument("--min_agreement", type=float, help="Keep the answer on at least this share of the samples, from 0 to 1.")
        optional.add_argument("--min_sqnr", type=float, help="Keep the SQNR of all outputs at or above this, in dB.")
        optional.add_argument("--strict_bits", action="store_true", help="Give all weights the bits asked for.")
        optional.add_argument("--seed", type=int, default=0, help="Seed of every random choice.")
        optional.add_argument("--overwrite", action="store_true", help="Replace models that exist in the output folder.")

    def run(self) -> None:
        """Converts all models of the folder."""
        from .optimum import quantize_folder

        given: Dict[str, Any] = {name: value for name, value in vars(self.args).items() if value is not None}
        chosen = {name: given[name] for name in _ARGUMENTS if name in given}
        results = quantize_folder(self.args.onnx_model, self.args.output, given.get("calibration"), **chosen)
        for path, result in results.items():
            print(f"{path}\n{result.text}")


class FourbitCommand(BaseOptimumCLICommand):  # type: ignore[misc]
    """``optimum-cli fourbit``."""

    COMMAND = CommandInfo(name="fourbit", help="Low-bit weights and activations for ONNX models, without retraining.")
    SUBCOMMANDS = (CommandInfo(name="quantize", help="Quantize the ONNX models of a folder.", subcommand_class=QuantizeCommand),)
