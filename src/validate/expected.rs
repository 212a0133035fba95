//! The drop of top-1 that errors of a given size lead one to expect.

use super::scores::choices;
use crate::runtime::Output;

/// How many other samples lend each sample their errors.
const SHIFTS: usize = 64;

/// Float minus quantized top-1, in points, as it is to be expected: each sample's float scores are met not by its own error
/// alone but by those of up to 64 other samples too, and by their negatives. So few samples say nearly as much as many times
/// their number, as far as errors do not depend on the sample they come from.
///
/// `float` and `quantized` are a sample's class scores each, `[rows, classes]`; `labels` a sample's class indices, of which one
/// that is no class is wrong in either network. `None` where nothing is labelled.
pub fn expected_drop(float: &[&Output], quantized: &[Output], labels: &[Vec<i64>]) -> Option<f64> {
    let mut rows: Vec<(&[f32], &[f32], usize)> = Vec::new();
    for ((float, quantized), labels) in float.iter().zip(quantized).zip(labels) {
        let Some(classes) = float.values.len().checked_div(labels.len()) else { continue };
        if classes < 2 || float.values.len() != quantized.values.len() {
            return None;
        }
        let pairs = float.values.chunks(classes).zip(quantized.values.chunks(classes));
        for ((float, quantized), &label) in pairs.zip(labels) {
            rows.push((float, quantized, usize::try_from(label).unwrap_or(usize::MAX)));
        }
    }
    let count = rows.len();
    let (mut right, mut still, mut pairs) = (0usize, 0usize, 0usize);
    let mut scores = Vec::new();
    for (at, &(float, _, label)) in rows.iter().enumerate() {
        right += usize::from(best(float) == label);
        for shift in 0..SHIFTS.min(count) {
            let (other, noisy, _) = rows[(at + shift) % count];
            if other.len() != float.len() {
                continue;
            }
            for sign in [1.0f32, -1.0] {
                // A sample's own error is what did happen; its negative did not.
                if shift == 0 && sign < 0.0 {
                    continue;
                }
                scores.clear();
                // A score that is infinite in both networks has no error.
                let error = |one: f32, two: f32| if one == two { 0.0 } else { sign * (two - one) };
                let errors = other.iter().zip(noisy).map(|(&one, &two)| error(one, two));
                scores.extend(float.iter().zip(errors).map(|(own, error)| own + error));
                still += usize::from(best(&scores) == label);
                pairs += 1;
            }
        }
    }
    (pairs > 0).then(|| 100.0 * (right as f64 / count as f64 - still as f64 / pairs as f64))
}

/// The share of rows on which both networks choose the same class, as it is to be expected: the drop where the float network's own
/// choices are the labels. `labels` says how many rows a sample has, as in [`super::Differences::add`]. `None` where the first
/// output has no class scores.
pub fn expected_agreement(float: &[&Output], quantized: &[Output], labels: &[Vec<i64>]) -> Option<f64> {
    let chosen: Vec<Vec<i64>> =
        float.iter().zip(labels).map(|(float, labels)| choices(float, labels.len())).collect();
    expected_drop(float, quantized, &chosen).map(|drop| 1.0 - drop / 100.0)
}

/// The first of the largest; what is no number is the largest of none.
fn best(scores: &[f32]) -> usize {
    let larger = |best: usize, at: usize| scores[at] > scores[best] || scores[best].is_nan();
    (1..scores.len()).fold(0, |best, at| if larger(best, at) { at } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(values: &[f32]) -> Output {
        Output { name: "y".into(), dims: vec![1, values.len()], values: values.to_vec() }
    }

    #[test]
    fn errors_too_small_to_matter_drop_nothing() {
        let float: Vec<Output> = (0..9).map(|at| output(&[at as f32, 20.0, -1.0])).collect();
        let noisy: Vec<Output> = (0..9).map(|at| output(&[at as f32 + 0.5, 19.5, -1.0])).collect();
        let labels = vec![vec![1]; 9];
        assert_eq!(expected_drop(&float.iter().collect::<Vec<_>>(), &noisy, &labels), Some(0.0));
    }

    #[test]
    fn each_error_meets_all_samples() {
        // One error of ten turns a close answer over, and only the first sample's answer is close.
        let float: Vec<Output> = (0..10).map(|at| output(&[1.0, if at == 0 { 0.9 } else { -9.0 }])).collect();
        let mut noisy = float.clone();
        noisy[5] = output(&[1.0, -8.0]);
        let labels = vec![vec![0]; 10];
        let drop = expected_drop(&float.iter().collect::<Vec<_>>(), &noisy, &labels).unwrap();
        // The positive error at one of the 19 ways to meet one, a tenth of the samples.
        assert!((drop - 100.0 / 190.0).abs() < 1e-9, "{drop}");
    }

    #[test]
    fn agreement_needs_no_labels() {
        let float: Vec<Output> = (0..10).map(|at| output(&[1.0, if at == 0 { 0.9 } else { -9.0 }])).collect();
        let mut noisy = float.clone();
        noisy[5] = output(&[1.0, -8.0]);
        let share =
            expected_agreement(&float.iter().collect::<Vec<_>>(), &noisy, &vec![Vec::new(); 10]).unwrap();
        assert!((share - (1.0 - 1.0 / 190.0)).abs() < 1e-9, "{share}");
        let flat = [Output { name: "y".into(), dims: vec![2], values: vec![1.0, 0.0] }];
        assert_eq!(expected_agreement(&flat.iter().collect::<Vec<_>>(), &flat, &[vec![]]), None);
    }

    #[test]
    fn masked_classes_have_no_error() {
        let masked = [output(&[f32::NEG_INFINITY, 1.0, 2.0]), output(&[f32::NEG_INFINITY, 4.0, 2.0])];
        let refs: Vec<&Output> = masked.iter().collect();
        assert_eq!(expected_drop(&refs, &masked, &[vec![2], vec![1]]), Some(0.0));
        assert_eq!(best(&[f32::NAN, 1.0, 3.0]), 2);
    }

    #[test]
    fn without_labels_nothing_is_expected() {
        let float = [output(&[1.0, 0.0])];
        let refs: Vec<&Output> = float.iter().collect();
        assert_eq!(expected_drop(&refs, &float, &[vec![]]), None);
        assert_eq!(expected_drop(&refs, &float, &[vec![7]]), Some(0.0), "wrong in both");
        assert_eq!(expected_drop(&[], &[], &[]), None);
    }
}
