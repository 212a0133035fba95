//! Bias correction: what weight rounding adds to the mean of each output channel is taken off its
//! bias, `b += E[W x] - E[Q x]`, with the mean of the input elements seen in calibration.

use crate::error::Result;
use crate::onnx::{Index, floats};
use crate::plan::{BiasChange, BiasSlot, Kernel, Observations, WeightDecision, WeightSite};

/// The new biases of a site's readers, where the graph has a place for one and the means were
/// observed.
pub(super) fn correct(
    site: &WeightSite,
    decision: &WeightDecision,
    values: &[f32],
    index: &Index,
    observations: &Observations,
) -> Result<Vec<BiasChange>> {
    let noise = noise(decision, values);
    let mut changes = Vec::new();
    for reader in &site.readers {
        let means = observations.means.get(&(site.tensor.clone(), reader.read.at));
        let (Some(BiasSlot { read, tensor }), Some(means)) = (&reader.bias, means) else { continue };
        let Some(shift) = shift(&reader.kernel, &site.dims, &noise, means) else { continue };
        let old = match tensor.as_ref().and_then(|name| index.constant(name)) {
            Some(tensor) => floats(tensor)?,
            None => vec![0.0; shift.len()],
        };
        let values: Vec<f32> =
            old.iter().zip(&shift).map(|(&old, shift)| (f64::from(old) + shift) as f32).collect();
        if old.len() == shift.len() && values.iter().all(|value| value.is_finite()) {
            changes.push(BiasChange { read: read.clone(), tensor: tensor.clone(), values });
        }
    }
    Ok(changes)
}

/// `W - Q`, in element order.
fn noise(decision: &WeightDecision, values: &[f32]) -> Vec<f64> {
    let decoded = decision.decode();
    values.iter().zip(decoded).map(|(&value, decoded)| f64::from(value) - f64::from(decoded)).collect()
}

/// The mean of `(W - Q) x` an output channel; `None` where the means do not fit.
fn shift(kernel: &Kernel, dims: &[i64], noise: &[f64], means: &[f64]) -> Option<Vec<f64>> {
    let dims: Vec<usize> = dims.iter().map(|&dim| dim as usize).collect();
    let dot =
        |noise: &[f64], means: &[f64]| noise.iter().zip(means).map(|(noise, mean)| noise * mean).sum::<f64>();
    match kernel {
        Kernel::Conv(spatial) => {
            let length: usize = dims[1..].iter().product();
            if length == 0 || means.len() != length * spatial.groups {
                return None;
            }
            let per_group = dims[0] / spatial.groups;
            let group = |channel: usize| &means[channel / per_group * length..][..length];
            Some(
                noise.chunks(length).enumerate().map(|(channel, noise)| dot(noise, group(channel))).collect(),
            )
        }
        Kernel::ConvTranspose(spatial) => {
            let offsets: usize = dims[2..].iter().product();
            if offsets == 0 || means.len() != dims[0] * offsets {
                return None;
            }
            let per_group = dims[0] / spatial.groups;
            let mut shift = vec![0.0; dims[1] * spatial.groups];
            for (at, noise) in noise.chunks(offsets).enumerate() {
                let (input, output) = (at / dims[1], at % dims[1]);
                shift[input / per_group * dims[1] + output] +=
                    dot(noise, &means[input * offsets..][..offsets]);
            }
            Some(shift)
        }
        Kernel::Other(_) => None,
        Kernel::Matrix { transposed, alpha, beta, .. } => {
            let (rows, columns) = (dims[0], dims[1]);
            let (inputs, outputs) = if *transposed { (columns, rows) } else { (rows, columns) };
            let at = |input: usize, output: usize| {
                if *transposed { output * columns + input } else { input * columns + output }
            };
            let factor = f64::from(*alpha) / f64::from(*beta);
            let sum = |output: usize| {
                (0..inputs).map(|input| noise[at(input, output)] * means[input]).sum::<f64>() * factor
            };
            (means.len() == inputs).then(|| (0..outputs).map(sum).collect())
        }
    }
}
