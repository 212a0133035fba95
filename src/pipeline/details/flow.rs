//! Noise on its way through the network: both networks on a few samples, layer by layer.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use rayon::prelude::*;

use super::weight;
use crate::error::{Error, Result};
use crate::onnx::{Index, Model};
use crate::plan::{Details, Plan};
use crate::rewrite::{Dialect, is_plain, lower};
use crate::runtime::{Session, faults};
use crate::samples::Samples;

/// Samples that both networks run on at most.
const MOST: usize = 16;
/// One of so many runs that a conversion makes anyway.
const SHARE: usize = 24;

/// The float model and the written one.
pub(in crate::pipeline) struct Networks<'n> {
    /// As it was prepared, which the plan speaks of.
    pub float: &'n Model,
    pub written: &'n Model,
    /// How many samples were calibrated and judged on.
    pub runs: usize,
}

/// Notes in `details` the noise of the input and the output of each layer of `plan` in the quantized network, where it can be run.
///
/// # Errors
/// Those of reading samples.
pub(in crate::pipeline) fn noise(
    details: &mut Details,
    plan: &Plan,
    networks: &Networks,
    samples: &Samples,
    seed: u64,
) -> Result<()> {
    match measured(details, plan, networks, samples, seed) {
        // A figure less.
        Err(Error::Runtime { .. }) => Ok(()),
        other => other,
    }
}

/// Where the input and the output of a layer are to be seen.
struct Ends {
    tensor: String,
    input: Option<String>,
    output: String,
}

fn measured(
    details: &mut Details,
    plan: &Plan,
    networks: &Networks,
    samples: &Samples,
    seed: u64,
) -> Result<()> {
    let &Networks { float, written, runs } = networks;
    let view = lower(written, if is_plain(written) { Dialect::Int4 } else { Dialect::Folded })?;
    if !faults(float).is_empty() || !faults(&view).is_empty() {
        return Ok(());
    }
    let (one, other) = (Index::new(float.graph()), Index::new(view.graph()));
    let is_there = |name: &str| {
        let made = |index: &Index| index.producer_at(name).is_some() || index.is_input(name);
        !name.is_empty() && made(&one) && made(&other)
    };
    let mut ends = Vec::new();
    for weight in plan.decisions.iter().filter_map(weight) {
        let Some(read) = weight.reads.iter().find(|read| read.is_outer()) else { continue };
        let Some(node) = float.graph().node.get(read.at) else { continue };
        let data = node.input.iter().find(|name| **name != weight.tensor && is_there(name));
        if let Some(output) = node.output.first().filter(|name| is_there(name)) {
            let (input, output) = (data.cloned(), output.clone());
            ends.push(Ends { tensor: weight.tensor.clone(), input, output });
        }
    }
    let mut taps: Vec<String> =
        ends.iter().flat_map(|ends| ends.input.iter().chain([&ends.output])).cloned().collect();
    taps.sort();
    taps.dedup();
    let most = (runs / SHARE).clamp(1, MOST);
    let samples = samples.clone().choose(Some(most), seed);
    let (float, quantized) = (Session::new(float, "float", &taps)?, Session::new(&view, "quantized", &taps)?);
    // One after another, so that sums do not depend on the number of threads; values of two networks are held at a time.
    let mut sums: BTreeMap<String, [f64; 2]> = BTreeMap::new();
    for at in 0..samples.len() {
        let inputs = samples.get(at)?.inputs;
        let seen: Mutex<HashMap<String, Vec<f32>>> = Mutex::default();
        float.run_tapped(&inputs, &mut |name, _, values| {
            let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            seen.insert(name.to_owned(), values.to_vec());
        })?;
        let seen = seen.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        quantized.run_tapped(&inputs, &mut |name, _, values| {
            let Some(before) = seen.get(name).filter(|before| before.len() == values.len()) else { return };
            let sum = sums.entry(name.to_owned()).or_default();
            let [signal, noise] = energies(before, values);
            (sum[0], sum[1]) = (sum[0] + signal, sum[1] + noise);
        })?;
    }
    let ratio = |name: &String| {
        let &[signal, noise] = sums.get(name)?;
        let ratio = 10.0 * (signal / noise).log10();
        (signal > 0.0 && noise > 0.0 && ratio.is_finite()).then_some(ratio)
    };
    for Ends { tensor, input, output } in &ends {
        if let Some(found) = details.weights.get_mut(tensor) {
            (found.input_db, found.output_db) = (input.as_ref().and_then(ratio), ratio(output));
        }
    }
    details.samples = samples.len();
    Ok(())
}

/// Values summed at a time, by as many threads as there are.
const PIECE: usize = 1 << 14;

/// The energy of what was `before`, and that of the difference.
fn energies(before: &[f32], after: &[f32]) -> [f64; 2] {
    let pieces = before.par_chunks(PIECE).zip(after.par_chunks(PIECE)).map(|(before, after)| {
        before.iter().zip(after).fold([0.0; 2], |[signal, noise], (&before, &after)| {
            let (before, after) = (f64::from(before), f64::from(after));
            [signal + before * before, noise + (before - after).powi(2)]
        })
    });
    let pieces: Vec<[f64; 2]> = pieces.collect();
    pieces.into_iter().fold([0.0; 2], |sum, piece| [sum[0] + piece[0], sum[1] + piece[1]])
}
