//! What the options, the rules and the target say of one layer.

use std::sync::Arc;

use super::super::terms::{Found, Kind};
use super::form::{Setting, nbits, partition, saturates, splits};
use super::{Inputs, Layer, Treatment};
use crate::error::{Error, Result};
use crate::onnx::Index;
use crate::options::{
    Case, CodeType, Compensation, Granularity, Keys, LayerRule, Lift, OPSET, Options, Placement, Scales,
    Spelling, Storage,
};
use crate::plan::{Partition, Reader, Reason, Residuals, Saturation, Sharing, TwoTerms, WeightSite, Why};

/// What the options say of one layer, before any weight is looked at.
pub(super) struct Wish {
    pub weights: Option<CodeType>,
    pub partition: Partition,
    /// What becomes of products that could saturate on the target.
    pub saturation: Option<Saturation>,
    /// Whether it was named as dual, or as not.
    pub dual: Option<bool>,
    /// How two terms are written.
    pub spelling: Spelling,
    /// Whether a single one can be MatMulNBits, or why not, where that is asked for.
    pub nbits: Option<Result<(), String>>,
    pub activation: Option<CodeType>,
    pub activation_terms: usize,
    pub activation_why: Option<Why>,
    pub sharing: Sharing,
    /// Why weights of another type than all have.
    pub other: Option<Reason>,
    /// Why float weights, where a rule gives a reason.
    pub float_why: Option<Why>,
    /// Why two terms, where a budget gives a reason.
    pub dual_why: Option<Lift>,
}

