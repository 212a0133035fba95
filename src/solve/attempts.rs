//! Codes and scales of the kernels that share scales: several candidates of scales and of sides of the odd code, codes found
//! under error compensation for each, the one of least output error kept.

use super::notes::Errors;
use super::terms::{grids, scales_of_several};
use super::treatment::Treatment;
use crate::mmse::{Grid, Search, encode, fit_min_max};
use crate::reconstruct::{Factor, Normal, Quantizer, Statistics, Term, compensate, polish};

/// Factors on a scale of least weight error that are tried too: compensation moves the weights, and with them the best scale.
const STRETCHES: [f64; 3] = [1.0, 0.9, 1.1];
/// The same for kernels of few elements, where trying costs nothing and a scale more or less on the mark matters most.
const STRETCHES_SMALL: [f64; 9] = [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 1.05, 1.1, 1.15];
/// Features up to which a kernel is small.
const SMALL: usize = 64;
/// Rounds of codes for the scales and scales for the codes.
const ROUNDS: usize = 3;

/// What is known of one group of channels.
pub(super) struct Known {
    pub statistics: Statistics,
    pub factor: Option<Factor>,
    /// Best real weights, a row an output channel.
    pub targets: Vec<Vec<f64>>,
    /// The metric times each of the targets.
    pub through: Vec<Vec<f64>>,
    pub weights: Vec<Vec<f64>>,
    pub diagonal: Vec<f64>,
}

/// Rows that share scales: their (group, row), and for each row the local scale of each feature.
pub(super) struct Unit {
    pub rows: Vec<(usize, usize)>,
    pub of: Vec<usize>,
    /// The partition's group that each local scale is.
    pub scales: Vec<usize>,
}

/// Codes and scales of a unit.
#[derive(Clone)]
pub(super) struct Solution {
    pub error: f64,
    /// `[local scale]`, each the terms' scales.
    pub scales: Vec<Vec<f64>>,
    pub grids: Vec<Vec<Grid>>,
    /// `[row][term, feature]`.
    pub codes: Vec<Vec<i32>>,
    pub errors: Errors,
}

/// One candidate: for each local scale the terms' grids and scales.
type Candidate = Vec<Vec<(Grid, f64)>>;

/// The best that was found for `unit`; `None` where no scale fits its values. Where it is `noted`, with the error of nearest codes.
pub(super) fn best(unit: &Unit, known: &[Known], treatment: &Treatment, noted: bool) -> Option<Solution> {
    let mut candidates = candidates(unit, known, treatment);
    if candidates.is_empty() {
        return None;
    }
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
    if let Some(best) = best.as_mut().filter(|_| noted) {
        best.errors.nearest = nearest_error(unit, known, treatment);
    }
    best
}

/// The error at scales of least weight error and nearest codes of one term.
fn nearest_error(unit: &Unit, known: &[Known], treatment: &Treatment) -> Option<f64> {
    let plain = treatment.nearest();
    let candidate = candidates(unit, known, &plain).into_iter().next()?;
    let (quantizers, mut normal) = (quantizers(&candidate), Normal::new(unit.scales.len()));
    for &(group, row) in &unit.rows {
        let known = &known[group];
        let all = [quantizers.clone()];
        let codes = nearest(&known.weights[row], &unit.of, &all, std::slice::from_ref(&candidate), 1);
        let vectors = vectors(unit, &codes, 1);
        let products = known.statistics.products(&vectors);
        normal.add(&known.targets[row], &known.through[row], &vectors, &products);
    }
    let scales: Vec<f64> = candidate.iter().flat_map(|terms| terms.iter().map(|&(_, scale)| scale)).collect();
    Some(normal.error(&scales))
}

fn quantizers(candidate: &Candidate) -> Vec<Quantizer> {
    let quantizer = |terms: &Vec<(Grid, f64)>| {
        let term = |&(grid, scale): &(Grid, f64)| Term { scale, lo: grid.lo(), hi: grid.hi() };
        Quantizer::new(&terms.iter().map(term).collect::<Vec<_>>())
    };
    candidate.iter().map(quantizer).collect()
}

