//! Weights group by group, in pieces of a size that does not depend on the tensor's: what is read is let go, and codes are
//! written in place.

use rayon::prelude::*;

use super::terms::{Found, Part, Scheme, SearchBuffers, encode_parts, parts};
use crate::error::Result;
use crate::mmse::{Grid, NotFinite};
use crate::onnx::Floats;
use crate::plan::{CodesMut, Float, Groups, Runs, Tile, WeightTerm, decode_sum};

/// Elements of one group up to which all of them are searched for its scale, at some 50 bytes each; of more it is found on
/// a sample, on which the error of a scale hardly differs.
const MOST_SEARCHED: usize = 1 << 21;
/// Elements in such a sample.
const SAMPLE: usize = 1 << 20;
/// Elements that are read at a time.
const READ: usize = 1 << 21;
/// Elements that are searched at a time, however many threads there are.
const TOGETHER: usize = 1 << 20;
/// Elements below which threads cost more than they save.
const ALONE: usize = 1 << 16;
/// Bytes in memory, neighbours of what was read included, after which they are let go.
const HELD: usize = 32 << 20;
/// What the system brings into memory around each byte that is read, at most: a huge page.
const NEIGHBOURS: usize = 2 << 20;

/// The place of the first value that is NaN or infinite.
pub(super) fn first_not_finite(values: &Floats) -> Option<usize> {
    let mut found = None;
    values.pieces(SAMPLE, |start, values| {
        found = values.iter().position(|value| !value.is_finite()).map(|at| start + at);
        if found.is_some() { None } else { Some(()) }
    });
    found
}

/// Sum of squared differences between `values`, which are weights of `dims`, and what `terms` say of them, and of the
/// squares of the first.
pub(super) fn losses(values: &Floats, terms: &[WeightTerm], dims: &[i64]) -> (f64, f64) {
    let mut sums = (0.0, 0.0);
    let mut decoded = vec![0.0; SAMPLE.min(values.len())];
    values.pieces(SAMPLE, |start, values| {
        let decoded = &mut decoded[..values.len()];
        decode_sum(terms, dims, (Float::Float, Float::Float), start, decoded);
        terms.iter().for_each(|term| term.codes.let_go(start..start + values.len()));
        let pairs =
            values.iter().zip(&*decoded).map(|(&value, &decoded)| (f64::from(value), f64::from(decoded)));
        sums = pairs.fold(sums, |(error, energy), (value, decoded)| {
            (error + (value - decoded).powi(2), energy + value * value)
        });
        Some(())
    });
    sums
}

/// Whether groups are so large that their scales are found on samples.
pub(super) fn is_sampled(groups: &Groups) -> bool {
    groups.count() > 0 && groups.runs(0).elements() > MOST_SEARCHED
}

/// Quantized tensors in `scheme` whose sum approximates `values`, in `groups`, which are those of the scheme's partition. With
/// a `plane`, the rounding errors that are left in each group are made to cancel: `plane` is the number of neighbours that
/// meet the same input. What was `found` before is not searched again.
///
/// # Errors
/// [`crate::error::Error::Write`] where the folder for temporary files takes no more; inside, the first value that is not
/// finite.
pub(super) fn fit_terms(
    values: &Floats,
    groups: &Groups,
    scheme: Scheme,
    plane: Option<usize>,
    found: Option<&Found>,
) -> Result<Result<Vec<WeightTerm>, NotFinite>> {
    let lowest = scheme.kind.lowest();
    let mut scales = vec![Vec::with_capacity(groups.count()); scheme.terms];
    let mut zero_points = vec![Vec::with_capacity(groups.count()); scheme.terms];
    let mut codes = vec![CodesMut::zeros(scheme.kind.code_type, values.len()); scheme.terms];
    let each = |group: usize, kernel: &[f32], buffers: &mut SearchBuffers| {
        let plane = plane.filter(|_| groups.runs(group).elements() <= MOST_SEARCHED);
        parts(kernel, scheme, plane, found.and_then(|found| found.of(group, scheme)), buffers)
    };
    let taken = over_groups(values, groups, each, |tile, found| {
        for parts in &found {
            for (at, part) in parts.iter().enumerate() {
                scales[at].push(part.scale);
                zero_points[at].push(scheme.kind.zero_point(part.grid));
            }
        }
        match (tile.runs.elements() > MOST_SEARCHED, found.first()) {
            (true, Some(parts)) => encode_all(values, tile.runs, parts, lowest, &mut codes),
            _ => put(tile, groups, &found, lowest, &mut codes),
        }
    });
    if let Err(fault) = taken {
        return Ok(Err(fault));
    }
    let terms = scales.into_iter().zip(zero_points).zip(codes).map(|((scales, zero_points), codes)| {
        let (code_type, partition) = (scheme.kind.code_type, scheme.partition);
        Ok(WeightTerm { code_type, partition, scales, zero_points, codes: codes.finish()? })
    });
    terms.collect::<Result<Vec<_>>>().map(Ok)
}

