//! Runtimes that the file is meant for: what each takes, as data, and what follows from it for one layer or one wish.

mod list;
mod wishes;

use std::fmt;

pub use list::{GENERIC, TARGETS};
pub use wishes::Wishes;

use super::{Bias, CodeType, Granularity, Placement, Spelling, Storage};
use crate::error::{Error, Result};

/// A runtime, and the forms of quantized models that it takes.
#[derive(Debug)]
pub struct Target {
    /// As [`Target::named`] takes it.
    pub name: &'static str,
    /// The runtime in words.
    pub runtime: &'static str,
    /// How this is known.
    pub standing: Standing,
    /// What it takes of a layer: any one of these. A layer for which none is listed stays float.
    pub forms: &'static [Form],
    /// Whether zero points of weights are written even where all of them are 0.
    pub explicit_zero_points: bool,
    /// Whether a product may be a com.microsoft MatMulNBits.
    pub matmul_nbits: bool,
    /// Which operators of com.microsoft it knows.
    pub contrib: Contrib,
    /// Whether it takes operators that compute in integers as such: QLinearConv, ConvInteger and the like.
    pub integer_operators: bool,
    /// Operators whose integer kernels, on x86 without VNNI, add pairs of products of 8-bit codes in saturating 16 bits. Their
    /// 8-bit weights are held to [`HELD`](crate::options::HELD) beside 8-bit activations. Depthwise convolutions are none of
    /// these: their kernels widen the codes first.
    pub saturating: &'static [&'static str],
    /// Whether fourbit runs models in it itself, and so knows what else it does not take.
    pub own_runtime: bool,
    /// The target whose forms it runs too, in float.
    pub in_float: Option<&'static Target>,
    /// How weights of two terms may be written; empty where they are not taken.
    pub dual: &'static [Spelling],
    /// The oldest and the newest opset of the standard.
    pub opsets: (i64, i64),
    /// Forms of biases beside quantized inputs, the usual one first.
    pub biases: &'static [Bias],
    /// What is written where nothing else is asked for.
    pub usual: Usual,
}

/// How what is said of a target is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The project's tests load and run every form in this runtime.
    Tested,
    /// From its documents.
    Documented,
}

/// Operators of com.microsoft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contrib {
    /// None.
    No,
    /// QuantizeLinear, DequantizeLinear and, where that is taken, MatMulNBits.
    Linear,
    /// All.
    All,
}

/// One form of layers that a runtime takes.
#[derive(Debug)]
pub struct Form {
    /// The operators.
    pub operators: &'static [&'static str],
    /// Types of weights, as the file stores them.
    pub weights: &'static [CodeType],
    /// Which weights may share a scale.
    pub scales: Scales,
    /// Whether weights may have zero points other than 0.
    pub zero_points: bool,
    /// Types of the activation that the weights meet; `None` stands for float.
    pub activations: &'static [Option<CodeType>],
    /// Whether that activation may have a zero point other than 0.
    pub activation_zero_points: bool,
}

/// Which weights may share a scale.
#[derive(Debug)]
pub struct Scales {
    /// All of them.
    pub tensor: bool,
    /// Those of one output channel.
    pub channel: bool,
    /// A block along the input channels.
    pub blocks: Option<Blocks>,
}

/// Sizes of blocks.
#[derive(Debug)]
pub struct Blocks {
    /// The smallest and the largest.
    pub sizes: (usize, usize),
    /// Whether only powers of two are.
    pub powers_of_two: bool,
    /// Whether the axis must be a multiple.
    pub divides: bool,
}

/// What is written where nothing else is asked for.
#[derive(Debug)]
pub struct Usual {
    /// Storage of 4-bit codes, with float activations and with quantized ones.
    pub storages: (Storage, Storage),
    /// How many weights share a scale, likewise.
    pub granularities: (Granularity, Granularity),
    /// Type of 8-bit activations.
    pub activations: CodeType,
    /// Where activations are quantized.
    pub placement: Placement,
    /// Whether products are written as MatMulNBits where they can be, if activations are float.
    pub matmul_nbits: bool,
}

/// One layer as a file stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case<'c> {
    /// The operator.
    pub operator: &'c str,
    /// Type of the weights.
    pub weights: CodeType,
    /// How many weights share a scale.
    pub granularity: Granularity,
    /// Length of the axis along which blocks lie.
    pub axis: usize,
    /// Whether a zero point of the weights is not 0.
    pub zero_points: bool,
    /// Type of the activation; `None` for float.
    pub activation: Option<CodeType>,
    /// Whether its zero point is not 0.
    pub activation_zero_point: bool,
}

