//! The codes of one weight tensor under a partition: for each group the scale, and the zero point, of least squared
//! error (paper, section 3: constrained MMSE).

use super::balance::balance;
use crate::mmse::{Fit, Grid, MultiSearch, NotFinite, Search, Term, encode, encode_multi, fit_min_max};
use crate::options::{CodeType, HELD};
use crate::plan::Partition;

/// How weights are to be written, as far as the search is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scheme {
    pub kind: Kind,
    pub partition: Partition,
    /// How many quantized tensors are added up.
    pub terms: usize,
    /// Whether scales are those at which nothing clips.
    pub min_max: bool,
}

/// A type of codes, whether its zero point is 0 in any case, and whether its range is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub code_type: CodeType,
    pub symmetric: bool,
    /// Whether codes keep within [`HELD`], which is for signed 8-bit ones.
    pub held: bool,
}

impl Kind {
    /// The smallest code of the plain grid, whose zero point is 0 or, of unsigned codes, in the middle.
    pub fn lowest(self) -> i32 {
        if self.held { HELD.0 } else { self.code_type.range().0 }
    }

    /// The zero point, as it is stored, of codes of `grid`.
    pub fn zero_point(self, grid: Grid) -> i16 {
        (self.lowest() - grid.lo()) as i16
    }
}

/// Zero points that are searched, of an unsigned type that has more of them: a search of each costs as much as one of a
/// whole type without, and the more codes there are, the less a zero point a few codes away costs.
const ZERO_POINTS: i32 = 16;

/// The grids that a type offers by its zero point, the plain one first.
pub(super) fn grids(kind: Kind) -> Vec<Grid> {
    let bits = kind.code_type.bits();
    if let (true, Some(grid)) = (kind.held, Grid::new(HELD.0, HELD.1)) {
        return vec![grid];
    }
    match kind.code_type {
        _ if kind.symmetric => vec![Grid::signed(bits)],
        wide if wide.bits() >= 8 => vec![Grid::signed(bits)],
        signed if signed.is_signed() => vec![Grid::signed(bits), Grid::flipped(bits)],
        unsigned => {
            let (_, highest) = unsigned.range();
            let (middle, step) = ((highest + 1) / 2, ((highest + 1) / ZERO_POINTS).max(1));
            // Both ends are among them: values of one sign use all codes.
            let mut zero_points: Vec<i32> = (0..=highest).step_by(step as usize).chain([highest]).collect();
            zero_points.dedup();
            // From the middle outwards: among equals the nearest to symmetric wins.
            zero_points.sort_by_key(|&zero_point| (zero_point - middle).abs());
            zero_points.into_iter().map(|zero_point| Grid::offset(bits, zero_point)).collect()
        }
    }
}

/// Buffers of searches, kept from one group to the next.
#[derive(Debug, Default)]
pub(super) struct SearchBuffers {
    pub one: Search,
    several: MultiSearch,
    /// The values of one group.
    pub kernel: Vec<f32>,
}

/// Scales and zero points of a single term that were found before, one a group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub kind: Kind,
    pub partition: Partition,
    pub scales: Vec<f32>,
    pub zero_points: Vec<i16>,
}

impl Found {
    /// What is known of `group` where this is of the same `scheme`.
    pub fn of(&self, group: usize, scheme: Scheme) -> Option<(f32, Grid)> {
        let same = self.kind == scheme.kind && self.partition == scheme.partition;
        if !same || scheme.terms != 1 || scheme.min_max {
            return None;
        }
        let (&scale, &zero_point) = (self.scales.get(group)?, self.zero_points.get(group)?);
        let lowest = scheme.kind.lowest() - i32::from(zero_point);
        Some((scale, grids(scheme.kind).into_iter().find(|grid| grid.lo() == lowest)?))
    }
}

/// The terms of one group in `scheme`, whose scale may be `known`; with a `plane`, the rounding errors that are left are made
/// to cancel: `plane` is the number of neighbours that meet the same input.
pub(super) fn parts(
    kernel: &[f32],
    scheme: Scheme,
    plane: Option<usize>,
    known: Option<(f32, Grid)>,
    buffers: &mut SearchBuffers,
) -> Result<Vec<Part>, NotFinite> {
    if let Some((scale, grid)) = known {
        return Ok(vec![part(kernel, scale, grid, plane)]);
    }
    let grids = grids(scheme.kind);
    let fit = match scheme.terms {
        1 if scheme.min_max => least_of_min_max(kernel, &grids)?,
        1 => buffers.one.fit_best(kernel, None, &grids)?,
        count => return several(kernel, &mut buffers.several, &grids, count, plane),
    };
    Ok(vec![part(kernel, fit.scale, fit.grid, plane)])
}

