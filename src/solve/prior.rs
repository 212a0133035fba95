//! Moments of a layer's inputs without samples: what BatchNormalization says of the channels, or else what is usual, and
//! that neighbours in a picture are alike.

use std::collections::HashSet;

use super::expect;
use crate::onnx::{Index, floats};
use crate::plan::{Channels, Expected, Kernel, Layout, WeightSite};
use crate::reconstruct::{MOST_BYTES, MOST_FEATURES, Moments};

/// Correlation of neighbours in one channel; it falls off geometrically with the distance.
const NEIGHBOURS: f64 = 0.8;
/// How far back a function that leaves no value negative is looked for.
const REACH: usize = 8;
/// Matrices of the size of the moments that are held at a time.
const COPIES: usize = 7;

/// What is assumed of the inputs of one weight tensor.
pub(super) struct Prior {
    /// One a group.
    pub moments: Vec<Moments>,
    /// Whether the means are the model's own, so that biases can be corrected by them.
    pub known: bool,
}

/// What `site` meets: mean and variance of each input channel, and whether they are the model's own.
struct Inputs<'s> {
    layout: Layout,
    sizes: &'s [usize],
    channels: Channels,
    known: bool,
}

/// Whether [`prior`] has an answer, without the work of it.
pub(super) fn is_possible(site: &WeightSite, index: &Index, expected: &Expected) -> bool {
    inputs(site, index, expected).is_some()
}

fn inputs<'s>(site: &'s WeightSite, index: &Index, expected: &Expected) -> Option<Inputs<'s>> {
    let kernel = &site.readers.first()?.kernel;
    let layout = Layout::new(kernel, &site.dims).filter(|layout| layout.features <= MOST_FEATURES)?;
    let sizes = match kernel {
        Kernel::Conv(spatial) | Kernel::ConvTranspose(spatial) => spatial.kernel.as_slice(),
        Kernel::Matrix { .. } | Kernel::Other(_) => &[],
    };
    let offsets: usize = sizes.iter().product();
    let per_group = layout.features.checked_div(offsets)?;
    let inputs = per_group * layout.groups;
    if Moments::all_bytes(layout.groups, layout.features, false) > MOST_BYTES {
        return None;
    }
    // Readers of shared weights have inputs of their own.
    let own = match &site.readers[..] {
        // The features of a product are the channels only in a flat value.
        [reader] => reader
            .input()
            .filter(|input| !sizes.is_empty() || is_flat(kernel, index, input))
            .and_then(|input| expected.get(input)?.spread(inputs)),
        _ => None,
    };
    let known = own.is_some();
    let usual = || {
        let positive = |input| is_positive(index, input, REACH, &mut HashSet::new());
        let positive = site.readers.iter().all(|reader| reader.input().is_some_and(positive));
        if !positive && sizes.is_empty() {
            return None;
        }
        // A rectified standard normal variable, in parts of its E[x^2].
        let share = if positive { 1.0 / std::f64::consts::PI } else { 0.0 };
        Some(Channels { mean: vec![share.sqrt(); inputs], variance: vec![1.0 - share; inputs] })
    };
    Some(Inputs { layout, sizes, channels: own.or_else(usual)?, known })
}

/// The prior of `site`; `None` where nothing can be assumed of its inputs.
pub(super) fn prior(site: &WeightSite, index: &Index, expected: &Expected) -> Option<Prior> {
    let Inputs { layout, sizes, channels, known } = inputs(site, index, expected)?;
    let offsets: usize = sizes.iter().product();
    let per_group = layout.features.checked_div(offsets)?;
    let alike = correlation(sizes);
    let group = |group: usize| {
        let channel = |feature: usize| group * per_group + feature / offsets;
        let mean: Vec<f64> = (0..layout.features).map(|feature| channels.mean[channel(feature)]).collect();
        let second = |at: usize| {
            let (row, column) = (at / layout.features, at % layout.features);
            let same = channel(row) == channel(column);
            let covariance =
                || channels.variance[channel(row)] * alike[row % offsets * offsets + column % offsets];
            mean[row] * mean[column] + if same { covariance() } else { 0.0 }
        };
        let second = (0..layout.features * layout.features).map(second).collect();
        Moments::assumed(mean, second)
    };
    Some(Prior { moments: (0..layout.groups).map(group).collect(), known })
}

