//! Scales and zero points for activations that several low-precision tensors stand for.

use super::encode::nearest;
use super::outline::Outline;
use super::{Grid, Histogram, Search, fit_range};

/// Scales and zero points of several terms for the values of a histogram, and what they cost on it.
///
/// Each term codes what the ones before it leave: `r_0 = x`, `q_j` the code of `r_{j-1} / scale_j`, to the nearest and
/// clipped, `r_j = r_{j-1} - scale_j q_j`. So a chain of QuantizeLinear, DequantizeLinear and Sub computes them as it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiRangeFit {
    /// Scale and zero point of each term, as in [`RangeFit`](super::RangeFit): a normal number above 0, and the unsigned
    /// stored code that means 0.
    pub terms: Vec<(f32, i32)>,
    /// Sum of `r_m^2` over all counted values, each taken to lie at the centre of its bin; zeros cost nothing.
    pub error: f64,
    /// Sum of squares of the same values.
    pub energy: f64,
}

/// Widest terms; two of these resolve 65536 steps, far more than a histogram has bins.
const MOST_BITS: u32 = 8;
/// Widest codes of which all zero points are tried for what the first terms leave.
const ALL_ZERO_POINTS_BITS: u32 = 4;
/// Most codes that the model of the error is asked about, which stand for those of all terms.
const MODEL_CODES: i32 = 256;
/// First zero points that are followed up, each at these multiples of the scale that the model likes best.
const ZERO_POINTS: usize = 4;
const AROUND: [f64; 9] = [1.0, 0.97, 1.03, 0.94, 1.06, 0.9, 1.1, 0.85, 1.15];
/// Where bins are few and the model is poor: bins times trials that are affordable, about 3 ms; ratio of the scales tried,
/// and most of them for one zero point.
const TRIAL_WORK: usize = 400_000;
const TRIAL_RATIO: f64 = 0.985;
const TRIALS: usize = 100;
/// Chains that are refined, in how many rounds at most, with these changes of the first scale.
const REFINED: usize = 3;
const ROUNDS: usize = 12;
const NUDGES: [f64; 8] = [0.98, 1.02, 0.993, 1.007, 0.998, 1.002, 0.9995, 1.0005];
/// Share of the error that a round must gain for another.
const ENOUGH: f64 = 1e-4;

/// One term of a chain.
#[derive(Clone, Copy, Debug)]
struct Link {
    scale: f32,
    grid: Grid,
}

/// A chain and its squared error.
type Chain = (f64, Vec<Link>);

/// Scales and zero points for `terms` terms (at least 1) of `bits` bits each (held to 2..=8 where there are several) of
/// small squared error over `h`.
///
/// One term is [`fit_range`]. Of more the first term's zero point is pinned as there: 0 when no value is negative, the last
/// code when none is positive; the others code what is left, which lies on both sides of 0. 0 is always represented
/// exactly. Never worse than fewer terms. The last term is the exact optimum for what the others leave (at up to 4
/// bits over all zero points, else over the three in the middle); the first one's scale and zero point are a local optimum
/// reached from the best of several hundred starts, within a few percent of an exhaustive search for two 4-bit terms. In
/// general each scale is about `2^bits` of the next, so that two terms do what one of twice the bits would. Where
/// nothing but zeros was counted every scale is 1.
pub fn fit_range_multi(h: &Histogram, bits: u32, terms: usize) -> MultiRangeFit {
    let terms = terms.max(1);
    let bits = if terms == 1 { bits } else { bits.clamp(2, MOST_BITS) };
    let plain = fit_range(h, bits);
    if terms == 1 {
        let (error, energy) = (plain.error, plain.energy);
        return MultiRangeFit { terms: vec![(plain.scale, plain.zero_point)], error, energy };
    }
    let mut chains = Chains::new(h, bits, terms);
    let first = Link { scale: plain.scale, grid: Grid::offset(bits, plain.zero_point) };
    let start = chains.extended(first);
    let mut best = chains.refined(start);
    for start in chains.starts(h) {
        let other = chains.refined(start);
        best = if other.0 < best.0 { other } else { best };
    }
    let terms = best.1.iter().map(|link| (link.scale, -link.grid.lo())).collect();
    MultiRangeFit { terms, error: best.0.min(f64::MAX), energy: plain.energy }
}

/// What chains are searched with.
struct Chains {
    bins: Vec<(f64, f64)>,
    /// What the terms fitted so far leave of each bin.
    rest: Vec<(f64, f64)>,
    heaviest: f64,
    bits: u32,
    terms: usize,
    search: Search,
}

impl Chains {
    fn new(h: &Histogram, bits: u32, terms: usize) -> Self {
        let bins: Vec<(f64, f64)> = h.bins().map(|(centre, count)| (centre, count as f64)).collect();
        let heaviest = bins.iter().fold(1.0f64, |most, bin| most.max(bin.1));
        Self { bins, rest: Vec::new(), heaviest, bits, terms, search: Search::new() }
    }

    /// Zero points that the first term may have.
    fn zero_points(&self, h: &Histogram) -> std::ops::RangeInclusive<i32> {
        let top = Grid::offset(self.bits, 0).hi();
        match (h.min().unwrap_or(0.0), h.max().unwrap_or(0.0)) {
            (min, _) if min >= 0.0 => 0..=0,
            (_, max) if max <= 0.0 => top..=top,
            _ => 0..=top,
        }
    }

