//! The range of one activation: scale and zero point of least squared error on what calibration
//! saw, zero exactly representable (paper, section 3; padding relies on the exact zero).

use super::treatment::Layer;
use super::{Solver, expect, weights};
use crate::error::Result;
use crate::mmse::{Histogram, MultiRangeFit, fit_range_min_max, fit_range_multi, fit_range_symmetric};
use crate::onnx::{Index, floats};
use crate::options::{CodeType, Placement, Scales, Spelling};
use crate::plan::{
    ActivationDecision, ActivationSite, ActivationTerm, Decision, Float, Keep, Kernel, Layout, Origin, Read,
    Reason, Reasons, TwoTerms, WeightSite, Why,
};

impl Solver<'_> {
    /// How much an error in each channel of a coarse activation moves the output of its readers: the axis of channels
    /// (`usize::MAX` for the last) and the squared norm of the weights that each meets, in whole parts of the largest.
    /// `None` where the form that is asked for is fine enough without, or channels are not to be told apart.
    ///
    /// # Errors
    /// As [`super::solve`].
    pub fn worth_of_channels(&self, site: &ActivationSite) -> Result<Option<(usize, Vec<u64>)>> {
        let mut sites = Vec::new();
        for read in &site.reads {
            if let Some(at) = self.layer_of(read) {
                let layer = &self.layers[at];
                if layer.activation.is_none_or(|code_type| code_type.bits() > 4) {
                    return Ok(None);
                }
                sites.push((&self.analysis.weights[at], read.at));
            }
        }
        worth_of_channels(&sites, &self.index)
    }

    /// Decides on an activation from the histogram of its values, and from another in which each counts by its effect, if there is
    /// one; `None` where it stays float.
    ///
    /// # Errors
    /// As [`super::solve`].
    pub fn activation(
        &mut self,
        site: &ActivationSite,
        histogram: Option<&Histogram>,
        weighted: Option<&Histogram>,
    ) -> Result<Option<ActivationDecision>> {
        let mut readers = Vec::new();
        for read in &site.reads {
            if let Some(at) = self.layer_of(read) {
                let quantized = weights::obstacle(&self.analysis.weights[at], &self.index)?.is_none();
                let layer = &self.layers[at];
                readers.push((read, layer, quantized && layer.weights.is_some()));
            }
        }
        let made = self.made(site)?;
        let seen = Seen {
            histogram,
            weighted,
            min_max: self.options.scales == Scales::MinMax,
            symmetric: self.options.symmetric_activations,
            bounds: self.bounds(site)?,
        };
        match solve(site, &readers, &made, &seen) {
            Ok(mut decision) => {
                if decision.returned && self.is_split(site) {
                    decision.returned = false;
                    decision.reason.push(Reason::FloatOutput(Why::Split));
                    if decision.reads.is_empty() {
                        self.leave(site, Keep::FloatBecause(Why::Split));
                        return Ok(None);
                    }
                }
                if let (Some(notes), Some(histogram)) = (self.shared.notes, histogram) {
                    notes.activation(&decision, histogram);
                }
                self.decisions.push(Decision::Activation(decision.clone()));
                Ok(Some(decision))
            }
            Err(reason) => {
                self.leave(site, reason);
                Ok(None)
            }
        }
    }

    /// Whether the activation at `site` is the output of a layer that is written as several.
    fn is_split(&self, site: &ActivationSite) -> bool {
        let Origin::Layer(at) = site.origin else { return false };
        let treatment = self.layer_at(at).and_then(|place| self.layers[place].weights.as_ref());
        let several = treatment.is_some_and(|it| it.terms > 1 && it.spelling == Spelling::Branches);
        several && self.index.producer_at(&site.tensor) == Some(at)
    }

    /// The ends of the Clip that the activation at `site` comes from, where codes may take its place.
    fn bounds(&self, site: &ActivationSite) -> Result<Option<(f64, f64)>> {
        let clip = self.index.producer(&site.tensor).filter(|node| node.op_type() == "Clip");
        match clip.filter(|_| self.options.placement >= Placement::Outputs) {
            Some(node) => expect::bounds(&self.index, node),
            None => Ok(None),
        }
    }

    /// What makes the activation at `site`.
    fn made(&self, site: &ActivationSite) -> Result<Made<'_>> {
        let low = |tensor: &String| {
            self.decisions.iter().find_map(|decision| match decision {
                Decision::Activation(activation) if activation.tensor == *tensor => Some(activation),
                _ => None,
            })
        };
        let code_type = |decision: &ActivationDecision| decision.terms.first().map(|term| term.code_type);
        Ok(match &site.origin {
            Origin::Any => Made::Float,
            Origin::Moved(source) => low(source).map_or(Made::Float, Made::Moved),
            Origin::Operator(inputs) => {
                let all =
                    inputs.iter().map(|input| low(input).and_then(code_type)).collect::<Option<Vec<_>>>();
                all.and_then(|all| all.first().copied()).map_or(Made::Float, Made::Low)
            }
            Origin::Layer(at) => {
                let Some(place) = self.layer_at(*at) else { return Ok(Made::Float) };
                let layer = &self.layers[place];
                let whole = weights::obstacle(&self.analysis.weights[place], &self.index)?.is_none();
                let low = layer.activation.filter(|_| whole && layer.weights.is_some());
                low.map_or(Made::Float, Made::Low)
            }
        })
    }
}

