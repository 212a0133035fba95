//! What becomes of each layer, decided before any code is: storage, partition and number of terms, from the options and
//! what analysis found. Whoever solves a layer reads its treatment and asks nothing else.

mod form;

use super::residuals::measure;
use super::terms::Found;
use super::{in_turns, memory};
use crate::error::{Error, Result};
use crate::onnx::Index;
use crate::options::{Compensation, Globs, Keys, LayerRule, OPSET, Options, Scales, Spelling, Storage};
use crate::plan::{Analysis, Keep, Partition, Residuals, WeightSite};
use form::{Setting, nbits, partition, splits};

use std::sync::Arc;

/// How one layer is treated.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layer {
    /// What becomes of its weights; `None` leaves them float.
    pub weights: Option<Treatment>,
    /// Storage of the activation that it reads; `None` leaves it float.
    pub activation: Option<Storage>,
    /// One QuantizeLinear/DequantizeLinear pair on it, or two.
    pub activation_terms: usize,
    /// Why that storage, where it is not what was asked for all.
    pub activation_why: Option<String>,
    /// The same of float weights.
    weights_why: Option<String>,
}

impl Layer {
    /// Why the weights are float.
    pub fn float(&self) -> Keep {
        self.weights_why.clone().map_or(Keep::FloatAsked, Keep::FloatBecause)
    }
}

/// How one weight tensor is to be quantized.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Treatment {
    pub storage: Storage,
    pub partition: Partition,
    /// How many low-bit tensors are summed.
    pub terms: usize,
    pub spelling: Spelling,
    /// Whether codes are chosen for the layer's output.
    pub compensate: bool,
    /// Whether nothing may clip, whatever that costs.
    pub min_max: bool,
    /// Whether the mean error of outputs is corrected.
    pub correct_biases: bool,
    /// What other treatments would lose; `None` where the weights cannot be read as numbers.
    pub residuals: Option<Residuals>,
    /// The scales of a single term, where they were kept.
    pub found: Option<Arc<Found>>,
    /// Why the partition, the width and the number of terms, in words.
    why: String,
    /// Whether it becomes MatMulNBits, or why not, in words, where that was asked for.
    written: String,
    compensation: Compensation,
    inputs: Inputs,
}

/// What is known of the inputs that a weight tensor meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inputs {
    /// What samples show, or nothing.
    Seen,
    /// Without samples: means and variances of channels, from a BatchNormalization.
    Normalised,
    /// Without samples: what is usual.
    Usual,
}

impl Treatment {
    /// The same for a layer of whose inputs nothing is known.
    pub fn alone(&self) -> Self {
        Self { compensate: false, compensation: Compensation::None, ..self.clone() }
    }

    /// The same for a layer that is too large to be judged by its output without samples.
    pub fn too_large(&self) -> Self {
        let why = format!(
            "{}, each weight for itself as it takes too much memory to foresee their output",
            self.why
        );
        Self { why, ..self.alone() }
    }

    /// The same for a layer of whose inputs something is foreseen without samples: that they are `normalised`, or only
    /// what is usual, whose means are no ground to correct biases on. `None` where that is not to be made use of.
    pub fn foreseen(&self, normalised: bool) -> Option<Self> {
        // With more codes, or sixteen zero points to choose from, a rough guess gains nothing.
        let wanted = self.compensate && self.correct_biases && (normalised || self.storage == Storage::Int4);
        let inputs = if normalised { Inputs::Normalised } else { Inputs::Usual };
        wanted.then(|| Self { correct_biases: normalised, inputs, ..self.clone() })
    }

    /// All of it in words.
    pub fn reason(&self) -> String {
        let zero = match self.storage {
            Storage::Int4 => ", odd code on the better side",
            Storage::Uint4 => ", best of 16 zero points",
            Storage::Int8 | Storage::Uint8 | Storage::Int16 => "",
        };
        let share = if matches!(self.partition, Partition::Block { .. }) { "block" } else { "kernel" };
        let rest = match (self.compensate, self.compensation) {
            (true, _) if self.inputs == Inputs::Usual => {
                ", output error compensated on inputs as they usually are".into()
            }
            (true, _) if self.inputs == Inputs::Normalised => {
                ", output error compensated on inputs as batch normalisation makes them".into()
            }
            (true, Compensation::Sequential) => {
                ", output error compensated on the quantized network's inputs".into()
            }
            (true, _) => ", output error compensated on the float network's inputs".into(),
            (false, Compensation::Scales) => ", scales refitted to the output".into(),
            (false, _) if self.correct_biases => format!(", rounding errors of each {share} cancelled"),
            _ => String::new(),
        };
        let method = match (self.compensate, self.terms) {
            (true, _) => "least output error",
            (false, _) if self.min_max => "min-max scales",
            (false, 1) => "exact MMSE",
            (false, _) => "MMSE",
        };
        format!("{method}, {}{zero}{rest}{}", self.why, self.written)
    }
}

