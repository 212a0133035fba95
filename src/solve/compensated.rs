//! The codes of one weight tensor by what they do to the layer's output: candidates of scales and sides of the odd code,
//! codes found under error compensation for each, the one of least output error kept.

use faer::Mat;
use rayon::prelude::*;

use super::Evidence;
use super::terms::{grids, losses, scales_of_several};
use super::treatment::Treatment;
use super::weights::{obstacle, skip, sqnr_db};
use crate::error::Result;
use crate::mmse::{Grid, Search, encode, fit_min_max};
use crate::onnx::{Index, floats};
use crate::plan::{BiasChange, Codes, Kernel, Layout, Skip, WeightDecision, WeightSite, WeightTerm};
use crate::reconstruct::{
    Factor, MOST_FEATURES, Normal, Quantizer, Residual, Statistics, Term, compensate, polish,
};

/// Factors on a scale of least weight error that are tried too: compensation moves the weights, and with them the best scale.
const STRETCHES: [f64; 3] = [1.0, 0.9, 1.1];
/// The same for kernels of few elements, where trying costs nothing and a scale more or less on the mark matters most.
const STRETCHES_SMALL: [f64; 9] = [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 1.05, 1.1, 1.15];
/// Features up to which a kernel is small.
const SMALL: usize = 64;
/// Rounds of codes for the scales and scales for the codes.
const ROUNDS: usize = 3;

/// What is known of one group of channels.
struct Known {
    statistics: Statistics,
    factor: Option<Factor>,
    /// Best real weights, a row an output channel.
    targets: Vec<Vec<f64>>,
    /// The metric times each of the targets.
    through: Vec<Vec<f64>>,
    weights: Vec<Vec<f64>>,
    diagonal: Vec<f64>,
}

/// Rows that share scales: their (group, row), and for each row the local scale of each feature.
struct Unit {
    rows: Vec<(usize, usize)>,
    of: Vec<usize>,
    /// The partition's group that each local scale is.
    scales: Vec<usize>,
}

/// Codes and scales of a unit.
#[derive(Clone)]
struct Solution {
    error: f64,
    /// `[local scale]`, each the terms' scales.
    scales: Vec<Vec<f64>>,
    grids: Vec<Vec<Grid>>,
    /// `[row][term, feature]`.
    codes: Vec<Vec<i32>>,
}

