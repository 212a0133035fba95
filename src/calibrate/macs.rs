//! How many multiplications a run takes, layer by layer.

use std::collections::BTreeMap;

use super::means::outputs;
use crate::error::Result;
use crate::onnx::Model;
use crate::onnx::proto::TensorProto;
use crate::plan::{Analysis, Kernel};
use crate::runtime::Session;

/// Multiplications of each weight site in one run on `inputs`, over all its readers; `None` where an input has not the form
/// that its operator expects.
///
/// # Errors
/// [`crate::error::Error::Runtime`] where tract cannot run the model.
pub fn macs(model: &Model, analysis: &Analysis, inputs: &[TensorProto]) -> Result<Vec<Option<u64>>> {
    let taps: Vec<String> = analysis.weights.iter().flat_map(|site| site.inputs.clone()).collect();
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    Session::new(model, "float", &taps)?.run_tapped(inputs, &mut |tensor, dims, _| {
        seen.insert(tensor.to_owned(), dims.to_vec());
    })?;
    let of_site = |(inputs, kernels): (&[String], &[Kernel]), dims: &[i64]| {
        let elements = dims.iter().product::<i64>().unsigned_abs();
        let each = inputs.iter().zip(kernels).map(|(input, kernel)| outputs(kernel, seen.get(input)?));
        each.map(|positions| Some(positions? * elements)).sum::<Option<u64>>()
    };
    Ok(analysis.weights.iter().map(|site| of_site((&site.inputs, &site.kernels), &site.dims)).collect())
}
