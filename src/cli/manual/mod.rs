//! What is made of the command line's definition: pages to read, and words for shells.

pub mod completions;
pub mod man;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

/// What the help of the whole ends with. Lines are short, so that a terminal of 80 columns need not break them again.
pub const ENDING: &str = "\
Examples:
  fourbit quantize net.onnx --calibration calib.npz --validation test.npz
  fourbit quantize net.onnx small.onnx --precision w4
  fourbit validate net.onnx net.w4a8.onnx --validation test.npz
  fourbit inspect net.onnx
  fourbit sensitivity net.onnx --calibration calib.npz --validation test.npz
  fourbit batch zoo/ small/ --precision w4

Defaults:
  A file fourbit.toml in the working directory, or in the nearest one above it,
  gives options that are not given. Its keys are long names of options: at its
  top for all subcommands, in a table such as [quantize] for one. Options that
  are given win, and what neither gives is the target's default. Paths are
  relative to the file. Unknown keys are errors.

    target = \"ort-cpu\"
    [quantize]
    calibration = \"calib.npz\"
    exclude = [\"head*\"]

Exit status:
  0  done
  1  an error, which is named on standard error
  2  wrong arguments
  3  written, but limits are not met
     validate: a limit is not met
     batch: some models were not written
     check: something is refused
  4  written, but not validated
  5  not written: quantized activations need a model that can be run,
     and this one cannot
  6  not written: nothing in the model would be quantized";