/// The decision on `site` from `evidence` of its inputs; or why it stays float. `None` where that says nothing, so that
/// weights have to be judged by themselves.
pub(super) fn solve(
    site: &WeightSite,
    index: &Index,
    treatment: &Treatment,
    evidence: &Evidence,
) -> Result<Option<Result<WeightDecision, Skip>>> {
    let Some(moments) = &evidence.moments else { return Ok(None) };
    if let Some(reason) = obstacle(site, index)? {
        return Ok(Some(Err(skip(site, reason))));
    }
    let values = index.constant(&site.tensor).map(floats).transpose()?.unwrap_or_default();
    let (Some(layout), Some(groups)) =
        (Layout::new(&site.kernels[0], &site.dims), treatment.partition.groups(&site.dims))
    else {
        return Ok(None);
    };
    let layout = layout.split(MOST_FEATURES);
    if moments.len() != layout.groups {
        return Ok(None);
    }
    // One reader's bias takes up its own mean; the readers of shared weights have none in common.
    let centred = treatment.correct_biases && matches!(site.biases[..], [Some(_)]);
    let known = moments.par_iter().enumerate().map(|(group, moments)| {
        let statistics = Statistics::new(moments, centred)?;
        let rows = |row| layout.row(&values, group, row).into_iter().map(f64::from).collect();
        let weights: Vec<Vec<f64>> = (0..layout.rows).map(rows).collect();
        let matrix = Mat::from_fn(layout.rows, layout.features, |row, feature| weights[row][feature]);
        let residual = evidence.residuals.as_ref().and_then(|all| all.get(group));
        let targets = statistics.targets(&matrix, residual);
        let targets: Vec<Vec<f64>> =
            (0..layout.rows).map(|row| targets.row(row).iter().copied().collect()).collect();
        let through = targets.par_iter().map(|target| statistics.through(target)).collect();
        let factor = if treatment.compensate { Factor::new(&statistics) } else { None };
        Some(Known { diagonal: statistics.diagonal(), statistics, factor, targets, through, weights })
    });
    let known: Vec<Option<Known>> = known.collect();
    if known.iter().any(|known| {
        known.as_ref().is_none_or(|known| known.targets.iter().flatten().any(|x| !x.is_finite()))
    }) {
        return Ok(None);
    }
    let known: Vec<Known> = known.into_iter().flatten().collect();
    let units = units(&layout, |at| groups.of(at));
    let solutions: Vec<Solution> = units.par_iter().map(|unit| best(unit, &known, treatment)).collect();

    let lowest = treatment.storage.range().0;
    let empty = WeightTerm {
        storage: treatment.storage,
        partition: treatment.partition,
        scales: vec![1.0; groups.count()],
        zero_points: vec![0; groups.count()],
        codes: Codes { bits: treatment.storage.bits(), values: vec![0; values.len()] },
    };
    let mut terms = vec![empty; treatment.terms];
    for (unit, solution) in units.iter().zip(&solutions) {
        for (local, &group) in unit.scales.iter().enumerate() {
            for (term, target) in terms.iter_mut().enumerate() {
                target.scales[group] = solution.scales[local][term] as f32;
                target.zero_points[group] = (lowest - solution.grids[local][term].lo()) as i16;
            }
        }
        for (&(group, row), codes) in unit.rows.iter().zip(&solution.codes) {
            for (place, &code) in codes.iter().enumerate() {
                let (term, feature) = (place / layout.features, place % layout.features);
                let zero = terms[term].zero_points[unit.scales[unit.of[feature]]];
                terms[term].codes.values[layout.element(group, row, feature)] = code as i16 + zero;
            }
        }
    }
    let mut decision = WeightDecision {
        tensor: site.tensor.clone(),
        dims: site.dims.clone(),
        reads: site.reads.clone(),
        terms,
        spelling: treatment.spelling,
        sqnr_db: None,
        reason: treatment.reason(),
        residuals: treatment.residuals,
        biases: Vec::new(),
    };
    let decoded = decision.decode();
    decision.sqnr_db = sqnr_db(losses(&values, &decoded));
    if centred {
        let residuals = evidence.residuals.as_deref();
        decision.biases = biases(site, index, &layout, &known, residuals, &decoded)?;
    }
    Ok(Some(Ok(decision)))
}

fn units(layout: &Layout, group_of: impl Fn(usize) -> usize) -> Vec<Unit> {
    let mut units: std::collections::BTreeMap<Vec<usize>, Unit> = std::collections::BTreeMap::new();
    for group in 0..layout.groups {
        for row in 0..layout.rows {
            let met: Vec<usize> =
                (0..layout.features).map(|feature| group_of(layout.element(group, row, feature))).collect();
            let mut scales = met.clone();
            scales.sort_unstable();
            scales.dedup();
            let of = met.iter().map(|scale| scales.partition_point(|other| other < scale)).collect();
            units.entry(met).or_insert_with(|| Unit { rows: Vec::new(), of, scales }).rows.push((group, row));
        }
    }
    units.into_values().collect()
}

/// One candidate: for each local scale the terms' grids and scales.
type Candidate = Vec<Vec<(Grid, f64)>>;

fn best(unit: &Unit, known: &[Known], treatment: &Treatment) -> Solution {
    let mut candidates = candidates(unit, known, treatment);
    let mut best: Option<Solution> = None;
    for round in 0..ROUNDS {
        let found = try_all(unit, known, treatment, &candidates);
        let winner = found.into_iter().min_by(|one, other| one.error.total_cmp(&other.error));
        let Some(winner) = winner else { break };
        let better = best.as_ref().is_none_or(|best| winner.error < best.error * (1.0 - 1e-9));
        if better {
            best = Some(winner);
        }
        let Some(best) = best.as_ref().filter(|_| better && treatment.compensate && round + 1 < ROUNDS)
        else {
            break;
        };
        let again = best.scales.iter().zip(&best.grids);
        candidates = vec![
            again
                .map(|(scales, grids)| grids.iter().copied().zip(scales.iter().copied()).collect())
                .collect(),
        ];
    }
    best.unwrap_or_else(|| Solution { error: 0.0, scales: Vec::new(), grids: Vec::new(), codes: Vec::new() })
}