/// Calls `each` with the number and the values of each group, or a sample of these where they are too many, and `take` with
/// what came of it, tile by tile in order.
///
/// # Errors
/// The first of `each`, in order.
pub(super) fn over_groups<T: Send>(
    values: &Floats,
    groups: &Groups,
    each: impl Fn(usize, &[f32], &mut SearchBuffers) -> Result<T, NotFinite> + Sync,
    mut take: impl FnMut(&Tile, Vec<T>),
) -> Result<(), NotFinite> {
    let mut elements = Vec::new();
    let mut buffers = SearchBuffers::default();
    for tile in groups.tiles(READ) {
        if tile.runs.elements() > MOST_SEARCHED {
            let sample = sample(values, tile.runs);
            take(&tile, vec![each(tile.groups.start, &sample, &mut buffers)?]);
            continue;
        }
        gather(values, tile.runs, &mut elements);
        let one = |group: usize, buffers: &mut SearchBuffers| {
            let mut kernel = std::mem::take(&mut buffers.kernel);
            kernel.clear();
            let runs = tile.inside(groups.runs(group)).ranges();
            runs.for_each(|run| kernel.extend_from_slice(&elements[run]));
            let found = each(group, &kernel, buffers);
            buffers.kernel = kernel;
            found
        };
        let mut found = Vec::with_capacity(tile.groups.len());
        if elements.len() < ALONE {
            for group in tile.groups.clone() {
                found.push(one(group, &mut buffers)?);
            }
        } else {
            let many = (TOGETHER * tile.groups.len() / elements.len()).max(1);
            for start in tile.groups.clone().step_by(many) {
                let some = start..tile.groups.end.min(start + many);
                let some =
                    some.into_par_iter().map_init(SearchBuffers::default, |buffers, at| one(at, buffers));
                for solved in some.collect::<Vec<_>>() {
                    found.push(solved?);
                }
            }
        }
        take(&tile, found);
    }
    Ok(())
}

/// The elements of `runs`, in order.
fn gather(values: &Floats, runs: Runs, elements: &mut Vec<f32>) {
    elements.clear();
    elements.resize(runs.elements(), 0.0);
    let (mut held, mut from) = (0, runs.start);
    for (range, out) in runs.ranges().zip(elements.chunks_mut(runs.length.max(1))) {
        let end = range.end;
        values.read(range.start, out);
        held += out.len() * values.width() + NEIGHBOURS;
        if held.min((end - from) * values.width()) > HELD {
            values.let_go(from..end);
            (held, from) = (0, end);
        }
    }
    values.let_go(from..runs.ranges().last().map_or(from, |range| range.end));
}

/// Shows the elements of `runs` in pieces, each with the place of its first element in the tensor.
fn in_pieces(values: &Floats, runs: Runs, mut see: impl FnMut(usize, &[f32])) {
    let mut piece = vec![0.0; READ.min(runs.length)];
    for range in runs.ranges() {
        for start in range.clone().step_by(READ) {
            let piece = &mut piece[..READ.min(range.end - start)];
            values.read(start, piece);
            values.let_go(start..start + piece.len());
            see(start, piece);
        }
    }
}

/// One element of each of equal stretches, at a place that follows no rhythm the weights may have, and the two that bound
/// all.
fn sample(values: &Floats, runs: Runs) -> Vec<f32> {
    let stretch = runs.elements().div_ceil(SAMPLE).max(1);
    let place = |number: usize| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % stretch;
    let (mut sample, mut seen) = (Vec::with_capacity(SAMPLE + 2), 0);
    let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
    in_pieces(values, runs, |_, piece| {
        for &value in piece {
            (least, most) = (least.min(value), most.max(value));
        }
        let mut number = seen / stretch;
        while number * stretch < seen + piece.len() {
            let at = number * stretch + place(number);
            sample.extend(at.checked_sub(seen).and_then(|at| piece.get(at)));
            number += 1;
        }
        seen += piece.len();
    });
    sample.extend([least, most]);
    sample
}

/// Writes the codes of all of a tile's groups, row by row where the tile has rows.
fn put(tile: &Tile, groups: &Groups, found: &[Vec<Part>], lowest: i32, codes: &mut [CodesMut]) {
    let stored = |part: &Part, at: usize| (part.codes[at] + lowest - part.grid.lo()) as i16;
    if tile.runs.count == 1 {
        for (group, parts) in tile.groups.clone().zip(found) {
            for (codes, part) in codes.iter_mut().zip(parts) {
                let elements = groups.runs(group).ranges().flatten();
                elements.enumerate().for_each(|(at, element)| codes.set(element, stored(part, at)));
            }
        }
        return;
    }
    // Each group has one run in each row.
    let length = tile.runs.length / tile.groups.len().max(1);
    for (row, range) in tile.runs.ranges().enumerate() {
        for (number, parts) in found.iter().enumerate() {
            for (codes, part) in codes.iter_mut().zip(parts) {
                for at in 0..length {
                    codes.set(range.start + number * length + at, stored(part, row * length + at));
                }
            }
        }
    }
}

