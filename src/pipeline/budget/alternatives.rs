//! The forms that a tensor may have besides the planned one, and what they are worth.

use crate::error::{Error, Result};
use crate::options::{CodeType, Compensation, Globs, LayerRule, Lift, Options, Spelling, Storage};
use crate::pipeline::Ready;
use crate::pipeline::measure::{stored_bits, weight_bits};
use crate::plan::{ActivationDecision, Analysis, Decision, Expected, Plan, WeightDecision, WeightSite};
use crate::progress::Progress;
use crate::solve::{Rung, Shared, solve};

/// Each bit halves the step of a code, and so divides the noise by four.
const NOISE_A_BIT: f64 = 0.25;
/// Bits of weights below 8 for which there are types.
const NARROW: [u32; 5] = [2, 3, 4, 5, 6];

/// One form of one tensor.
#[derive(Clone)]
pub(super) struct Alternative {
    pub tensor: String,
    pub words: String,
    /// Bytes in the file.
    pub stored: f64,
    pub rules: Vec<LayerRule>,
}

impl Alternative {
    /// The same with the reason that its rules give.
    pub fn because(mut self, why: &Lift) -> Self {
        for rule in &mut self.rules {
            if rule.activations.is_some() {
                rule.activations_why = Some(why.clone());
            } else {
                rule.weights_why = Some(why.clone());
            }
        }
        self
    }
}

/// What all weights would be in other forms, each for itself.
pub(super) struct Others {
    plain: Plan,
    /// From the fewest bits to the most.
    coarser: Vec<Other>,
    finer: Vec<Other>,
}

/// What all weights would be in one form.
struct Other {
    form: Form,
    rule: LayerRule,
    plan: Plan,
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    One(CodeType),
    Two,
}

impl Form {
    fn words(self) -> &'static str {
        match self {
            Self::One(code_type) => code_type.name(),
            Self::Two => "two 4-bit tensors",
        }
    }

    fn rule(self) -> LayerRule {
        match self {
            Self::One(code_type) => {
                LayerRule { weights: Some(Some(code_type)), dual: Some(false), ..LayerRule::default() }
            }
            Self::Two => LayerRule { dual: Some(true), ..LayerRule::default() },
        }
    }

    /// Whether `weight` is in this form.
    fn is_of(self, weight: &WeightDecision) -> bool {
        match (self, &weight.terms[..]) {
            (Self::One(code_type), [term]) => term.code_type == code_type,
            (Self::Two, terms) => terms.len() == 2,
            _ => false,
        }
    }
}

impl Others {
    /// Those of more bits than asked for, and where the file is to be smaller, of fewer.
    pub fn new(
        options: &Options,
        ready: &Ready,
        analysis: &Analysis,
        smaller: bool,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let shared = Shared { measurements: &ready.measurements, progress, notes: None };
        let solved = |rules: Vec<LayerRule>| {
            let layers = rules.into_iter().chain(options.layers.iter().cloned()).collect();
            let alone = Options { compensation: Compensation::None, layers, ..options.clone() };
            solve(
                &ready.opened.model,
                analysis,
                None,
                &alone,
                &Expected::new(),
                ready.subject.clone(),
                shared,
            )
        };
        let plain = solved(Vec::new())?;
        let in_form = |form: Form| {
            // Where sums are not taken it depends on the layer whether it can be dual at all.
            let taken = |site: &WeightSite| match form {
                Form::One(code_type) => has(options, site, code_type, options.activations),
                Form::Two => options.target.dual.contains(&Spelling::Sum),
            };
            let mut rules = Vec::new();
            for site in &analysis.weights {
                let fits = of(&plain, &site.tensor).is_some_and(|weight| may_become(weight, form, options));
                if fits && taken(site) && !has_own_rule(options, site)? {
                    rules.push(LayerRule { matching: Globs::literal(&site.tensor), ..form.rule() });
                }
            }
            Ok::<_, Error>(match rules.is_empty() {
                true => None,
                false => Some(Other { form, rule: form.rule(), plan: solved(rules)? }),
            })
        };
        let all = |forms: Vec<Form>| {
            forms.into_iter().filter_map(|form| in_form(form).transpose()).collect::<Result<Vec<Other>>>()
        };
        let (coarser, finer) = (if smaller { coarser(options) } else { Vec::new() }, finer(options));
        let coarser = all(coarser.into_iter().map(Form::One).collect())?;
        let finer = all(finer.into_iter().map(Form::One).chain([Form::Two]).collect())?;
        Ok(Self { plain, coarser, finer })
    }
}