fn candidates(unit: &Unit, known: &[Known], treatment: &Treatment) -> Vec<Candidate> {
    let mut search = Search::new();
    let grids = grids(treatment.storage);
    let features = unit.of.len();
    // The values that each local scale covers, and what an error of each costs.
    let mut covered = vec![(Vec::new(), Vec::new()); unit.scales.len()];
    for &(group, row) in &unit.rows {
        let source = &known[group];
        let rows = if treatment.compensate { &source.targets } else { &source.weights };
        for feature in 0..features {
            let (values, costs) = &mut covered[unit.of[feature]];
            values.push(rows[row][feature] as f32);
            costs.push(source.diagonal[feature]);
        }
    }
    let fit = |search: &mut Search, grid: &[Grid], weighted: bool| {
        let each = covered.iter().map(|(values, costs)| {
            let fit = search.fit_best(values, weighted.then_some(&costs[..]), grid).ok()?;
            Some(vec![(fit.grid, f64::from(fit.scale))])
        });
        each.collect::<Option<Candidate>>()
    };
    let unclipped = |grid: &Grid| {
        let each = covered.iter().map(|(values, _)| {
            let fit = fit_min_max(values, *grid).ok()?;
            Some(vec![(fit.grid, f64::from(fit.scale))])
        });
        each.collect::<Option<Candidate>>()
    };
    if treatment.terms > 1 {
        let several =
            covered.iter().map(|(values, _)| scales_of_several(values, treatment.storage, treatment.terms));
        return several.collect::<Option<Candidate>>().into_iter().collect();
    }
    if !treatment.compensate {
        let scales = if treatment.min_max { unclipped(&grids[0]) } else { fit(&mut search, &grids, false) };
        return scales.into_iter().collect();
    }
    let mut found = Vec::new();
    // All sides of the odd code of a symmetric type; of a type with zero points those that fit the values best.
    let sides: Vec<Vec<Grid>> = match grids.len() {
        ..=2 => grids.iter().map(|&grid| vec![grid]).collect(),
        _ => vec![grids.clone(), vec![grids[0]], vec![grids[1]]],
    };
    for side in &sides {
        found.extend(unclipped(&side[0]));
        if treatment.min_max {
            continue;
        }
        for weighted in [true, false] {
            let Some(plain) = fit(&mut search, side, weighted) else { continue };
            let stretches = if features <= SMALL { &STRETCHES_SMALL[..] } else { &STRETCHES[..] };
            let stretches = if weighted { stretches } else { &stretches[..1] };
            found.extend(stretches.iter().map(|stretch| {
                plain
                    .iter()
                    .map(|terms| terms.iter().map(|&(grid, scale)| (grid, scale * stretch)).collect())
                    .collect()
            }));
        }
    }
    found
}

fn try_all(unit: &Unit, known: &[Known], treatment: &Treatment, candidates: &[Candidate]) -> Vec<Solution> {
    let features = unit.of.len();
    let length = treatment.terms * features;
    let quantizers: Vec<Vec<Quantizer>> = candidates
        .iter()
        .map(|candidate| {
            let quantizer = |terms: &Vec<(Grid, f64)>| {
                let term = |&(grid, scale): &(Grid, f64)| Term { scale, lo: grid.lo(), hi: grid.hi() };
                Quantizer::new(&terms.iter().map(term).collect::<Vec<_>>())
            };
            candidate.iter().map(quantizer).collect()
        })
        .collect();
    let mut codes: Vec<Vec<Vec<i32>>> = vec![Vec::with_capacity(unit.rows.len()); candidates.len()];
    for &(group, row) in &unit.rows {
        let known = &known[group];
        let all = match &known.factor {
            Some(factor) => compensate(factor, &known.targets[row], &unit.of, &quantizers),
            None => nearest(&known.weights[row], &unit.of, &quantizers, candidates, treatment.terms),
        };
        codes.iter_mut().zip(all.chunks(length)).for_each(|(codes, found)| codes.push(found.to_vec()));
    }
    let solution = |(candidate, mut codes): (&Candidate, Vec<Vec<i32>>)| {
        let scales: Vec<f64> =
            candidate.iter().flat_map(|terms| terms.iter().map(|&(_, scale)| scale)).collect();
        let equations = |codes: &[Vec<i32>]| {
            let mut normal = Normal::new(scales.len());
            for (&(group, row), codes) in unit.rows.iter().zip(codes) {
                let known = &known[group];
                let vectors = vectors(unit, codes, treatment.terms);
                normal.add(&known.statistics, &known.targets[row], &known.through[row], &vectors);
            }
            normal
        };
        let (mut found, mut error) = equations(&codes).solve(&scales);
        if treatment.compensate && treatment.terms == 1 && unit.scales.len() == 1 {
            // With the scale known, single codes may still be moved to the output's advantage.
            let (grid, _) = candidate[0][0];
            let mut moved = codes.clone();
            for (&(group, row), codes) in unit.rows.iter().zip(&mut moved) {
                let term = Term { scale: found[0], lo: grid.lo(), hi: grid.hi() };
                polish(&known[group].statistics, &known[group].targets[row], term, codes);
            }
            let (again, less) = equations(&moved).solve(&found);
            if less < error {
                (found, error, codes) = (again, less, moved);
            }
        }
        Solution {
            error,
            scales: found.chunks(treatment.terms).map(<[f64]>::to_vec).collect(),
            grids: candidate.iter().map(|terms| terms.iter().map(|&(grid, _)| grid).collect()).collect(),
            codes,
        }
    };
    candidates.iter().zip(codes).map(solution).collect()
}

