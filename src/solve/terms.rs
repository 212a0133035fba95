//! The codes of one weight tensor under a partition: for each group the scale, and the zero point, of least squared
//! error (paper, section 3: constrained MMSE).

use super::balance::balance;
use crate::mmse::{Fit, Grid, NotFinite, Search, encode, fit_min_max};
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
        Storage::Int8 | Storage::Uint8 => vec![Grid::signed(bits)],
    }
}

/// `count` quantized tensors whose sum approximates `values`, in the groups of `partition`. With a `plane`, the rounding
/// errors that are left in each group are made to cancel: `plane` is the number of neighbours that meet the same input.
///
/// More than one are fitted greedily, each to what is left; the joint optimum is better.
pub(super) fn fit_terms(
    values: &[f32],
    storage: Storage,
    partition: Partition,
    groups: &Groups,
    count: usize,
    plane: Option<usize>,
) -> Result<Vec<WeightTerm>, NotFinite> {
    let mut terms = vec![empty(values.len(), storage, partition); count];
    let grids = grids(storage);
    let mut search = Search::new();
    let mut kernel = Vec::new();
    for members in groups.members() {
        kernel.clear();
        kernel.extend(members.iter().map(|&at| values[at]));
        let parts = match count {
            1 => vec![part(&kernel, search.fit_best(&kernel, None, &grids)?, plane)],
            _ => greedy(&kernel, &mut search, &grids, count, plane)?,
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

/// Each part fits what the ones before leave. The first one is tried twice: at the scale that is best for itself, which
/// clips, and at the one that clips nothing, which often leaves less to a second.
fn greedy(
    values: &[f32],
    search: &mut Search,
    grids: &[Grid],
    count: usize,
    plane: Option<usize>,
) -> Result<Vec<Part>, NotFinite> {
    let best = search.fit_best(values, None, grids)?;
    let mut firsts = vec![best];
    for &grid in grids {
        firsts.push(fit_min_max(values, grid)?);
    }
    let mut found: Option<(f64, Vec<Part>)> = None;
    for first in firsts {
        let mut parts = vec![part(values, first, None)];
        let mut error = first.error;
        let mut left = values.to_vec();
        while parts.len() < count {
            if let Some(last) = parts.last() {
                let decoded = last.codes.iter().map(|&code| code as f32 * last.scale);
                left.iter_mut().zip(decoded).for_each(|(left, decoded)| *left -= decoded);
            }
            let fit = search.fit_best(&left, None, grids)?;
            error = fit.error;
            let plane = plane.filter(|_| parts.len() + 1 == count);
            parts.push(part(&left, fit, plane));
        }
        if found.as_ref().is_none_or(|(least, _)| error < *least) {
            found = Some((error, parts));
        }
    }
    Ok(found.map(|(_, parts)| parts).unwrap_or_default())
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
        let terms = fit_terms(values, Storage::Int4, partition, &groups, count, None).unwrap();
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