/// Types of more bits than asked for, from the fewest to the most, of which a file is smaller than of 8 bits; and 8 bits.
pub(super) fn finer(options: &Options) -> Vec<CodeType> {
    let asked = options.weights.unwrap_or(CodeType::Int8);
    let widths = NARROW.into_iter().filter(|&bits| bits > asked.bits() && is_smaller(bits, options.storage));
    widths.map(|bits| asked.with_bits(bits)).chain([CodeType::Int8]).collect()
}

/// Types of fewer bits than asked for, from the fewest to the most, of which a file is smaller.
pub(super) fn coarser(options: &Options) -> Vec<CodeType> {
    // Packed codes stay in the types of ONNX that they were asked for in.
    let asked = options.weights.filter(|_| options.storage != Storage::Packed);
    let Some(asked) = asked else { return Vec::new() };
    let widths = NARROW.into_iter().filter(|&bits| bits < asked.bits() && is_smaller(bits, options.storage));
    widths.map(|bits| asked.with_bits(bits)).collect()
}

/// Whether `storage` has a form for codes of `bits` bits that is smaller than that of 8 bits.
fn is_smaller(bits: u32, storage: Storage) -> bool {
    storage.holds(bits) && stored_bits(bits, storage) < stored_bits(8, storage)
}

/// Whether `weight`, as it is planned, may be put into `form`.
fn may_become(weight: &WeightDecision, form: Form, options: &Options) -> bool {
    let bits: u32 = weight.terms.iter().map(|term| term.code_type.bits()).sum();
    match form {
        Form::One(code_type) if code_type.bits() >= 8 || code_type.bits() > bits => true,
        // First and last layers, and what has two terms, are as they are for a reason.
        Form::One(code_type) => {
            code_type.bits() < bits && options.weights.is_some_and(|asked| Form::One(asked).is_of(weight))
        }
        // Two terms are a form of 4-bit weights only.
        Form::Two => weight.terms.iter().all(|term| term.code_type.bits() == 4),
    }
}

/// Whether the target takes all readers of `site` with such weights and activations.
pub(in crate::pipeline) fn has(
    options: &Options,
    site: &WeightSite,
    weights: CodeType,
    activation: Option<CodeType>,
) -> bool {
    let weights = options.storage.of_weights(weights);
    let activation = activation.map(|code_type| options.storage.of_activation(code_type));
    site.reads().all(|read| {
        let float = options.target.has(&read.operator, weights, None);
        float || options.target.has(&read.operator, weights, activation)
    })
}

/// Whether a rule that a person gave says what the weights at `site` are to be.
pub(in crate::pipeline) fn has_own_rule(options: &Options, site: &WeightSite) -> Result<bool> {
    let names: Vec<&str> =
        std::iter::once(site.tensor.as_str()).chain(site.reads().map(|read| read.node.as_str())).collect();
    ruled(options, &names, |rule| rule.weights.is_some() || rule.dual.is_some())
}

fn of<'p>(plan: &'p Plan, tensor: &str) -> Option<&'p WeightDecision> {
    plan.decisions.iter().find_map(|decision| match decision {
        Decision::Weight(weight) if weight.tensor == tensor => Some(weight),
        _ => None,
    })
}

/// Whether a rule that a person gave says something of the layer that reads `tensor`.
fn ruled(options: &Options, names: &[&str], says: impl Fn(&LayerRule) -> bool) -> Result<bool> {
    let patterns: Vec<String> =
        options.layers.iter().filter(|rule| says(rule)).map(|rule| rule.matching.clone()).collect();
    let globs = Globs::new(&patterns)?;
    Ok(names.iter().any(|name| globs.is_match(name)))
}

