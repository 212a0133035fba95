//! Converts a model and says what it cost: the float model, and where the result goes.
//!
//!     cargo run --release --example convert -- models/digits_attention/model.onnx small.onnx

use std::env;
use std::error::Error;

use fourbit::{Precision, Quantize, Verdict};

fn main() -> Result<(), Box<dyn Error>> {
    run(env::args().skip(1))
}

pub fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let (Some(model), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err("give a model and an output".into());
    };
    // Samples that lie beside the model are found by themselves.
    let outcome = Quantize::new(model).precision(Precision::W4).max_samples(128).output(output).run()?;

    println!("{} bytes, before {}", outcome.sizes.after, outcome.sizes.before);
    match &outcome.verdict {
        Verdict::Validated(validation) => {
            for output in &validation.outputs {
                let ratio = output.sqnr_db.map_or("no difference".into(), |ratio| format!("{ratio:.1} dB"));
                println!("{}: {ratio} on {} samples", output.name, validation.samples);
            }
            if let Some(scores) = &validation.scores {
                println!(
                    "top-1 {:.2} %, before {:.2} %",
                    100.0 * scores.quantized_top1,
                    100.0 * scores.float_top1
                );
            }
        }
        Verdict::NotValidated { reason } => println!("not validated: {reason}"),
    }
    outcome.warnings.iter().for_each(|warning| println!("warning: {warning}"));
    Ok(())
}
