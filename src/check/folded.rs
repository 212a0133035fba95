//! Files that fourbit wrote and another program changed: weights that are float again.

use crate::onnx::{Model, codes_held};
use crate::plan::Stamp;

/// What was quantized in a file by fourbit and is no more.
#[derive(Debug, PartialEq, Eq)]
pub struct FoldedBack {
    /// What became of the file, and what to do.
    pub problem: String,
    /// Whether no codes of weights are left.
    pub all: bool,
}

/// Whether weights of `model`, which fourbit quantized, are float again: a simplifier computes constants beforehand, and so unpacks
/// codes. `quantized` says how many quantized tensors and activations there are.
pub fn folded_back(model: &Model, quantized: usize) -> Option<FoldedBack> {
    let stamp = Stamp::of(&model.proto)?;
    let left = codes_held(model.graph());
    let all = left == 0;
    let what = match stamp.quantized {
        // What wrote no number wrote at least one quantized tensor.
        None if all && quantized == 0 => "its quantized weights are float again".to_owned(),
        Some(1) if all => "its quantized weight tensor is float again".to_owned(),
        Some(count) if all && count > 1 => format!("all {count} quantized weight tensors are float again"),
        Some(count) if left < count => {
            let verb = if count - left == 1 { "is" } else { "are" };
            format!("{} of {count} quantized weight tensors {verb} float again", count - left)
        }
        _ => return None,
    };
    let size = match model.bytes_on_disk {
        0 => String::new(),
        bytes @ ..1_000_000 => format!(", and the file has {:.1} kB", bytes as f64 / 1e3),
        bytes => format!(", and the file has {:.2} MB", bytes as f64 / 1e6),
    };
    let problem = format!(
        "fourbit wrote this file, and another program changed it: {what}{size}. A simplifier or a saved optimized model computes \
         what unpacks the codes; damaged operators make none. Simplify the model before fourbit quantizes it, and give the runtime the file that fourbit wrote"
    );
    Some(FoldedBack { problem, all })
}