    /// The most promising chains.
    fn starts(&mut self, h: &Histogram) -> Vec<Chain> {
        let zero_points = self.zero_points(h);
        let samples = self.search.samples_mut();
        samples.load_weighted(self.bins.iter().copied(), self.heaviest);
        let outline = Outline::of(samples);
        let codes = 1 << self.bits;
        let fine = codes.min(MODEL_CODES / codes).max(2);
        let trials = TRIAL_WORK / (self.bins.len() * zero_points.clone().count()).max(1);
        let mut firsts: Vec<(f64, Grid)> = Vec::new();
        let mut ranked = Vec::new();
        for zero in zero_points {
            let grid = Grid::offset(self.bits, zero);
            // The terms together are one grid of `fine` steps to each of the first term's, and half a step more at the ends.
            let whole =
                Grid::new(grid.lo() * fine - fine / 2, grid.hi() * fine + fine / 2 - 1).unwrap_or(grid);
            let reach = samples.reach(whole) * f64::from(fine);
            let (scale, error) = outline.best_scale(samples.reach(whole), whole);
            ranked.push((error, scale * f64::from(fine), grid));
            let scales = std::iter::successors(Some(reach * 1.05), |scale| Some(scale * TRIAL_RATIO));
            firsts.extend(scales.take(trials.min(TRIALS)).map(|scale| (scale, grid)));
        }
        ranked.sort_by(|one, other| one.0.total_cmp(&other.0));
        for (_, scale, grid) in ranked.into_iter().take(ZERO_POINTS) {
            firsts.extend(AROUND.map(|factor| (scale * factor, grid)));
        }
        let mut starts: Vec<Chain> = firsts
            .into_iter()
            .filter_map(|(scale, grid)| Some(self.judged(self.evenly(scale, grid)?)))
            .collect();
        starts.sort_by(|one, other| one.0.total_cmp(&other.0));
        starts.truncate(REFINED);
        starts
    }

    /// A chain in which each term divides the steps of the one before it evenly.
    fn evenly(&self, scale: f64, grid: Grid) -> Option<Vec<Link>> {
        let mut links = vec![Link { scale: rounded(scale)?, grid }];
        let mut scale = scale;
        for _ in 1..self.terms {
            scale /= f64::from(grid.levels());
            links.push(Link { scale: rounded(scale)?, grid: Grid::signed(self.bits) });
        }
        Some(links)
    }

    fn judged(&self, links: Vec<Link>) -> Chain {
        (self.bins.iter().map(|&(x, count)| count * left(x, &links).powi(2)).sum(), links)
    }

    /// The chain that begins with `first` and goes on with the best single term for what is left, time and again.
    fn extended(&mut self, first: Link) -> Chain {
        let mut links = vec![first];
        while links.len() < self.terms {
            links.push(self.last_for(&links, None));
        }
        self.judged(links)
    }

    /// The exact best term for what `links` leave; with `about`, among its zero point and the two beside it.
    fn last_for(&mut self, links: &[Link], about: Option<Grid>) -> Link {
        self.rest.clear();
        self.rest.extend(self.bins.iter().map(|&(x, count)| (left(x, links), count)));
        self.search.samples_mut().load_weighted(self.rest.iter().copied(), self.heaviest);
        let top = Grid::offset(self.bits, 0).hi();
        let middle = about.map_or(1 << (self.bits - 1), |grid| -grid.lo());
        let zero_points = if about.is_none() && self.bits <= ALL_ZERO_POINTS_BITS {
            0..=top
        } else {
            (middle - 1).max(0)..=(middle + 1).min(top)
        };
        let grids: Vec<Grid> = zero_points.map(|zero| Grid::offset(self.bits, zero)).collect();
        let fit = self.search.best_of(&grids);
        Link { scale: fit.scale, grid: fit.grid }
    }

    /// Better chains near `best`, until none is found: the last term anew, the first term's scale and zero point nudged.
    fn refined(&mut self, mut best: Chain) -> Chain {
        for round in 0..ROUNDS {
            let before = best.0;
            let about = best.1.last().map(|link| link.grid).filter(|_| round > 0);
            let mut links = best.1.clone();
            links.pop();
            let last = self.last_for(&links, about);
            links.push(last);
            self.improve(&mut best, links);
            for factor in NUDGES {
                for whole in [true, false] {
                    let mut links = best.1.clone();
                    let nudged = if whole { links.len() } else { 1 };
                    for link in links.iter_mut().take(nudged) {
                        link.scale = rounded(f64::from(link.scale) * factor).unwrap_or(link.scale);
                    }
                    self.improve(&mut best, links);
                }
            }
            if best.0 >= before * (1.0 - ENOUGH) {
                break;
            }
        }
        best
    }

    fn improve(&self, best: &mut Chain, links: Vec<Link>) {
        let other = self.judged(links);
        if other.0 < best.0 {
            *best = other;
        }
    }
}

/// What a chain leaves of `x`.
fn left(x: f64, links: &[Link]) -> f64 {
    links.iter().fold(x, |rest, link| {
        let scale = f64::from(link.scale);
        let code = (rest / scale).max(f64::from(link.grid.lo())).min(f64::from(link.grid.hi()));
        rest - scale * nearest(code)
    })
}

/// The nearest f32, if it is a normal number.
fn rounded(scale: f64) -> Option<f32> {
    Some(scale as f32).filter(|scale| scale.is_normal())
}