/// The treatment of each weight site, in their order, in a model of `opset`.
///
/// # Errors
/// [`Error::Options`] for a pattern that fits no layer, or wishes that contradict one another;
/// [`Error::Invalid`] where a weight's data does not fit its dimensions.
pub(super) fn layers(
    analysis: &Analysis,
    index: &Index,
    options: &Options,
    opset: i64,
) -> Result<Vec<Layer>> {
    let sites = &analysis.weights;
    let rules = Matches::new(options.layers.iter().map(|rule| rule.matching.clone()).collect(), sites)?;
    let named = Matches::new(options.dual.layers.clone(), sites)?;
    let mut wishes = Vec::new();
    for site in sites {
        let rules = rules.of(site).into_iter().map(|at| &options.layers[at]);
        wishes.push(Wish::new(site, (index, opset), options, rules, !named.of(site).is_empty())?);
    }
    let dual_asked = options.dual.keys != Keys::None || wishes.iter().any(|wish| wish.dual == Some(true));
    let all: Vec<usize> = (0..sites.len()).collect();
    let measured = in_turns(
        &all,
        |at| memory(&sites[at]),
        |at| match wishes[at].weights {
            Some(storage) => measure(&sites[at], index, storage, wishes[at].partition, dual_asked),
            None => Ok(None),
        },
    )?;
    let (residuals, found): (Vec<_>, Vec<_>) = measured
        .into_iter()
        .map(Option::unzip)
        .map(|(residuals, found)| (residuals, found.flatten()))
        .unzip();
    let keys = keys(&options.dual.keys, sites, &wishes, &residuals);
    let layers = wishes.into_iter().zip(residuals).zip(found).zip(keys);
    Ok(layers.map(|(((wish, residuals), found), key)| wish.layer(residuals, found, key, options)).collect())
}

/// Patterns, each of which must fit some layer's weights or node.
struct Matches {
    globs: Globs,
}

impl Matches {
    fn new(patterns: Vec<String>, sites: &[WeightSite]) -> Result<Self> {
        let matches = Self { globs: Globs::new(&patterns)? };
        let mut fits = vec![false; patterns.len()];
        sites.iter().flat_map(|site| matches.of(site)).for_each(|at| fits[at] = true);
        match fits.iter().position(|fits| !fits) {
            None => Ok(matches),
            Some(at) => Err(Error::options(
                format!("no layer that can be quantized matches {:?}", patterns[at]),
                "fourbit inspect -v lists tensors and nodes",
            )),
        }
    }