/// The relative squared error that is left of one group by `terms` of least error, and its energy: see [`parts`].
pub(super) fn lost(
    kernel: &[f32],
    kind: Kind,
    terms: usize,
    buffers: &mut SearchBuffers,
) -> Result<Lost, NotFinite> {
    let grids = grids(kind);
    if terms == 1 {
        let Fit { scale, grid, error, energy } = buffers.one.fit_best(kernel, None, &grids)?;
        return Ok(Lost { error, energy, scale, zero_point: kind.zero_point(grid) });
    }
    let fit = buffers.several.fit(kernel, None, &grids, terms)?;
    Ok(Lost { error: fit.error, energy: fit.energy, scale: 1.0, zero_point: 0 })
}

/// What one group loses, and at which scale where that is one.
pub(super) struct Lost {
    pub error: f64,
    pub energy: f64,
    pub scale: f32,
    pub zero_point: i16,
}

/// The grid that a scale at which nothing clips fits best.
fn least_of_min_max(values: &[f32], grids: &[Grid]) -> Result<Fit, NotFinite> {
    let fits = grids.iter().map(|&grid| fit_min_max(values, grid)).collect::<Result<Vec<Fit>, _>>()?;
    let best = fits.into_iter().min_by(|one, other| one.error.total_cmp(&other.error));
    best.map_or_else(|| fit_min_max(values, Grid::signed(4)), Ok)
}

/// One group of one term.
#[derive(Debug)]
pub(super) struct Part {
    pub scale: f32,
    pub grid: Grid,
    pub codes: Vec<i32>,
}

fn part(values: &[f32], scale: f32, grid: Grid, plane: Option<usize>) -> Part {
    let mut codes = Vec::new();
    encode(values, scale, grid, &mut codes);
    if let Some(plane) = plane {
        balance(values, scale, grid, plane, &mut codes);
    }
    Part { scale, grid, codes }
}