/// One read of an activation, the layer that reads it, and whether that layer's weights are quantized or will be.
pub(super) type Reader<'l> = (&'l Read, &'l Layer, bool);

/// What an activation is fitted to, and how.
pub(super) struct Seen<'h> {
    pub histogram: Option<&'h Histogram>,
    /// The same with each channel counted by what its errors do.
    pub weighted: Option<&'h Histogram>,
    pub min_max: bool,
    pub symmetric: bool,
    /// The ends of a Clip that the values come from, where codes are to take its place.
    pub bounds: Option<(f64, f64)>,
}

/// What makes an activation, as far as it was decided.
pub(super) enum Made<'d> {
    /// In float, or by whatever.
    Float,
    /// In integers: it may be low-bit even where no layer asks for it, with these codes.
    Low(CodeType),
    /// Moved from another, whose decision this is.
    Moved(&'d ActivationDecision),
}

/// The decision on `site`, or why it stays float.
pub(super) fn solve(
    site: &ActivationSite,
    readers: &[Reader],
    made: &Made,
    seen: &Seen,
) -> std::result::Result<ActivationDecision, Keep> {
    let asked: Vec<_> = readers
        .iter()
        .filter_map(|&(read, layer, met)| Some((read, layer, met, layer.activation?)))
        .collect();
    let none_asks = asked.is_empty();
    // Where weights were meant to be float, activations alone are low-bit; where they had to stay so, neither is.
    let taken: Vec<_> =
        asked.into_iter().filter(|(_, layer, met, _)| *met || layer.weights.is_none()).collect();
    let asked = widest(taken.iter().map(|&(_, _, _, code_type)| code_type));
    let mut between = None;
    let code_type = match (asked, made) {
        (Some(code_type), _) => code_type,
        (None, Made::Low(code_type)) => {
            between = Some(Reason::BetweenIntegers);
            code_type.with_bits(code_type.bits().max(8))
        }
        (None, Made::Moved(source)) => source.terms.first().map_or(CodeType::Uint8, |term| term.code_type),
        (None, Made::Float) if readers.is_empty() => return Err(Keep::MadeInFloat),
        (None, Made::Float) if none_asks => {
            let why = readers.iter().find_map(|(_, layer, _)| layer.activation_why.clone());
            return Err(why.map_or(Keep::FloatAsked, Keep::FloatBecause));
        }
        (None, Made::Float) => return Err(Keep::WeightsKept),
    };
    let histogram = seen.histogram.filter(|histogram| histogram.count() > 0).ok_or(Keep::NoStatistics)?;
    let weighted = seen.weighted.filter(|weighted| weighted.count() > 0);
    // 16 bits leave nothing for a second term.
    let fine = code_type.bits() > 8 || seen.min_max || seen.symmetric;
    let count = taken.iter().map(|(_, layer, _, _)| layer.activation_terms).max().unwrap_or(1);
    let count = if fine { 1 } else { count };
    let fit = match (seen.min_max, seen.symmetric) {
        (true, symmetric) => fit_range_min_max(histogram, code_type.bits(), symmetric),
        (false, true) => {
            let fit = fit_range_symmetric(weighted.unwrap_or(histogram), code_type.bits());
            MultiRangeFit { terms: vec![(fit.scale, fit.zero_point)], error: fit.error, energy: fit.energy }
        }
        (false, false) => fit_range_multi(weighted.unwrap_or(histogram), code_type.bits(), count),
    };
    let (lowest, _) = code_type.range();
    let lost = !fit.terms.iter().all(|&(scale, _)| site.float.holds(scale));
    let mut wide_scales = site.wide_scales || lost;
    let float = if wide_scales { Float::Float } else { site.float };
    let term = |&(scale, zero_point): &(f32, i32)| ActivationTerm {
        code_type,
        scale: float.round_scale(scale),
        zero_point: (zero_point + lowest) as i16,
    };
    let mut terms: Vec<ActivationTerm> = fit.terms.iter().map(term).collect();
    let held = match (&mut terms[..], seen.bounds) {
        ([term], Some(bounds)) => hold(term, float, bounds),
        _ => false,
    };
    let mut sqnr_db = (fit.error > 0.0 && fit.energy > 0.0).then(|| 10.0 * (fit.energy / fit.error).log10());
    let same =
        |source: &&ActivationDecision| matches!(source.terms[..], [term] if term.code_type == code_type);
    let mut reason: Reasons = match made {
        Made::Moved(source) if count == 1 && same(source) => {
            terms.clone_from(&source.terms);
            wide_scales = source.wide_scales;
            // What is moved lies on the codes already.
            sqnr_db = None;
            Reasons::from_iter([Reason::MovedFrom(source.tensor.clone())])
        }
        _ => {
            let calibrated = Reason::Calibrated { min_max: seen.min_max };
            std::iter::once(calibrated).chain(between).chain(held.then_some(Reason::WithinClip)).collect()
        }
    };
    if weighted.is_some() && !seen.min_max {
        reason.push(Reason::ChannelsWeighted);
    }
    if count > 1 {
        reason.push(Reason::TwoTerms(TwoTerms::Asked));
    }
    if taken.iter().any(|&(_, _, _, other)| other != code_type) {
        reason.push(Reason::Widest);
    }
    if let Some(why) = taken.iter().find_map(|(_, layer, ..)| layer.activation_why.as_ref()) {
        reason.push(Reason::Type(Some(code_type), why.clone()));
    }
    if lost {
        reason.push(Reason::WideScale);
    }
    // Four bits are for layers that were chosen with them in mind, unless the values are such codes already.
    let all = count == 1 && (code_type.bits() > 4 || asked.is_none());
    let followers = site.followers.iter().filter(|_| all);
    // Where integers come out there is no float value left to be read.
    let others = site.reads.iter().filter(|_| all && !matches!(made, Made::Float));
    let others = others.filter(|read| !taken.iter().any(|(other, ..)| other == read));
    let reads = taken.iter().map(|&(read, ..)| read).chain(followers).chain(others);
    let mut reads: Vec<Read> = reads.cloned().collect();
    reads.sort_by_key(|read| (read.at, read.slot));
    let returned = site.returned && all && !matches!(made, Made::Float);
    if reads.is_empty() && !returned {
        return Err(Keep::MadeInFloat);
    }
    Ok(ActivationDecision {
        tensor: site.tensor.clone(),
        float: site.float,
        wide_scales,
        reads,
        returned,
        terms,
        range: (histogram.min().unwrap_or(0.0), histogram.max().unwrap_or(0.0)),
        sqnr_db,
        reason,
    })
}