/// Codes of nearest value, `[candidates, terms, features]` flat.
fn nearest(
    weights: &[f64],
    of: &[usize],
    quantizers: &[Vec<Quantizer>],
    candidates: &[Candidate],
    terms: usize,
) -> Vec<i32> {
    let features = weights.len();
    let mut codes = vec![0; quantizers.len() * terms * features];
    let mut found = vec![0; terms];
    for (which, (quantizers, candidate)) in quantizers.iter().zip(candidates).enumerate() {
        for (feature, &weight) in weights.iter().enumerate() {
            if terms == 1 {
                // The same rounding as everywhere else where nothing is compensated.
                let (grid, scale) = candidate[of[feature]][0];
                let mut one = Vec::with_capacity(1);
                encode(&[weight as f32], scale as f32, grid, &mut one);
                found[0] = one.first().copied().unwrap_or(0);
            } else {
                quantizers[of[feature]].nearest(weight, &mut found);
            }
            for (term, &code) in found.iter().enumerate() {
                codes[(which * terms + term) * features + feature] = code;
            }
        }
    }
    codes
}

/// For each scale, local ones outermost, the integers of a row that it multiplies.
fn vectors(unit: &Unit, codes: &[i32], terms: usize) -> Vec<Vec<f64>> {
    let features = unit.of.len();
    let mut vectors = vec![vec![0.0; features]; unit.scales.len() * terms];
    for (place, &code) in codes.iter().enumerate() {
        let (term, feature) = (place / features, place % features);
        vectors[unit.of[feature] * terms + term][feature] = f64::from(code);
    }
    vectors
}

fn biases(
    site: &WeightSite,
    index: &Index,
    layout: &Layout,
    known: &[Known],
    residuals: Option<&[Residual]>,
    decoded: &[f32],
) -> Result<Vec<BiasChange>> {
    let [Some((read, tensor))] = &site.biases[..] else { return Ok(Vec::new()) };
    let factor = match &site.kernels[0] {
        Kernel::Matrix { alpha, beta, .. } => f64::from(*alpha) / f64::from(*beta),
        _ => 1.0,
    };
    let old = match tensor.as_ref().and_then(|name| index.constant(name)) {
        Some(tensor) => floats(tensor)?,
        None => vec![0.0; layout.groups / layout.parts * layout.rows],
    };
    let mut values = Vec::with_capacity(old.len());
    for (channel, &old) in old.iter().enumerate() {
        let (first, row) = (channel / layout.rows * layout.parts, channel % layout.rows);
        let mut shift = 0.0;
        for group in first..known.len().min(first + layout.parts) {
            let known = &known[group];
            // The other branch's mean is the same in every part.
            let residual = residuals.and_then(|all| all.get(group)).filter(|_| group == first);
            let quantized: Vec<f64> = layout.row(decoded, group, row).into_iter().map(f64::from).collect();
            shift += known.statistics.bias(&known.weights[row], &quantized, residual.map(|all| (all, row)));
        }
        values.push((f64::from(old) + shift * factor) as f32);
    }
    let sound = values.len() == old.len() && values.iter().all(|value| value.is_finite());
    let change = BiasChange { read: read.clone(), tensor: tensor.clone(), values };
    Ok(if sound { vec![change] } else { Vec::new() })
}