/// What judging `site` by assumed moments would take, in bytes: the moments, and what is computed of them.
pub(super) fn memory(site: &WeightSite) -> usize {
    let layout = site.readers.first().and_then(|reader| Layout::new(&reader.kernel, &site.dims));
    let layout = layout.filter(|layout| layout.features <= MOST_FEATURES);
    layout
        .map_or(0, |layout| Moments::all_bytes(layout.groups, layout.features, false).saturating_mul(COPIES))
}

/// Whether the last axis of `input`, which a product reduces, is that of the channels.
fn is_flat(kernel: &Kernel, index: &Index, input: &str) -> bool {
    let Kernel::Matrix { input_transposed: false, .. } = kernel else { return false };
    let behind_gemm = |value: &str| {
        let mut value = value;
        for _ in 0..REACH {
            match index.producer(value).map(|node| (node.op_type(), node.input.first())) {
                Some(("Gemm", _)) => return true,
                Some(("Relu" | "Clip" | "LeakyRelu" | "Identity" | "Dropout", Some(input))) => value = input,
                _ => return false,
            }
        }
        false
    };
    expect::flattened(index, input) || behind_gemm(input)
}

/// Correlation of each two offsets of a kernel.
fn correlation(sizes: &[usize]) -> Vec<f64> {
    let offsets: usize = sizes.iter().product();
    let distance = |mut one: usize, mut other: usize| {
        let mut sum = 0;
        for &size in sizes.iter().rev() {
            sum += (one % size).abs_diff(other % size);
            (one, other) = (one / size, other / size);
        }
        sum as i32
    };
    (0..offsets * offsets).map(|at| NEIGHBOURS.powi(distance(at / offsets, at % offsets))).collect()
}

