//! Makes a plan, leaves its largest tensor float, and carries out the rest: the float model, and where the result goes.
//!
//!     cargo run --release --example edited_plan -- models/digits_attention/model.onnx small.onnx

use std::env;
use std::error::Error;

use fourbit::{Apply, Decision, Precision, Quantize};

fn main() -> Result<(), Box<dyn Error>> {
    run(env::args().skip(1))
}

pub fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let (Some(model), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err("give a model and an output".into());
    };
    let mut plan = Quantize::new(&model).precision(Precision::W4).max_samples(64).plan()?;
    let size = |decision: &Decision| match decision {
        Decision::Weight(weight) => weight.dims.iter().product::<i64>(),
        Decision::Activation(_) => 0,
    };
    let largest =
        plan.decisions.iter().max_by_key(|decision| size(decision)).map(|one| one.tensor().to_owned());
    let largest = largest.ok_or("nothing can be quantized")?;
    plan.decisions.retain(|decision| decision.tensor() != largest);

    let applied = Apply::new(&model, plan).output(&output).run()?;
    println!("{} of {} decisions applied, {largest} stays float", applied.decisions, applied.of);
    println!("{} bytes, before {}", applied.sizes.after, applied.sizes.before);
    Ok(())
}
