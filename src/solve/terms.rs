//! The codes of one weight tensor under a partition: for each group the scale, and the zero point, of least squared
//! error (paper, section 3: constrained MMSE).

use super::balance::balance;
use crate::mmse::{Fit, Grid, MultiSearch, NotFinite, Search, Term, encode, encode_multi, fit_min_max};
use crate::options::Storage;
use crate::plan::{Codes, Groups, Partition, WeightTerm};

/// The grids that a storage type offers by its zero point, the plain one first.
pub(super) fn grids(storage: Storage) -> Vec<Grid> {
    let bits = storage.bits();
    match storage {
        Storage::Int4 => vec![Grid::signed(bits), Grid::flipped(bits)],
        Storage::Uint4 => {
            // From the middle outwards: among equals the nearest to symmetric wins.
            let mut zero_points: Vec<i32> = (0..16).collect();
            zero_points.sort_by_key(|&zero_point| (zero_point - 8).abs());
            zero_points.into_iter().map(|zero_point| Grid::offset(bits, zero_point)).collect()
        }
        Storage::Int8 | Storage::Uint8 | Storage::Int16 => vec![Grid::signed(bits)],
    }
}

/// `count` quantized tensors whose sum approximates `values`, in the groups of `partition`. With a `plane`, the rounding
/// errors that are left in each group are made to cancel: `plane` is the number of neighbours that meet the same input.
pub(super) fn fit_terms(
    values: &[f32],
    storage: Storage,
    partition: Partition,
    groups: &Groups,
    count: usize,
    plane: Option<usize>,
    min_max: bool,
) -> Result<Vec<WeightTerm>, NotFinite> {
    let mut terms = vec![empty(values.len(), storage, partition); count];
    let grids = grids(storage);
    let (mut search, mut together) = (Search::new(), MultiSearch::new());
    let mut kernel = Vec::new();
    for members in groups.members() {
        kernel.clear();
        kernel.extend(members.iter().map(|&at| values[at]));
        let parts = match count {
            1 if min_max => vec![part(&kernel, least_of_min_max(&kernel, &grids)?, plane)],
            1 => vec![part(&kernel, search.fit_best(&kernel, None, &grids)?, plane)],
            _ => several(&kernel, &mut together, &grids, count, plane)?,
        };
        for (term, part) in terms.iter_mut().zip(parts) {
            let zero_point = storage.range().0 - part.grid.lo();
            let stored = members.iter().zip(&part.codes);
            stored.for_each(|(&at, code)| term.codes.values[at] = (code + zero_point) as i16);
            term.scales.push(part.scale);
            term.zero_points.push(zero_point as i16);
        }
    }
    Ok(terms)
}

/// The grid that a scale at which nothing clips fits best.
fn least_of_min_max(values: &[f32], grids: &[Grid]) -> Result<Fit, NotFinite> {
    let fits = grids.iter().map(|&grid| fit_min_max(values, grid)).collect::<Result<Vec<Fit>, _>>()?;
    let best = fits.into_iter().min_by(|one, other| one.error.total_cmp(&other.error));
    best.map_or_else(|| fit_min_max(values, Grid::signed(4)), Ok)
}

fn empty(elements: usize, storage: Storage, partition: Partition) -> WeightTerm {
    let codes = Codes { bits: storage.bits(), values: vec![0; elements] };
    WeightTerm { storage, partition, scales: Vec::new(), zero_points: Vec::new(), codes }
}

/// One group of one term.
struct Part {
    scale: f32,
    grid: Grid,
    codes: Vec<i32>,
}

fn part(values: &[f32], fit: Fit, plane: Option<usize>) -> Part {
    let mut codes = Vec::new();
    encode(values, fit.scale, fit.grid, &mut codes);
    if let Some(plane) = plane {
        balance(values, fit.scale, fit.grid, plane, &mut codes);
    }
    Part { scale: fit.scale, grid: fit.grid, codes }
}

/// Several parts, whose codes are chosen together.
fn several(
    values: &[f32],
    search: &mut MultiSearch,
    grids: &[Grid],
    count: usize,
    plane: Option<usize>,
) -> Result<Vec<Part>, NotFinite> {
    let terms = search.fit(values, None, grids, count)?.terms;
    let mut codes = Vec::new();
    encode_multi(values, &terms, &mut codes);
    let finest = (0..terms.len()).min_by(|&one, &other| terms[one].scale.total_cmp(&terms[other].scale));
    if let (Some(plane), Some(finest)) = (plane, finest) {
        let mut left = values.to_vec();
        for (term, codes) in
            terms.iter().zip(&codes).enumerate().filter(|(at, _)| *at != finest).map(|(_, it)| it)
        {
            left.iter_mut().zip(codes).for_each(|(left, &code)| *left -= code as f32 * term.scale);
        }
        balance(&left, terms[finest].scale, terms[finest].grid, plane, &mut codes[finest]);
    }
    let part = |(term, codes): (&Term, Vec<i32>)| Part { scale: term.scale, grid: term.grid, codes };
    Ok(terms.iter().zip(codes).map(part).collect())
}

/// Grids and scales of several terms that together approximate `values`.
pub(super) fn scales_of_several(values: &[f32], storage: Storage, terms: usize) -> Option<Vec<(Grid, f64)>> {
    let fit = MultiSearch::new().fit(values, None, &grids(storage), terms).ok()?;
    Some(fit.terms.iter().map(|term| (term.grid, f64::from(term.scale))).collect())
}

/// Sum of squared differences, and of squares of the first.
pub(super) fn losses(values: &[f32], decoded: &[f32]) -> (f64, f64) {
    let pairs = values.iter().zip(decoded).map(|(&value, &decoded)| (f64::from(value), f64::from(decoded)));
    pairs.fold((0.0, 0.0), |(error, energy), (value, decoded)| {
        (error + (value - decoded).powi(2), energy + value * value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bell-shaped values, the same each time.
    fn bell(count: usize) -> Vec<f32> {
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| (0..12).map(|_| uniform()).sum::<f32>()).collect()
    }

    fn relative(values: &[f32], dims: &[i64], partition: Partition, count: usize) -> f64 {
        let groups = partition.groups(dims).unwrap();
        let terms = fit_terms(values, Storage::Int4, partition, &groups, count, None, false).unwrap();
        assert_eq!(terms.len(), count);
        let mut sum = vec![0.0; values.len()];
        for term in &terms {
            sum.iter_mut().zip(term.decode(dims)).for_each(|(sum, value): (&mut f32, f32)| *sum += value);
        }
        let (error, energy) = losses(values, &sum);
        error / energy
    }

    #[test]
    fn one_term_of_a_gaussian_loses_what_theory_says_and_two_far_less() {
        let values = bell(64 * 256);
        let one = relative(&values, &[64, 256], Partition::Tensor, 1);
        // 16 evenly spaced levels at their best leave 0.01154 of a Gaussian's energy.
        assert!((one - 0.0115).abs() < 0.001, "{one}");
        let two = relative(&values, &[64, 256], Partition::Tensor, 2);
        assert!(two < one / 50.0, "{two}");
    }

    #[test]
    fn finer_partitions_lose_less() {
        let values = bell(16 * 64);
        let lost = |partition| relative(&values, &[16, 64], partition, 1);
        let [tensor, channel, block] =
            [Partition::Tensor, Partition::Channel { axis: 0 }, Partition::Block { axis: 1, size: 8 }]
                .map(lost);
        assert!(tensor > channel && channel > block, "{tensor} {channel} {block}");
        assert!(lost(Partition::Block { axis: 1, size: 1 }) < 1e-12, "one scale a weight is exact");
    }
}