    /// The patterns that fit `site`, in their order.
    fn of(&self, site: &WeightSite) -> Vec<usize> {
        let names = std::iter::once(&site.tensor).chain(site.reads.iter().map(|read| &read.node));
        let mut found: Vec<usize> = names.flat_map(|name| self.globs.matches(name)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// What the options say of one layer, before any weight is looked at.
struct Wish {
    weights: Option<Storage>,
    partition: Partition,
    /// Whether it was named as dual, or as not.
    dual: Option<bool>,
    /// How two terms are written.
    spelling: Spelling,
    /// Whether a single one can be MatMulNBits, or why not, where that is asked for.
    nbits: Option<Result<(), String>>,
    activation: Option<Storage>,
    activation_terms: usize,
    activation_why: Option<String>,
    reasons: Vec<String>,
    /// Why float weights, where a rule gives a reason.
    float_why: Option<String>,
    /// Why two terms, likewise.
    dual_why: Option<String>,
}

impl Wish {
    fn new<'r>(
        site: &WeightSite,
        (index, opset): (&Index, i64),
        options: &Options,
        rules: impl Iterator<Item = &'r LayerRule>,
        named: bool,
    ) -> Result<Self> {
        let mut rule = LayerRule::default();
        for later in rules {
            rule.weights = later.weights.or(rule.weights);
            rule.activations = later.activations.or(rule.activations);
            rule.granularity = later.granularity.or(rule.granularity);
            rule.dual = later.dual.or(rule.dual);
            rule.spelling = later.spelling.or(rule.spelling);
            rule.activation_terms = later.activation_terms.or(rule.activation_terms);
            rule.weights_why = later.weights_why.clone().or(rule.weights_why);
            rule.activations_why = later.activations_why.clone().or(rule.activations_why);
        }
        let edges = options.edges().filter(|_| site.place.is_edge());
        let at_edge = |inside: Option<Storage>| edges.map_or(inside, |edges| edges.storage(inside));
        // Signed codes mean the same at 8 bits, where every runtime takes them for weights.
        let at_edge_weights = at_edge(options.weights)
            .map(|storage| if storage == Storage::Uint8 { Storage::Int8 } else { storage });
        let mut weights = rule.weights.unwrap_or(at_edge_weights);
        let mut reasons = Vec::new();
        let dual = rule.dual.or(named.then_some(true));
        if dual == Some(true) {
            let wide = rule.weights.flatten().is_some_and(|storage| storage.bits() != 4);
            weights = match weights {
                Some(storage) if !wide => Some(storage.with_bits(4)),
                _ => {
                    let kept = weights.map_or("float", Storage::name);
                    return Err(Error::options(
                        format!("{} is to be dual, but its weights {kept}", site.tensor),
                        "dual weights are two 4-bit tensors: choose int4 or uint4",
                    ));
                }
            };
        } else if weights != options.weights && rule.weights.is_some() {
            let why = rule.weights_why.as_deref().unwrap_or("as its rule says");
            reasons.push(format!("{} {why}", weights.map_or("float", Storage::name)));
        } else if weights != options.weights {
            let end = if site.place.first { "first" } else { "last" };
            reasons.push(format!("{} as a {end} layer", weights.map_or("float", Storage::name)));
        }
        let activation = match rule.activations {
            Some(asked) => asked,
            // Where a layer's weights stay float though others do not, its input gains nothing.
            None if weights.is_none() && options.weights.is_some() => None,
            None => at_edge(options.activations),
        };
        let granularity = rule.granularity.unwrap_or(options.granularity);
        let setting = Setting { storage: weights, activation, granularity, container: options.container };
        let nbits = options.matmul_nbits.then(|| nbits(site, index, opset, setting));
        // Two terms are written as ever, and which layers get them is not known yet.
        let single = dual == Some(false) || dual.is_none() && options.dual.keys == Keys::None;
        let blocks = opset >= OPSET || single && matches!(nbits, Some(Ok(())));
        let (partition, why) = partition(site, granularity, blocks);
        reasons.insert(0, why.into());
        Ok(Self {
            weights,
            partition,
            dual,
            spelling: match rule.spelling.unwrap_or(options.dual.spelling) {
                Spelling::Branches if splits(site) => Spelling::Branches,
                _ => Spelling::Sum,
            },
            nbits,
            activation,
            activation_terms: rule.activation_terms.unwrap_or(if options.dual.activations { 2 } else { 1 }),
            activation_why: rule.activations_why,
            reasons,
            float_why: rule.weights_why.clone().filter(|_| weights.is_none()),
            dual_why: rule.weights_why.filter(|_| dual == Some(true)),
        })
    }

    fn layer(
        self,
        residuals: Option<Residuals>,
        found: Option<Found>,
        key: Option<String>,
        options: &Options,
    ) -> Layer {
        let terms = if key.is_some() { 2 } else { 1 };
        let (spelling, written) = match self.nbits {
            None => (self.spelling, String::new()),
            Some(Ok(())) if terms == 1 => (Spelling::MatMulNBits, ", as MatMulNBits".into()),
            Some(Ok(())) => (self.spelling, ", not as MatMulNBits: two terms".into()),
            Some(Err(why)) => (self.spelling, format!(", not as MatMulNBits: {why}")),
        };
        let why: Vec<String> = self.reasons.iter().cloned().chain(key).collect();
        let weights = self.weights.map(|storage| Treatment {
            storage,
            partition: self.partition,
            terms,
            spelling,
            compensate: matches!(options.compensation, Compensation::Layerwise | Compensation::Sequential),
            min_max: options.scales == Scales::MinMax,
            correct_biases: options.bias_correction,
            residuals,
            found: found.map(Arc::new),
            why: why.join(", "),
            written,
            compensation: options.compensation,
            inputs: Inputs::Seen,
        });
        let Self { activation, activation_terms, activation_why, .. } = self;
        let weights_why = self.float_why;
        Layer { weights, activation, activation_terms, activation_why, weights_why }
    }
}

/// For each site that is dual, why.
fn keys(
    keys: &Keys,
    sites: &[WeightSite],
    wishes: &[Wish],
    residuals: &[Option<Residuals>],
) -> Vec<Option<String>> {
    let elements = |site: &WeightSite| site.dims.iter().product::<i64>().unsigned_abs();
    let single = |at: usize| residuals[at].as_ref().map_or(0.0, |residuals| residuals.single);
    let free = |at: &usize| {
        wishes[*at].dual.is_none() && wishes[*at].weights.is_some_and(|storage| storage.bits() == 4)
    };
    let mut found: Vec<Option<String>> = wishes
        .iter()
        .map(|wish| {
            (wish.dual == Some(true)).then(|| {
                wish.dual_why
                    .as_ref()
                    .map_or("two terms as asked".to_owned(), |why| format!("two terms {why}"))
            })
        })
        .collect();
    let mut order: Vec<usize> = (0..sites.len()).filter(free).collect();
    match *keys {
        Keys::None => {}
        Keys::All => order.iter().for_each(|&at| found[at] = Some("two terms as asked for all".into())),
        Keys::Above(threshold) => {
            for at in order.into_iter().filter(|&at| single(at) > threshold) {
                found[at] = Some(format!("two terms, as one loses {:.2e} of {threshold:.2e}", single(at)));
            }
        }
        Keys::Share(share) => {
            // A stable sort: among equals the graph's order.
            order.sort_by(|&one, &other| single(other).total_cmp(&single(one)));
            let whole: u64 = sites.iter().map(elements).sum();
            let mut left = share * whole as f64;
            for at in order {
                let size = elements(&sites[at]) as f64;
                // One that does not fit leaves its room to smaller ones.
                if size > left {
                    continue;
                }
                left -= size;
                found[at] = Some(format!(
                    "two terms, as one loses {:.2e}, among the most in {} % of the weights",
                    single(at),
                    100.0 * share
                ));
            }
        }
    }
    found
}
