//! Bias correction: what weight rounding adds to the mean of each output channel is taken off its
//! bias, `b += E[W x] - E[Q x]`, with the mean of the input elements seen in calibration.

use crate::error::Result;
use crate::onnx::{Index, floats};
use crate::plan::{BiasChange, BiasSlot, Kernel, Layout, Observations, WeightDecision, WeightSite};

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
    let layout = Layout::new(kernel, dims)?;
    if means.len() != layout.groups * layout.features {
        return None;
    }
    // Input channels whose weights lie apart are added up each for itself.
    let run = match kernel {
        Kernel::ConvTranspose(spatial) => spatial.kernel.iter().product(),
        _ => layout.features,
    };
    let channel = |channel: usize| {
        let (group, row) = (channel / layout.rows, channel % layout.rows);
        let product = |feature: usize| {
            noise[layout.element(group, row, feature)] * means[group * layout.features + feature]
        };
        let runs = (0..layout.features).step_by(run);
        runs.map(|from| (from..from + run).map(product).sum::<f64>()).sum::<f64>() * kernel.bias_factor()
    };
    Some((0..layout.groups * layout.rows).map(channel).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Spatial;

    fn spatial(groups: usize, kernel: &[usize]) -> Spatial {
        let ones = vec![1; kernel.len()];
        let zeros = vec![0; kernel.len()];
        Spatial {
            kernel: kernel.to_vec(),
            strides: ones.clone(),
            dilations: ones,
            begin: zeros.clone(),
            end: zeros.clone(),
            same_upper: None,
            output_padding: zeros,
            groups,
        }
    }

    #[test]
    fn each_kernel_meets_the_means_of_its_own_inputs() {
        let noise: Vec<f64> = (0..16).map(f64::from).collect();
        let matrix =
            |transposed| Kernel::Matrix { transposed, input_transposed: false, alpha: 3.0, beta: 2.0 };
        // [out 4, in / groups 2, k 2]: outputs 2 and 3 meet inputs 2 and 3.
        let conv = shift(
            &Kernel::Conv(spatial(2, &[2])),
            &[4, 2, 2],
            &noise,
            &[0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 10.0],
        );
        assert_eq!(conv.unwrap(), [3.0, 7.0, 8.0 + 110.0, 12.0 + 150.0]);
        // [in 4, out / groups 2, k 2]: inputs 2 and 3 make outputs 2 and 3.
        let means = [1.0, 0.0, 0.0, 10.0, 0.0, 1.0, 10.0, 0.0];
        let transposed = shift(&Kernel::ConvTranspose(spatial(2, &[2])), &[4, 2, 2], &noise, &means);
        assert_eq!(transposed.unwrap(), [50.0, 2.0 + 70.0, 9.0 + 120.0, 11.0 + 140.0]);
        assert_eq!(shift(&matrix(true), &[2, 2], &noise[..4], &[1.0, 10.0]).unwrap(), [15.0, 48.0]);
        assert_eq!(shift(&matrix(false), &[2, 2], &noise[..4], &[1.0, 10.0]).unwrap(), [30.0, 46.5]);
        assert_eq!(shift(&matrix(false), &[2, 2], &noise[..4], &[1.0]), None);
    }
}