/// The forms of weights, from the coarsest up, with noise as a share of what the planned one brings, which alone has no rules.
pub(super) fn weights(
    weight: &WeightDecision,
    others: &Others,
    options: &Options,
    analysis: &Analysis,
) -> Result<Vec<(Alternative, Rung)>> {
    let Some(site) = analysis.weights.iter().find(|site| site.tensor == weight.tensor) else {
        return Ok(Vec::new());
    };
    if has_own_rule(options, site)? {
        return Ok(Vec::new());
    }
    let error = |weight: &WeightDecision| weight.sqnr_db.map_or(0.0, |ratio| 10f64.powf(-ratio / 10.0));
    let matching = Globs::literal(&site.tensor);
    let rung = |words: &str, bytes: f64, noise: f64, macs: u64, rule: Option<LayerRule>| {
        let rules = rule.into_iter().map(|rule| LayerRule { matching: matching.clone(), ..rule }).collect();
        let alternative =
            Alternative { tensor: site.tensor.clone(), words: words.into(), stored: bytes, rules };
        (alternative, Rung { bytes, noise, macs })
    };
    let bytes = |weight: &WeightDecision| weight_bits(weight, options.storage) as f64 / 8.0;
    let code_type = weight.terms.first().map_or("", |term| term.code_type.name());
    let first = of(&others.plain, &site.tensor).map_or(0.0, error);
    let other = |Other { form, rule, plan }: &Other| {
        let other = of(plan, &site.tensor).filter(|other| first > 0.0 && form.is_of(other))?;
        let same = other.terms == weight.terms || matches!(form, Form::One(_)) && form.is_of(weight);
        let extra = site.macs.unwrap_or(0) * (other.terms.len() as u64 - 1);
        let made = || rung(form.words(), bytes(other), error(other) / first, extra, Some(rule.clone()));
        (!same).then(made)
    };
    let mut rungs: Vec<_> = others.coarser.iter().filter_map(other).collect();
    rungs.push(rung(code_type, bytes(weight), 1.0, 0, None));
    rungs.extend(others.finer.iter().filter_map(other));
    let float = LayerRule { weights: Some(None), dual: Some(false), ..LayerRule::default() };
    let elements = site.dims.iter().product::<i64>().unsigned_abs() as f64;
    rungs.push(rung("float", 4.0 * elements, 0.0, 0, Some(float)));
    Ok(rungs)
}

/// The same of an activation: 8 bits, 16 bits, float, whichever are wider than planned.
pub(super) fn inputs(
    activation: &ActivationDecision,
    options: &Options,
    analysis: &Analysis,
) -> Result<Vec<(Alternative, Rung)>> {
    let Some(term) = activation.terms.first() else { return Ok(Vec::new()) };
    let site = analysis.activations.iter().find(|site| site.tensor == activation.tensor);
    let reads = |at: usize| activation.reads.iter().any(|read| read.at == at);
    let readers: Vec<_> =
        analysis.weights.iter().filter(|site| site.reads().any(|read| reads(read.at))).collect();
    let mut names: Vec<&str> = Vec::new();
    for site in &readers {
        names.push(&site.tensor);
        names.extend(site.reads().map(|read| read.node.as_str()));
    }
    if ruled(options, &names, |rule| rule.activations.is_some() || rule.activation_terms.is_some())? {
        return Ok(Vec::new());
    }
    let elements = site.and_then(|site| site.elements).unwrap_or(1) as f64;
    let bits = term.code_type.bits() * activation.terms.len() as u32;
    let mut rungs = Vec::new();
    let mut add = |words: &str, width: u32, noise: f64, to: Option<Option<CodeType>>| {
        let rule = |code_type, site: &WeightSite| LayerRule {
            matching: Globs::literal(&site.tensor),
            activations: Some(code_type),
            activation_terms: Some(1),
            ..LayerRule::default()
        };
        let rules = to.into_iter().flat_map(|to| readers.iter().map(move |site| rule(to, site))).collect();
        let alternative =
            Alternative { tensor: activation.tensor.clone(), words: words.into(), stored: 0.0, rules };
        rungs.push((alternative, Rung { bytes: elements * f64::from(width) / 8.0, noise, macs: 0 }));
    };
    add(term.code_type.name(), bits, 1.0, None);
    // Who reads it without a layer of its own takes what layers ask for.
    if readers.is_empty() {
        return Ok(Vec::new());
    }
    let weights = options.weights.unwrap_or(CodeType::Int8);
    let takes = |activation: Option<CodeType>| {
        let weights = options.storage.of_weights(weights);
        let activation = activation.map(|code_type| options.storage.of_activation(code_type));
        let mut reads = readers.iter().flat_map(|site| site.reads()).filter(|read| reads(read.at));
        reads.all(|read| options.target.has(&read.operator, weights, activation))
    };
    let wider = [8, 16].into_iter().filter(|&wider| wider > bits);
    for (wider, code_type) in wider.map(|wider| (wider, term.code_type.with_bits(wider))) {
        if !takes(Some(code_type)) {
            continue;
        }
        let noise = NOISE_A_BIT.powi((wider - bits) as i32);
        add(code_type.name(), wider, noise, Some(Some(code_type)));
    }
    if takes(None) {
        add("float", 32, 0.0, Some(None));
    }
    Ok(rungs)
}