/// Makes the scale small enough for all codes to lie within `bounds`, so that saturation does what a Clip to these does. Whether
/// that changed it.
fn hold(term: &mut ActivationTerm, float: Float, (lo, hi): (f64, f64)) -> bool {
    let (lowest, highest) = term.code_type.range();
    let steps = |code: i32| (code - i32::from(term.zero_point)) as f32;
    let (below, above) = (steps(lowest), steps(highest));
    let fits = |scale: f32| f64::from(below * scale) >= lo && f64::from(above * scale) <= hi;
    if fits(term.scale) || lo > 0.0 || hi <= 0.0 || (lo == 0.0 && below < 0.0) {
        return false;
    }
    let most = [lo / f64::from(below), hi / f64::from(above)].into_iter().filter(|most| *most > 0.0);
    let most = most.fold(f64::INFINITY, f64::min) as f32;
    // Rounding goes up at times: then less, by a step of FLOAT, FLOAT16 or BFLOAT16.
    let less = [0.0, 2f32.powi(-23), 2f32.powi(-10), 2f32.powi(-7)];
    let scales = less.into_iter().map(|less| float.round_scale(most * (1.0 - less)));
    match scales.into_iter().find(|&scale| fits(scale) && scale.is_normal()) {
        Some(scale) => {
            term.scale = scale;
            true
        }
        None => false,
    }
}