impl Target {
    /// The target of this name, in any case.
    ///
    /// # Errors
    /// [`Error::Options`] listing the names that there are.
    pub fn named(name: &str) -> Result<&'static Self> {
        TARGETS.iter().copied().find(|target| target.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            Error::options(format!("unknown target {name:?}"), format!("choose one of {}", names.join(", ")))
        })
    }

    /// Why it does not take `case`, if so.
    pub fn obstacle(&self, case: &Case) -> Option<String> {
        let of_operator: Vec<&Form> =
            self.forms.iter().filter(|form| form.operators.contains(&case.operator)).collect();
        if of_operator.is_empty() {
            return Some(format!("{} takes no quantized weights of {}", self.name, case.operator));
        }
        // What fits best is named: the form that objects last.
        let objections = of_operator.iter().map(|form| form.objection(case)).collect::<Option<Vec<_>>>()?;
        let (_, words) = objections.into_iter().max_by_key(|(depth, _)| *depth)?;
        Some(format!("{} takes {words} for {}", self.name, case.operator))
    }

    /// Why it does not take layers of `operator` with float activations and weights that become floats while it loads, if so.
    pub fn obstacle_unpacked(&self, operator: &str) -> Option<String> {
        let knows = self.forms.iter().any(|form| form.operators.contains(&operator));
        (!knows).then(|| format!("{} takes no quantized weights of {operator}", self.name))
    }

    /// Whether layers of `operator` may have weights that the file stores as `weights`, with an activation of type `activation`.
    pub fn has(&self, operator: &str, weights: CodeType, activation: Option<CodeType>) -> bool {
        let fits = |form: &Form| {
            form.operators.contains(&operator)
                && form.weights.contains(&weights)
                && form.activations.contains(&activation)
        };
        self.forms.iter().any(fits)
    }

    /// Whether activations of any layer may be of this type.
    pub fn rounds(&self, activation: CodeType) -> bool {
        self.takes(|form| form.activations.contains(&Some(activation)))
    }

    /// Whether any layer may have such weights, activations, or both together.
    pub(super) fn takes(&self, of: impl Fn(&Form) -> bool) -> bool {
        self.forms.iter().any(of)
    }
}

impl Form {
    /// What of `case` this is not, in words that say what it takes; later objections are deeper.
    fn objection(&self, case: &Case) -> Option<(usize, String)> {
        if !self.weights.contains(&case.weights) {
            return Some((0, format!("{} weights only", names(self.weights))));
        }
        if !self.activations.contains(&case.activation) {
            let words = match case.activation {
                None => format!("{} weights only with {} activations", case.weights, self.activations()),
                Some(_) => format!("{} weights with {} activations only", case.weights, self.activations()),
            };
            return Some((1, words));
        }
        if let Some(words) = self.scales.objection(case) {
            return Some((2, words));
        }
        if case.zero_points && !self.zero_points {
            return Some((3, "weights with zero points of 0 only".into()));
        }
        if case.activation_zero_point && !self.activation_zero_points {
            return Some((4, "activations with zero points of 0 only".into()));
        }
        None
    }

    /// The types of activations in words.
    pub fn activations(&self) -> String {
        let name = |code_type: &Option<CodeType>| code_type.map_or("float", CodeType::name);
        join(self.activations.iter().map(name))
    }
}

impl Scales {
    /// Whether `granularity` is one of them, whatever the length of the axis.
    pub(super) fn allow(&self, granularity: Granularity) -> bool {
        match granularity {
            Granularity::Tensor => self.tensor,
            Granularity::Channel => self.channel,
            Granularity::Block(size) => self.blocks.as_ref().is_some_and(|blocks| {
                (blocks.sizes.0..=blocks.sizes.1).contains(&size)
                    && (!blocks.powers_of_two || size.is_power_of_two())
            }),
        }
    }

    fn objection(&self, case: &Case) -> Option<String> {
        let fits = match (case.granularity, &self.blocks) {
            (Granularity::Tensor, _) => self.tensor,
            (Granularity::Channel, _) => self.channel,
            (Granularity::Block(_), None) => false,
            (Granularity::Block(size), Some(blocks)) => {
                let in_range = (blocks.sizes.0..=blocks.sizes.1).contains(&size);
                let power = !blocks.powers_of_two || size.is_power_of_two();
                if in_range && power && blocks.divides && !case.axis.is_multiple_of(size) {
                    return Some(format!(
                        "blocks that divide the axis, and {size} does not divide {}",
                        case.axis
                    ));
                }
                in_range && power
            }
        };
        (!fits).then(|| format!("scales by {self}, and not by {}", case.granularity))
    }
}

impl fmt::Display for Scales {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks = self.blocks.as_ref().map(|blocks| {
            let (least, most) = blocks.sizes;
            let sizes = match most {
                usize::MAX if least == 1 => String::new(),
                usize::MAX => format!(" of {least} up"),
                _ => format!(" of {least} to {most}"),
            };
            let kind = if blocks.powers_of_two { " (powers of two)" } else { "" };
            let divides = if blocks.divides { " that divide the axis" } else { "" };
            format!("blocks{sizes}{kind}{divides}")
        });
        let plain = [(self.tensor, "tensor"), (self.channel, "channel")];
        let words = plain.into_iter().filter(|(has, _)| *has).map(|(_, name)| name.to_owned()).chain(blocks);
        formatter.pad(&words.collect::<Vec<_>>().join(", "))
    }
}

/// Names of types, in words.
pub fn names(code_types: &[CodeType]) -> String {
    join(code_types.iter().map(|code_type| code_type.name()))
}

fn join<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
