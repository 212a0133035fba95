//! How much a run computes and reads, layer by layer.

use std::collections::BTreeMap;

use super::means::outputs;
use crate::error::Result;
use crate::onnx::Model;
use crate::onnx::proto::{GraphProto, TensorProto};
use crate::plan::{Analysis, Kernel, Reader, WeightSite, Work};
use crate::runtime::Session;

/// Notes in `analysis` what one run on `inputs` takes: the multiplications of each weight site over all its readers, and the
/// elements of each activation site. What has not the form that its operator expects is left open.
///
/// # Errors
/// [`crate::error::Error::Runtime`] where tract cannot run the model.
pub fn count(model: &Model, analysis: &mut Analysis, inputs: &[TensorProto]) -> Result<()> {
    let graph = model.graph();
    let counted: Vec<Vec<(Option<String>, Kernel)>> =
        analysis.weights.iter().map(|site| counted(site, graph)).collect();
    let met = analysis.weights.iter().flat_map(WeightSite::inputs);
    let met = met.chain(counted.iter().flatten().filter_map(|(input, _)| input.as_deref()));
    let taps: Vec<String> = met.map(str::to_owned).collect();
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    Session::new(model, "float", &taps)?.run_tapped(inputs, &mut |tensor, dims, _| {
        seen.insert(tensor.to_owned(), dims.to_vec());
    })?;
    for (site, counted) in analysis.weights.iter_mut().zip(&counted) {
        site.macs = macs(site, counted, &seen);
    }
    for site in &mut analysis.activations {
        site.elements = seen.get(&site.tensor).map(|dims| dims.iter().map(|&dim| dim as u64).product());
    }
    Ok(())
}

/// For each reader the value that says how often it multiplies, and how. The weights of a hidden state are met once a step,
/// whatever stands for that state.
fn counted(site: &WeightSite, graph: &GraphProto) -> Vec<(Option<String>, Kernel)> {
    let counted = |reader: &Reader| {
        let read = &reader.read;
        let node = graph.node.get(read.at).filter(|_| read.is_outer() && read.slot == 2);
        match node.filter(|node| matches!(node.op_type(), "LSTM" | "GRU" | "RNN")) {
            Some(node) => {
                (node.input.first().filter(|name| !name.is_empty()).cloned(), Kernel::Other(Work::Steps))
            }
            None => (reader.input().map(str::to_owned), reader.kernel.clone()),
        }
    };
    site.readers.iter().map(counted).collect()
}

fn macs(
    site: &WeightSite,
    counted: &[(Option<String>, Kernel)],
    seen: &BTreeMap<String, Vec<usize>>,
) -> Option<u64> {
    let elements = site.elements();
    let dims = |input: &Option<String>| {
        input.as_ref().and_then(|input| seen.get(input)).map_or(&[][..], Vec::as_slice)
    };
    let mut each = counted.iter().map(|(input, kernel)| outputs(kernel, dims(input))?.checked_mul(elements));
    each.try_fold(0u64, |sum, more| sum.checked_add(more?))
}
