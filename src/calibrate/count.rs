//! How much a run computes and reads, layer by layer.

use std::collections::BTreeMap;

use super::means::outputs;
use crate::error::Result;
use crate::onnx::Model;
use crate::onnx::proto::TensorProto;
use crate::plan::{Analysis, WeightSite};
use crate::runtime::Session;

/// Notes in `analysis` what one run on `inputs` takes: the multiplications of each weight site over all its readers, and the
/// elements of each activation site. What has not the form that its operator expects is left open.
///
/// # Errors
/// [`crate::error::Error::Runtime`] where tract cannot run the model.
pub fn count(model: &Model, analysis: &mut Analysis, inputs: &[TensorProto]) -> Result<()> {
    let met = analysis.weights.iter().flat_map(|site| site.inputs.clone());
    let taps: Vec<String> = met.filter(|input| !input.is_empty()).collect();
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    Session::new(model, "float", &taps)?.run_tapped(inputs, &mut |tensor, dims, _| {
        seen.insert(tensor.to_owned(), dims.to_vec());
    })?;
    for site in &mut analysis.weights {
        site.macs = macs(site, &seen);
    }
    for site in &mut analysis.activations {
        site.elements = seen.get(&site.tensor).map(|dims| dims.iter().map(|&dim| dim as u64).product());
    }
    Ok(())
}

fn macs(site: &WeightSite, seen: &BTreeMap<String, Vec<usize>>) -> Option<u64> {
    let elements = site.dims.iter().product::<i64>().unsigned_abs();
    let each = site.inputs.iter().zip(&site.kernels);
    let dims = |input: &String| seen.get(input).map_or(&[][..], Vec::as_slice);
    let mut each = each.map(|(input, kernel)| outputs(kernel, dims(input))?.checked_mul(elements));
    each.try_fold(0u64, |sum, more| sum.checked_add(more?))
}
