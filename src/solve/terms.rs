//! The codes of one weight tensor under a partition: for each group the scale, and the zero point, of least squared
//! error (paper, section 3: constrained MMSE).

use super::balance::balance;
use crate::mmse::{Grid, NotFinite, Search, encode};
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

/// One quantized tensor for `values`, in the groups of `partition`. With a `plane`, the rounding errors of each group
/// are made to cancel: `plane` is the number of neighbours that meet the same input.
pub(super) fn fit_term(
    values: &[f32],
    storage: Storage,
    partition: Partition,
    groups: &Groups,
    plane: Option<usize>,
) -> Result<WeightTerm, NotFinite> {
    let grids = grids(storage);
    let (lowest, _) = storage.range();
    let mut search = Search::new();
    let (mut kernel, mut codes) = (Vec::new(), Vec::new());
    let (mut scales, mut zero_points) = (Vec::new(), Vec::new());
    let mut stored = vec![0i16; values.len()];
    for members in groups.members() {
        kernel.clear();
        kernel.extend(members.iter().map(|&at| values[at]));
        let fit = search.fit_best(&kernel, None, &grids)?;
        let zero_point = lowest - fit.grid.lo();
        codes.clear();
        encode(&kernel, fit.scale, fit.grid, &mut codes);
        if let Some(plane) = plane {
            balance(&kernel, fit.scale, fit.grid, plane, &mut codes);
        }
        members.iter().zip(&codes).for_each(|(&at, code)| stored[at] = (code + zero_point) as i16);
        scales.push(fit.scale);
        zero_points.push(zero_point as i16);
    }
    Ok(WeightTerm {
        storage,
        partition,
        scales,
        zero_points,
        codes: Codes { bits: storage.bits(), values: stored },
    })
}

/// Grids and scales of several terms that together approximate `values`: each fits what those before it leave.
pub(super) fn scales_of_several(values: &[f32], storage: Storage, terms: usize) -> Option<Vec<(Grid, f64)>> {
    let grids = grids(storage);
    let mut search = Search::new();
    let mut left = values.to_vec();
    let mut found = Vec::new();
    let mut codes = Vec::new();
    for _ in 0..terms {
        let fit = search.fit_best(&left, None, &grids).ok()?;
        codes.clear();
        encode(&left, fit.scale, fit.grid, &mut codes);
        left.iter_mut().zip(&codes).for_each(|(left, &code)| *left -= fit.scale * code as f32);
        found.push((fit.grid, f64::from(fit.scale)));
    }
    Some(found)
}

/// Sum of squared differences, and of squares of the first.
pub(super) fn losses(values: &[f32], decoded: &[f32]) -> (f64, f64) {
    let pairs = values.iter().zip(decoded).map(|(&value, &decoded)| (f64::from(value), f64::from(decoded)));
    pairs.fold((0.0, 0.0), |(error, energy), (value, decoded)| {
        (error + (value - decoded).powi(2), energy + value * value)
    })
}