/// Whether `value` is behind a Relu or the like, with nothing between that could make it negative.
fn is_positive<'v>(index: &Index<'v>, value: &'v str, reach: usize, seen: &mut HashSet<&'v str>) -> bool {
    // What is asked about already is answered there.
    if !seen.insert(value) {
        return true;
    }
    let Some(node) = index.producer(value) else { return false };
    let passes = matches!(
        node.op_type(),
        "MaxPool" | "AveragePool" | "GlobalAveragePool" | "Flatten" | "Reshape" | "Squeeze" | "Slice"
    );
    match node.op_type() {
        "Relu" | "Sigmoid" => true,
        "Clip" => {
            let lo = node.input.get(1).and_then(|lo| index.constant(lo)).and_then(|lo| floats(lo).ok());
            lo.is_some_and(|lo| lo.first().is_some_and(|&lo| lo >= 0.0))
        }
        "Concat" => reach > 0 && node.input.iter().all(|input| is_positive(index, input, reach - 1, seen)),
        _ => {
            passes
                && reach > 0
                && node.input.first().is_some_and(|input| is_positive(index, input, reach - 1, seen))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::analyse;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{Model, attr, tensor_f32};
    use crate::options::{Compensation, OPSET, Options, Precision};
    use crate::plan::{Decision, Plan, Subject, WeightDecision};
    use crate::progress::Silent;
    use crate::solve::{Measurements, Shared, solve};

    fn options() -> Options {
        Options::new("w4".parse::<Precision>().unwrap())
    }

    fn planned(model: &Model, expected: &Expected, options: &Options) -> Plan {
        let subject = Subject { file: "toy".into(), sha256: String::new() };
        solve(
            model,
            &analyse(model, options).unwrap(),
            None,
            options,
            expected,
            subject,
            Shared { measurements: &Measurements::default(), progress: &Silent, notes: None },
        )
        .unwrap()
    }

    fn last(plan: &Plan) -> &WeightDecision {
        let Some(Decision::Weight(weight)) = plan.decisions.last() else { panic!("no weights") };
        weight
    }

    #[test]
    fn neighbours_behind_a_relu_are_alike_and_matrices_of_unknown_inputs_have_no_prior() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 2, 8, 8]);
        let relu = graph.node("Relu", &[&x], &[]);
        let pool = graph.node("MaxPool", &[&relu], &[attr::ints("kernel_shape", &[2, 2])]);
        let (w, v) = (graph.weights("w", &[3, 2, 1, 3]), graph.weights("v", &[4, 4]));
        let conv = graph.node("Conv", &[&pool, &w], &[]);
        let product = graph.node("MatMul", &[&x, &v], &[]);
        graph.output(&conv);
        graph.output(&product);
        let model = graph.model();
        let analysis = analyse(&model, &options()).unwrap();
        let index = Index::new(model.graph());
        let found = prior(&analysis.weights[0], &index, &Expected::new()).unwrap();
        let share = std::f64::consts::FRAC_1_PI;
        let mut second = vec![share.sqrt() * share.sqrt(); 36];
        for (row, column) in (0..36).map(|at| (at / 6, at % 6)).filter(|(row, column)| row / 3 == column / 3)
        {
            second[row * 6 + column] += (1.0 - share) * NEIGHBOURS.powi((row as i32 - column as i32).abs());
        }
        assert_eq!(found.moments, [Moments::assumed(vec![share.sqrt(); 6], second)]);
        assert!(!found.known);
        assert!(prior(&analysis.weights[1], &index, &Expected::new()).is_none());
    }

    #[test]
    fn normalisation_tells_the_mean_that_a_bias_takes_up() {
        let (channels, outputs) = (16usize, 8usize);
        let row = |of: &dyn Fn(usize) -> f32| (0..channels).map(of).collect::<Vec<f32>>();
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 16, 4, 4]);
        let (pass, w) = (graph.weights("pass", &[16, 1, 1, 1]), graph.weights("w", &[8, 16, 1, 1]));
        let first = graph.node("Conv", &[&x, &pass], &[attr::int("group", 16)]);
        let (gamma, beta) = (row(&|at| 0.3 + 0.1 * at as f32), row(&|at| 0.4 * at as f32 - 2.0));
        let parts =
            [("gamma", &gamma), ("beta", &beta), ("mean", &vec![0.0; 16]), ("variance", &vec![1.0; 16])]
                .map(|(name, values)| graph.initializer(tensor_f32(name, &[16], values)));
        let inputs = [&first, &parts[0], &parts[1], &parts[2], &parts[3]].map(String::as_str);
        let normal = graph.node("BatchNormalization", &inputs, &[]);
        let relu = graph.node("Relu", &[&normal], &[]);
        let y = graph.node("Conv", &[&relu, &w], &[]);
        graph.output(&y);
        let (model, _, expected) = crate::prepare::with_statistics(graph.model(), OPSET).unwrap();
        let plan = planned(&model, &expected, &options());
        let weight = last(&plan);
        assert!(weight.reason.to_string().contains("normalisation"), "{}", weight.reason);
        // The mean of each input channel, summed over a normal variable in small steps.
        let mean = |channel: usize| {
            let (mut sum, mut mass) = (0.0, 0.0);
            for step in -8000..=8000 {
                let z = f64::from(step) / 1000.0;
                let density = (-0.5 * z * z).exp();
                sum += density * (f64::from(beta[channel]) + f64::from(gamma[channel]) * z).max(0.0);
                mass += density;
            }
            sum / mass
        };
        let index = Index::new(model.graph());
        let values = floats(index.constant("w").unwrap()).unwrap();
        // The mean error of each output channel.
        let off = |weight: &WeightDecision| {
            let decoded = weight.decode();
            let bias = weight.biases.first().map_or(vec![0.0; outputs], |change| change.values.clone());
            let error = |output: usize| {
                let error = |channel: usize| {
                    let at = output * channels + channel;
                    (f64::from(values[at]) - f64::from(decoded[at])) * mean(channel)
                };
                (0..channels).map(error).sum::<f64>() - f64::from(bias[output])
            };
            (0..outputs).map(error).map(f64::abs).fold(0.0, f64::max)
        };
        let plain = planned(&model, &expected, &Options { compensation: Compensation::None, ..options() });
        assert!(off(weight) < 1e-5 && off(last(&plain)) > 1e-3, "{} {}", off(weight), off(last(&plain)));
    }

    #[test]
    fn what_is_too_large_to_foresee_says_so() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 2048, 1, 1]);
        let relu = graph.node("Relu", &[&x], &[]);
        let flat = graph.node("Flatten", &[&relu], &[]);
        let w = graph.weights("w", &[2048, 2049]);
        let y = graph.node("Gemm", &[&flat, &w], &[]);
        graph.output(&y);
        let plan = planned(&graph.model(), &Expected::new(), &options());
        assert!(last(&plan).reason.to_string().contains("takes too much memory"), "{}", last(&plan).reason);
    }
}
