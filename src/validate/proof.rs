//! The written codes and scales decode to exactly the weights that the judged view runs with.

use crate::error::{Error, Result};
use crate::onnx::{Index, Model, floats};
use crate::plan::{Decision, Plan};

/// Compares each planned weight tensor, decoded here from the plan, with the constant of the same
/// name in `view`, bit for bit. Returns how many were compared; `first` is the number of
/// decisions that were applied.
///
/// # Errors
/// [`Error::SelfCheck`] naming the first tensor that differs.
pub fn prove(plan: &Plan, first: Option<usize>, view: &Model) -> Result<usize> {
    let index = Index::new(view.graph());
    let mut proven = 0;
    for decision in plan.decisions.iter().take(first.unwrap_or(usize::MAX)) {
        let Decision::Weight(weight) = decision else { continue };
        let fault = |problem: String| Error::SelfCheck { place: weight.tensor.clone(), problem };
        let written =
            index.constant(&weight.tensor).ok_or_else(|| fault("it is not a constant of the view".into()))?;
        if written.dims != weight.dims {
            return Err(fault(format!("dimensions {:?}, planned {:?}", written.dims, weight.dims)));
        }
        let planned = weight.decode();
        for (at, (found, planned)) in floats(written)?.into_iter().zip(planned).enumerate() {
            if planned.to_bits() != found.to_bits() && (planned != 0.0 || found != 0.0) {
                return Err(fault(format!("element {at} is {found}, planned {planned}")));
            }
        }
        proven += 1;
    }
    Ok(proven)
}