fn candidates(unit: &Unit, known: &[Known], treatment: &Treatment) -> Vec<Candidate> {
    let mut search = Search::new();
    let grids = grids(treatment.kind());
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
            covered.iter().map(|(values, _)| scales_of_several(values, treatment.kind(), treatment.terms));
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
    let quantizers: Vec<Vec<Quantizer>> = candidates.iter().map(quantizers).collect();
    // How many scales a row has: with one its candidates are multiplied with the metric together.
    let scales = treatment.terms * unit.scales.len();
    let together = if scales == 1 { candidates.len() } else { 1 };
    let mut found: Vec<Attempt> = candidates.iter().map(|_| Attempt::new(scales)).collect();
    for &(group, row) in &unit.rows {
        let known = &known[group];
        let all = match &known.factor {
            Some(factor) => compensate(factor, &known.targets[row], &unit.of, &quantizers),
            None => nearest(&known.weights[row], &unit.of, &quantizers, candidates, treatment.terms),
        };
        for (found, all) in found.chunks_mut(together).zip(all.chunks(length * together)) {
            let vectors: Vec<Vec<f64>> =
                all.chunks(length).flat_map(|codes| vectors(unit, codes, treatment.terms)).collect();
            let products = known.statistics.products(&vectors);
            let of_each = vectors.chunks(scales).zip(products.chunks(scales)).zip(all.chunks(length));
            for (found, ((vectors, products), codes)) in found.iter_mut().zip(of_each) {
                found.normal.add(&known.targets[row], &known.through[row], vectors, products);
                found.codes.push(codes.to_vec());
                if scales == 1 && unit.rows.len() == 1 {
                    found.product = products.first().cloned();
                }
            }
        }
    }
    let solution = |(candidate, attempt): (&Candidate, Attempt)| {
        let Attempt { mut codes, normal, product } = attempt;
        let scales: Vec<f64> =
            candidate.iter().flat_map(|terms| terms.iter().map(|&(_, scale)| scale)).collect();
        let compensated = treatment.compensate.then(|| normal.error(&scales));
        let (mut found, mut error) = normal.solve(&scales);
        let energy = normal.energy();
        let mut errors = Errors { energy, nearest: None, compensated, refitted: error, moved: None };
        if treatment.compensate && scales.len() == 1 {
            // With the scale known, single codes may still be moved to the output's advantage.
            let (grid, _) = candidate[0][0];
            let term = Term { scale: found[0], lo: grid.lo(), hi: grid.hi() };
            let (mut moved, mut normal) = (codes.clone(), Normal::new(1));
            for (&(group, row), codes) in unit.rows.iter().zip(&mut moved) {
                let Known { statistics, targets, through, .. } = &known[group];
                let again = || statistics.through(&integers(codes));
                let mut product = product.clone().unwrap_or_else(again);
                polish(statistics, &through[row], term, codes, &mut product);
                normal.add(&targets[row], &through[row], &[integers(codes)], &[product]);
            }
            let (again, less) = normal.solve(&found);
            if less < error {
                errors.moved = Some(less);
                (found, error, codes) = (again, less, moved);
            }
        }
        Solution {
            error,
            scales: found.chunks(treatment.terms).map(<[f64]>::to_vec).collect(),
            grids: candidate.iter().map(|terms| terms.iter().map(|&(grid, _)| grid).collect()).collect(),
            codes,
            errors,
        }
    };
    candidates.iter().zip(found).map(solution).collect()
}

/// What one candidate has come to so far.
struct Attempt {
    /// `[row][term, feature]`.
    codes: Vec<Vec<i32>>,
    normal: Normal,
    /// The metric times the integers, where there is but one row and one scale.
    product: Option<Vec<f64>>,
}

impl Attempt {
    fn new(scales: usize) -> Self {
        Self { codes: Vec::new(), normal: Normal::new(scales), product: None }
    }
}

fn integers(codes: &[i32]) -> Vec<f64> {
    codes.iter().map(|&code| f64::from(code)).collect()
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