/// Parts of the largest channel's worth in which others are counted.
const PARTS: f64 = 64.0;

/// See [`super::Solver::worth_of_channels`]: for weights and the position of the reader that multiplies with them.
pub(super) fn worth_of_channels(
    sites: &[(&WeightSite, usize)],
    index: &Index,
) -> Result<Option<(usize, Vec<u64>)>> {
    let mut whole: Option<(usize, Vec<f64>)> = None;
    for (site, at) in sites {
        let kernel = site.readers.iter().find(|reader| reader.read.at == *at).map(|reader| &reader.kernel);
        let (Some(kernel), Some(tensor)) = (kernel, index.constant(&site.tensor)) else { return Ok(None) };
        let Some(layout) = Layout::new(kernel, &site.dims) else { return Ok(None) };
        let values = floats(tensor)?;
        let (axis, offsets) = match kernel {
            Kernel::Conv(_) | Kernel::ConvTranspose(_) => {
                (1, site.dims[2..].iter().product::<i64>() as usize)
            }
            Kernel::Matrix { input_transposed: true, .. } => (0, 1),
            Kernel::Matrix { .. } | Kernel::Other(_) => (usize::MAX, 1),
        };
        let channels = layout.features / offsets.max(1);
        let mut worth = vec![0.0; layout.groups * channels];
        for group in 0..layout.groups {
            for row in 0..layout.rows {
                for (feature, value) in layout.row(&values, group, row).into_iter().enumerate() {
                    worth[group * channels + feature / offsets] += f64::from(value).powi(2);
                }
            }
        }
        match &mut whole {
            None => whole = Some((axis, worth)),
            Some((other, sums)) if *other == axis && sums.len() == worth.len() => {
                sums.iter_mut().zip(&worth).for_each(|(sum, worth)| *sum += worth);
            }
            Some(_) => return Ok(None),
        }
    }
    Ok(whole.and_then(|(axis, worth)| {
        let largest = worth.iter().copied().fold(0.0, f64::max);
        let sound = largest > 0.0 && largest.is_finite();
        let parts = worth.iter().map(|worth| (PARTS * worth / largest).ceil() as u64).collect();
        sound.then_some((axis, parts))
    }))
}

/// The first of those with the most bits: one form serves all readers.
fn widest(code_types: impl Iterator<Item = CodeType>) -> Option<CodeType> {
    code_types.reduce(|widest, code_type| if code_type.bits() > widest.bits() { code_type } else { widest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_held_within_a_clip() {
        let term = ActivationTerm { code_type: CodeType::Uint8, scale: 0.0237, zero_point: 0 };
        let held = |scale: f32, zero_point: i16, bounds: (f64, f64), float: Float| {
            let mut term = ActivationTerm { scale, zero_point, ..term };
            hold(&mut term, float, bounds).then_some(term.scale)
        };
        for float in [Float::Float, Float::Float16, Float::Bfloat16] {
            let scale = held(0.0237, 0, (0.0, 6.0), float).unwrap();
            assert!(scale * 255.0 <= 6.0 && scale * 255.0 > 5.9, "{scale} {float:?}");
            assert_eq!(float.round(scale), scale);
        }
        let scale = held(0.01, 100, (-0.9, 3.0), Float::Float).unwrap();
        assert!(f64::from(-100.0 * scale) >= -0.9 && f64::from(155.0 * scale) <= 3.0);
        assert_eq!(held(0.02, 0, (0.0, 6.0), Float::Float), None, "it fits as it is");
        assert_eq!(held(0.02, 10, (0.0, 6.0), Float::Float), None, "codes below 0 cannot be held at 0");
        assert_eq!(held(0.02, 0, (1.0, 2.0), Float::Float), None, "0 has to have a code");
        assert_eq!(held(0.02, 0, (f64::NEG_INFINITY, f64::INFINITY), Float::Float), None);
    }
}