/// Writes the codes of a group that is too large to be held, each nearest.
fn encode_all(values: &Floats, runs: Runs, parts: &[Part], lowest: i32, codes: &mut [CodesMut]) {
    let kept: Vec<(f32, Grid)> = parts.iter().map(|part| (part.scale, part.grid)).collect();
    let mut found = Vec::new();
    in_pieces(values, runs, |start, piece| {
        encode_parts(piece, &kept, &mut found);
        for ((found, (_, grid)), codes) in found.iter().zip(&kept).zip(codes.iter_mut()) {
            let stored = found.iter().enumerate().map(|(at, code)| (start + at, code + lowest - grid.lo()));
            stored.for_each(|(at, code)| codes.set(at, code as i16));
        }
    });
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::onnx::tensor_f32;
    use crate::options::CodeType;
    use crate::plan::Partition;
    use crate::solve::terms::Kind;

    /// Bell-shaped values, the same each time, each the sum of `of` uniform ones.
    pub fn bell(count: usize, of: usize) -> Vec<f32> {
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| (0..of).map(|_| uniform()).sum::<f32>()).collect()
    }

    #[test]
    fn tiles_leave_no_trace_in_what_is_found() {
        let dims = [5, 999, 513];
        let weights = bell(5 * 999 * 513, 6);
        let tensor = tensor_f32("w", &dims, &weights);
        let values = Floats::of(&tensor).unwrap();
        let channels = [0, 1, 2].map(|axis| Partition::Channel { axis });
        let blocks = [0, 1, 2].map(|axis| Partition::Block { axis, size: 500 });
        for partition in channels.into_iter().chain(blocks) {
            let groups = partition.groups(&dims).unwrap();
            assert!(groups.tiles(READ).len() > 1);
            let scheme = Scheme {
                kind: Kind { code_type: CodeType::Uint4, symmetric: false, held: false },
                partition,
                terms: 1,
                min_max: true,
            };
            let terms = fit_terms(&values, &groups, scheme, Some(1), None).unwrap().unwrap();
            let [term] = &terms[..] else { panic!("one term") };
            assert_eq!((term.scales.len(), term.codes.len()), (groups.count(), weights.len()));
            for group in [0, groups.count() / 2, groups.count() - 1] {
                let places: Vec<usize> = groups.runs(group).ranges().flatten().collect();
                let kernel: Vec<f32> = places.iter().map(|&at| weights[at]).collect();
                let found = parts(&kernel, scheme, Some(1), None, &mut SearchBuffers::default()).unwrap();
                let codes: Vec<i32> = places.iter().map(|&at| i32::from(term.codes.get(at))).collect();
                let zero = i32::from(term.zero_points[group]);
                let expected: Vec<i32> = found[0].codes.iter().map(|code| code + zero).collect();
                assert!(codes == expected && term.scales[group] == found[0].scale, "{partition:?} {group}");
            }
        }
    }

    #[test]
    fn a_sample_finds_nearly_the_best_scale() {
        let count = MOST_SEARCHED + 4321;
        let mut weights = bell(count, 6);
        weights[count - 2] = 9.0;
        let dims = [count as i64];
        let tensor = tensor_f32("w", &dims, &weights);
        let values = Floats::of(&tensor).unwrap();
        let partition = Partition::Tensor;
        let groups = partition.groups(&dims).unwrap();
        assert!(is_sampled(&groups));
        for terms in [1, 2] {
            let scheme = Scheme {
                kind: Kind { code_type: CodeType::Int4, symmetric: false, held: false },
                partition,
                terms,
                min_max: false,
            };
            let found = fit_terms(&values, &groups, scheme, Some(1), None).unwrap().unwrap();
            let (error, energy) = losses(&values, &found, &dims);
            let lost = error / energy;
            assert!(if terms == 1 { (0.008..0.012).contains(&lost) } else { lost < 0.0005 }, "{lost}");
        }
        let scheme = Scheme {
            kind: Kind { code_type: CodeType::Int4, symmetric: false, held: false },
            partition,
            terms: 1,
            min_max: true,
        };
        let found = fit_terms(&values, &groups, scheme, None, None).unwrap().unwrap();
        assert!(found[0].scales[0] >= 9.0 / 8.0, "the largest is in every sample");
    }
}