impl Wish {
    pub fn new<'r>(
        site: &WeightSite,
        (index, opset): (&Index, i64),
        options: &Options,
        rules: impl Iterator<Item = &'r LayerRule>,
        named: bool,
        meets: bool,
    ) -> Result<Self> {
        let mut rule = LayerRule::default();
        for later in rules {
            rule.weights = later.weights.or(rule.weights);
            rule.activations = later.activations.or(rule.activations);
            rule.granularity = later.granularity.or(rule.granularity);
            rule.dual = later.dual.or(rule.dual);
            rule.spelling = later.spelling.or(rule.spelling);
            rule.activation_terms = later.activation_terms.or(rule.activation_terms);
            rule.full_range = later.full_range.or(rule.full_range);
            rule.weights_why = later.weights_why.clone().or(rule.weights_why);
            rule.activations_why = later.activations_why.clone().or(rule.activations_why);
        }
        let edges = options.edges().filter(|_| site.place.is_edge());
        let at_edge = |inside: Option<CodeType>| edges.map_or(inside, |edges| edges.code_type(inside));
        // Signed codes mean the same at 8 bits, where every runtime takes them for weights.
        let at_edge_weights = at_edge(options.weights)
            .map(|code_type| if code_type == CodeType::Uint8 { CodeType::Int8 } else { code_type });
        let mut weights = rule.weights.unwrap_or(at_edge_weights);
        let mut other = None;
        let dual = rule.dual.or(named.then_some(true));
        if dual == Some(true) {
            let wide = rule.weights.flatten().is_some_and(|code_type| code_type.bits() != 4);
            weights = match weights {
                Some(code_type) if !wide => Some(code_type.with_bits(4)),
                _ => {
                    let kept = weights.map_or("float", CodeType::name);
                    return Err(Error::options(
                        format!("{} is to be dual, but its weights {kept}", site.tensor),
                        "dual weights are two 4-bit tensors: choose int4 or uint4",
                    ));
                }
            };
        } else if weights != options.weights && rule.weights.is_some() {
            other = Some(rule.weights_why.clone().map_or(Why::Rule, Why::Lifted));
        } else if weights != options.weights {
            other = Some(if site.place.first { Why::First } else { Why::Last });
        }
        let activation = match rule.activations {
            Some(asked) => asked,
            // Where a layer's weights stay float though others do not, its input gains nothing.
            None if weights.is_none() && options.weights.is_some() => None,
            None => at_edge(options.activations),
        };
        let granularity = rule.granularity.unwrap_or(options.granularity);
        let setting = Setting { code_type: weights, activation, granularity, storage: options.storage };
        let nbits = options.matmul_nbits.then(|| nbits(site, index, opset, setting));
        // Two terms are written as ever, and which layers get them is not known yet.
        let single = dual == Some(false) || dual.is_none() && options.dual.keys == Keys::None;
        let as_floats = options.storage.unpacks() && activation.is_none();
        let blocks = opset >= OPSET || as_floats || single && matches!(nbits, Some(Ok(())));
        let (partition, sharing) = partition(site, granularity, blocks);
        let mut wish = Self {
            weights,
            partition,
            saturation: None,
            dual,
            spelling: match rule.spelling.unwrap_or(options.dual.spelling) {
                Spelling::Branches if splits(site) => Spelling::Branches,
                _ => Spelling::Sum,
            },
            nbits,
            activation,
            activation_terms: rule.activation_terms.unwrap_or(if options.dual.activations { 2 } else { 1 }),
            activation_why: rule.activations_why.map(Why::Lifted),
            sharing,
            other: other.map(|why| Reason::Type(weights, why)),
            float_why: rule.weights_why.clone().filter(|_| weights.is_none()).map(Why::Lifted),
            dual_why: rule.weights_why.filter(|_| dual == Some(true)),
        };
        // MatMulNBits fills blocks up and has zero points; whoever takes it takes these.
        if !(single && matches!(wish.nbits, Some(Ok(())))) {
            wish.keep_to_target(site, options, meets)?;
        }
        // Where pairs are put between integer operators, a layer that asks for a float input may meet a rounded one.
        let around = options.activations.filter(|_| options.placement != Placement::Inputs);
        let activation = wish.activation.or(around).filter(|_| meets);
        if wish.weights == Some(CodeType::Int8) && saturates(site, options, activation) {
            let full = rule.full_range.unwrap_or(options.full_range);
            wish.saturation = Some(if full { Saturation::Possible } else { Saturation::Avoided });
        }
        Ok(wish)
    }

    /// Takes the nearest form that the target has for the layer; without one it stays float.
    fn keep_to_target(&mut self, site: &WeightSite, options: &Options, meets: bool) -> Result<()> {
        let target = options.target;
        let Some(code_type) = self.weights else {
            let asked = self.activation.map(|code_type| options.storage.of_activation(code_type));
            if let Some(asked) = asked.filter(|&asked| !target.rounds(asked)) {
                (self.activation, self.activation_why) = (None, Some(Why::NoActivations(target.name, asked)));
            }
            return Ok(());
        };
        let terms = self.activation_terms == 1 || target.dual.contains(&Spelling::Sum);
        if !terms && self.activation.is_some() {
            return Err(Error::options(
                format!(
                    "the input of {} is to have two terms, which {} does not take",
                    site.tensor, target.name
                ),
                "`fourbit::TARGETS` shows what each target takes",
            ));
        }
        let obstacle = |partition: Partition, activation: Option<CodeType>| {
            let (granularity, axis) = match partition {
                Partition::Tensor => (Granularity::Tensor, 0),
                Partition::Channel { .. } => (Granularity::Channel, 0),
                Partition::Block { axis, size } => {
                    (Granularity::Block(size), site.dims.get(axis).copied().unwrap_or(0))
                }
            };
            let packed = options.storage == Storage::Packed;
            let case = Case {
                operator: "",
                weights: options.storage.of_weights(code_type),
                granularity,
                axis: axis.unsigned_abs() as usize,
                zero_points: packed && !options.symmetric_weights && code_type.bits() < 8,
                activation: activation.map(|code_type| options.storage.of_activation(code_type)),
                activation_zero_point: activation.is_some() && !options.symmetric_activations,
            };
            let as_floats = options.storage.unpacks() && activation.is_none();
            // A Gather reads the table of a product, and has no data that could be rounded.
            let alone = Case { activation: None, activation_zero_point: false, ..case };
            let of = |reader: &Reader| {
                let case = if reader.operand.is_none() { alone } else { case };
                if as_floats {
                    return target.obstacle_unpacked(&reader.read.operator);
                }
                target.obstacle(&Case { operator: &reader.read.operator, ..case })
            };
            site.readers.iter().find_map(of)
        };
        // What cannot be rounded, inside other nodes for one, is met as it is.
        let asked = self.activation.filter(|_| meets);
        let Some(why) = obstacle(self.partition, asked) else {
            return self.keep_dual(site, options);
        };
        let by_kernel = site.by_kernel.unwrap_or(Partition::Tensor);
        let mut partitions = vec![self.partition];
        if let Partition::Block { axis, size } = self.partition {
            let halves =
                std::iter::successors(Some(size / 2), |size| Some(size / 2)).take_while(|&size| size > 0);
            partitions.extend(halves.map(|size| Partition::Block { axis, size }));
        }
        partitions.extend([by_kernel, by_kernel.without_blocks(&site.dims)]);
        for activation in [asked, None] {
            let Some(&partition) = partitions.iter().find(|&&it| obstacle(it, activation).is_none()) else {
                continue;
            };
            if partition != self.partition {
                let why = Why::Target(why.clone());
                self.sharing = match partition {
                    Partition::Block { size, .. } => Sharing::BlockOf(size, why),
                    _ => Sharing::KernelOnly(why),
                };
            }
            if activation != asked {
                self.activation_why = Some(Why::Target(why));
            }
            self.partition = partition;
            if activation != asked {
                self.activation = None;
            }
            return self.keep_dual(site, options);
        }
        if self.dual == Some(true) {
            return Err(Error::options(
                format!("{} is to be dual, but stays float, as {why}", site.tensor),
                "`fourbit::TARGETS` shows what each target takes",
            ));
        }
        (self.weights, self.activation) = (None, None);
        self.float_why = Some(Why::Target(why));
        Ok(())
    }

    /// Leaves weights as one tensor where the target does not take two as they would have to be written.
    fn keep_dual(&mut self, site: &WeightSite, options: &Options) -> Result<()> {
        let target = options.target;
        if target.dual.contains(&self.spelling) {
            return Ok(());
        }
        if self.dual == Some(true) {
            return Err(Error::options(
                format!(
                    "{} is to be dual, and {} takes no {} of two tensors",
                    site.tensor,
                    target.name,
                    self.spelling.name()
                ),
                "`fourbit::TARGETS` shows what each target takes",
            ));
        }
        self.dual = Some(false);
        Ok(())
    }

    /// The kind of codes for weights of type `code_type`.
    pub fn kind(&self, code_type: CodeType, options: &Options) -> Kind {
        let held = self.saturation == Some(Saturation::Avoided);
        Kind { code_type, symmetric: options.symmetric_weights, held }
    }

    pub fn layer(
        self,
        residuals: Option<Residuals>,
        found: Option<Arc<Found>>,
        key: Option<TwoTerms>,
        options: &Options,
    ) -> Layer {
        let terms = if key.is_some() { 2 } else { 1 };
        let (spelling, written) = match self.nbits {
            None => (self.spelling, None),
            Some(Ok(())) if terms == 1 => (Spelling::MatMulNBits, Some(Reason::NBits)),
            Some(Ok(())) => (self.spelling, Some(Reason::NotNBitsOfTwo)),
            Some(Err(why)) => (self.spelling, Some(Reason::NotNBits(why))),
        };
        let key = key.map(Reason::TwoTerms);
        let why = std::iter::once(Reason::Sharing(self.sharing)).chain(self.other).chain(key);
        let weights = self.weights.map(|code_type| Treatment {
            code_type,
            partition: self.partition,
            symmetric: options.symmetric_weights,
            saturation: self.saturation,
            terms,
            spelling,
            compensate: matches!(options.compensation, Compensation::Layerwise | Compensation::Sequential),
            min_max: options.scales == Scales::MinMax,
            correct_biases: options.bias_correction,
            residuals,
            found,
            why: why.collect(),
            written,
            compensation: options.compensation,
            inputs: Inputs::Seen,
            storage: options.storage,
        });
        let Self { activation, activation_terms, activation_why, .. } = self;
        let weights_why = self.float_why;
        Layer { weights, activation, activation_terms, activation_why, weights_why }
    }
}