/// The nearest codes of `values` at the scales and grids of `terms`.
pub(super) fn encode_parts(values: &[f32], terms: &[(f32, Grid)], codes: &mut Vec<Vec<i32>>) {
    let terms: Vec<Term> = terms.iter().map(|&(scale, grid)| Term { scale, grid }).collect();
    match terms[..] {
        [Term { scale, grid }] => {
            codes.resize_with(1, Vec::new);
            encode(values, scale, grid, &mut codes[0]);
        }
        _ => encode_multi(values, &terms, codes),
    }
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
pub(super) fn scales_of_several(values: &[f32], kind: Kind, terms: usize) -> Option<Vec<(Grid, f64)>> {
    let fit = MultiSearch::new().fit(values, None, &grids(kind), terms).ok()?;
    Some(fit.terms.iter().map(|term| (term.grid, f64::from(term.scale))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{Floats, tensor_f32};
    use crate::solve::pieces::tests::bell;
    use crate::solve::pieces::{fit_terms, losses};

    fn relative(values: &[f32], dims: &[i64], partition: Partition, count: usize) -> f64 {
        let groups = partition.groups(dims).unwrap();
        let tensor = tensor_f32("w", dims, values);
        let values = Floats::of(&tensor).unwrap();
        let scheme = Scheme {
            kind: Kind { code_type: CodeType::Int4, symmetric: false, held: false },
            partition,
            terms: count,
            min_max: false,
        };
        let terms = fit_terms(&values, &groups, scheme, None, None).unwrap().unwrap();
        assert_eq!(terms.len(), count);
        let (error, energy) = losses(&values, &terms, dims);
        error / energy
    }

    #[test]
    fn one_term_of_a_gaussian_loses_what_theory_says_and_two_far_less() {
        let values = bell(64 * 256, 12);
        let one = relative(&values, &[64, 256], Partition::Tensor, 1);
        // 16 evenly spaced levels at their best leave 0.01154 of a Gaussian's energy.
        assert!((one - 0.0115).abs() < 0.001, "{one}");
        let two = relative(&values, &[64, 256], Partition::Tensor, 2);
        assert!(two < one / 50.0, "{two}");
    }

    #[test]
    fn each_width_offers_grids_of_its_own_codes() {
        for bits in [2, 3, 4, 5, 6, 8] {
            for code_type in [CodeType::Int8.with_bits(bits), CodeType::Uint8.with_bits(bits)] {
                let kind = Kind { code_type, symmetric: false, held: false };
                let (lowest, highest) = code_type.range();
                let grids = grids(kind);
                assert_eq!(grids[0], Grid::signed(bits), "{code_type}");
                for grid in &grids {
                    assert_eq!(grid.levels(), 1 << bits, "{code_type}");
                    assert!((lowest..=highest).contains(&i32::from(kind.zero_point(*grid))), "{code_type}");
                }
                let ends = [Grid::offset(bits, 0), Grid::offset(bits, highest)];
                match (code_type.is_signed(), bits) {
                    (_, 8) => assert_eq!(grids.len(), 1),
                    (true, _) => assert_eq!(grids[1..], [Grid::flipped(bits)]),
                    (false, 2..=4) => assert_eq!(grids.len(), 1 << bits),
                    (false, _) => assert!(grids.len() == 17 && ends.iter().all(|end| grids.contains(end))),
                }
            }
        }
    }

    #[test]
    fn each_bit_takes_most_of_the_noise_away() {
        let values = bell(16 * 64, 12);
        let tensor = tensor_f32("w", &[16, 64], &values);
        let values = Floats::of(&tensor).unwrap();
        let partition = Partition::Channel { axis: 0 };
        let groups = partition.groups(&[16, 64]).unwrap();
        for unsigned in [false, true] {
            let lost = [2, 3, 4, 5, 6].map(|bits| {
                let base = if unsigned { CodeType::Uint8 } else { CodeType::Int8 };
                let kind = Kind { code_type: base.with_bits(bits), symmetric: false, held: false };
                let scheme = Scheme { kind, partition, terms: 1, min_max: false };
                let terms = fit_terms(&values, &groups, scheme, Some(1), None).unwrap().unwrap();
                let (lowest, highest) = kind.code_type.range();
                let codes = || terms[0].codes.iter().map(i32::from);
                assert!(codes().all(|code| (lowest..=highest).contains(&code)), "{bits}");
                assert!(codes().min() == Some(lowest) && codes().max() == Some(highest), "{bits}");
                let (error, energy) = losses(&values, &terms, &[16, 64]);
                let found = Found {
                    kind,
                    partition,
                    scales: terms[0].scales.clone(),
                    zero_points: terms[0].zero_points.clone(),
                };
                let again = fit_terms(&values, &groups, scheme, Some(1), Some(&found)).unwrap().unwrap();
                assert_eq!(again[0].codes, terms[0].codes, "{bits}");
                error / energy
            });
            assert!(lost.windows(2).all(|pair| (2.0..5.0).contains(&(pair[0] / pair[1]))), "{lost:?}");
        }
    }

    #[test]
    fn held_codes_keep_within_their_range_and_use_all_of_it() {
        let values = bell(16 * 64, 12);
        let tensor = tensor_f32("w", &[16, 64], &values);
        let values = Floats::of(&tensor).unwrap();
        let partition = Partition::Channel { axis: 0 };
        let groups = partition.groups(&[16, 64]).unwrap();
        let fitted = |held: bool, min_max: bool| {
            let kind = Kind { code_type: CodeType::Int8, symmetric: false, held };
            let scheme = Scheme { kind, partition, terms: 1, min_max };
            let mut terms = fit_terms(&values, &groups, scheme, Some(1), None).unwrap().unwrap();
            let term = terms.remove(0);
            assert!(term.zero_points.iter().all(|&zero| zero == 0));
            let most = term.codes.iter().map(|code| i32::from(code).abs()).max().unwrap();
            let (error, energy) = losses(&values, std::slice::from_ref(&term), &[16, 64]);
            let found =
                Found { kind, partition, scales: term.scales.clone(), zero_points: term.zero_points.clone() };
            let again = fit_terms(&values, &groups, scheme, Some(1), Some(&found)).unwrap().unwrap();
            assert_eq!(again[0].scales, term.scales);
            (most, error / energy)
        };
        for min_max in [false, true] {
            let ((full, exact), (held, coarse)) = (fitted(false, min_max), fitted(true, min_max));
            assert!(full > HELD.1 && held == HELD.1, "{full} {held}");
            // One bit less has four times the noise, clipping aside.
            assert!((3.0..5.0).contains(&(coarse / exact)), "{coarse} {exact}");
        }
    }

    #[test]
    fn finer_partitions_lose_less() {
        let values = bell(16 * 64, 12);
        let lost = |partition| relative(&values, &[16, 64], partition, 1);
        let [tensor, channel, block] =
            [Partition::Tensor, Partition::Channel { axis: 0 }, Partition::Block { axis: 1, size: 8 }]
                .map(lost);
        assert!(tensor > channel && channel > block, "{tensor} {channel} {block}");
        assert!(lost(Partition::Block { axis: 1, size: 1 }) < 1e-12, "one scale a weight is exact");
    }
}
