//! What a person says, and what the target adds where nothing is said.

use super::{Contrib, Form, Target, names};
use crate::error::{Error, Result};
use crate::options::nbits::has_nbits;
use crate::options::{
    Bias, CodeType, Dual, Granularity, Keys, LEAST_OPSET, OPSET, Opset, Options, Placement, Precision,
    Spelling, Storage,
};

/// What is asked for; `None` leaves it to the target.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Widths of weights and activations.
    pub precision: Option<Precision>,
    /// Type of weights, whatever the precision says; `Some(None)` leaves them float.
    pub weights: Option<Option<CodeType>>,
    /// Type of activations, whatever the precision says; `Some(None)` leaves them float.
    pub activations: Option<Option<CodeType>>,
    /// How many weights share a scale.
    pub granularity: Option<Granularity>,
    /// How 4-bit codes are stored.
    pub storage: Option<Storage>,
    /// To which opset the model is brought.
    pub opset: Option<Opset>,
    /// Where activations are quantized.
    pub placement: Option<Placement>,
    /// How biases are stored.
    pub bias: Option<Bias>,
    /// Whether weights have zero points of 0 only.
    pub symmetric_weights: Option<bool>,
    /// Whether activations have zero points of 0 only.
    pub symmetric_activations: Option<bool>,
    /// Whether products are written as MatMulNBits where they can be.
    pub matmul_nbits: Option<bool>,
    /// What is dual.
    pub dual: Dual,
    /// Whether rules for single layers ask for blocks.
    pub blocks: bool,
}

impl Wishes {
    /// Options for `target`, with its defaults for what is not asked for.
    ///
    /// # Errors
    /// [`Error::Options`] for what the target does not take, saying what it does, and for what contradicts itself.
    pub fn options(&self, target: &'static Target) -> Result<Options> {
        let rounds = target.takes(|form| form.activations.iter().any(Option::is_some));
        let usual = if rounds {
            Precision::default()
        } else {
            Precision { activations: None, ..Precision::default() }
        };
        let precision = self.precision.unwrap_or(usual);
        let weights = self.weights.unwrap_or(precision.weights);
        let eight = |code_type: CodeType| target.usual.activations.with_bits(code_type.bits());
        let usual = precision
            .activations
            .map(|code_type| if code_type.bits() <= 8 { eight(code_type) } else { code_type });
        let activations = self.activations.unwrap_or(usual);
        let float = activations.is_none();
        let choose = |pair: (Storage, Storage)| if float { pair.0 } else { pair.1 };
        let (granular_float, granular) = target.usual.granularities;
        let granularity = self.granularity.unwrap_or(if float { granular_float } else { granular });
        let usual = choose(target.usual.storages);
        let fits = |storage: &Storage| {
            let Some(code_type) = weights else { return true };
            let unpacked = storage.unpacks() && float;
            let (stored, activation) =
                (storage.of_weights(code_type), activations.map(|it| storage.of_activation(it)));
            storage.holds(code_type.bits())
                && self.opset.is_none_or(|opset| opset.check(*storage).is_ok())
                && target.takes(|form| {
                    let types = form.weights.contains(&stored) && form.activations.contains(&activation);
                    types && (unpacked || form.scales.allow(granularity))
                })
        };
        // Some widths only bytes hold, and some scales only DequantizeLinear knows.
        let others = [usual, Storage::Packed, Storage::Bytes];
        let fits_any = others.iter().any(fits);
        let storage = self.storage.unwrap_or_else(|| others.into_iter().find(fits).unwrap_or(usual));
        let blocks = self.blocks || matches!(granularity, Granularity::Block(_));
        let opset = self.opset.unwrap_or(Opset::usual(storage, blocks));
        let nbits = target.usual.matmul_nbits && float && has_nbits(granularity, storage);
        let any = |of: &dyn Fn(&Form) -> bool| target.takes(of);
        let options = Options {
            weights,
            activations,
            opset,
            storage,
            granularity,
            placement: self.placement.unwrap_or(target.usual.placement),
            bias: self.bias.unwrap_or(target.biases.first().copied().unwrap_or_default()),
            // 8-bit storage has room for codes less their zero points.
            symmetric_weights: self
                .symmetric_weights
                .unwrap_or(storage == Storage::Packed && !any(&|form| form.zero_points)),
            symmetric_activations: self
                .symmetric_activations
                .unwrap_or(!float && !any(&|form| form.activation_zero_points)),
            matmul_nbits: self.matmul_nbits.unwrap_or(nbits),
            dual: self.dual.clone(),
            target,
            ..Options::new(precision)
        };
        if let Some(code_type) = weights
            .filter(|code_type| self.storage.is_none() && !fits_any && !matches!(code_type.bits(), 4 | 8))
        {
            return Err(Error::options(
                format!("the target {} takes no {code_type} weights", target.name),
                "choose `.precision` w4 or w8; `fourbit::TARGETS` shows all that each target takes",
            ));
        }
        options.check_widths()?;
        self.check(target, &options)?;
        options.check_nbits()?;
        Ok(options)
    }

    /// Refuses what no layer of `target` can have.
    fn check(&self, target: &Target, options: &Options) -> Result<()> {
        let refuse = |asked: String, takes: String| {
            Err(Error::options(
                format!("the target {} takes no {asked}", target.name),
                format!("it takes {takes}; `fourbit::TARGETS` shows all that each target takes"),
            ))
        };
        options.opset.check(options.storage)?;
        let stored = options.weights.map(|code_type| options.storage.of_weights(code_type));
        // What meets the layers is float then, however it was stored.
        let as_floats = options.storage.unpacks() && options.activations.is_none();
        let stored_activation = options.activations.map(|code_type| options.storage.of_activation(code_type));
        let of_weights = |form: &Form| stored.is_none_or(|code_type| form.weights.contains(&code_type));
        let of_both = |form: &Form| of_weights(form) && form.activations.contains(&stored_activation);
        let scales = |form: &Form| form.scales.allow(options.granularity);
        let four = options.weights.filter(|code_type| code_type.bits() == 4);
        if let Some(code_type) = four.filter(|_| options.storage == Storage::Cast) {
            let takes = |target: &Target| target.takes(|form| form.weights.contains(&code_type));
            if !takes(target) && !target.in_float.is_some_and(takes) {
                return refuse(format!("{code_type} tensors"), "`.storage` bytes or int8".into());
            }
        }
        if !target.takes(of_weights) {
            let mut all: Vec<CodeType> = target.forms.iter().flat_map(|form| form.weights).copied().collect();
            all.sort_by_key(|code_type| code_type.name());
            all.dedup();
            let packed = if options.storage == Storage::Packed { " packed" } else { "" };
            let asked = format!("{} weights{packed}", stored.map_or("float", CodeType::name));
            return refuse(asked, names(&all));
        }
        let described = |forms: Vec<&Form>| {
            let words = forms.into_iter().map(|form| {
                format!(
                    "{} weights with {} activations for {}",
                    names(form.weights),
                    form.activations(),
                    form.operators.join(", ")
                )
            });
            words.collect::<Vec<_>>().join("; ")
        };
        if !target.takes(of_both) {
            let asked = format!(
                "{} weights with {} activations",
                stored.map_or("float", CodeType::name),
                stored_activation.map_or("float", CodeType::name)
            );
            let takes = described(target.forms.iter().collect());
            let rounds = target.takes(|form| form.activations.iter().any(Option::is_some));
            let remedy = match (rounds, self.activations, options.weights) {
                (true, ..) | (_, _, None) => String::new(),
                (false, None, Some(weights)) => format!("; choose `.precision` w{}", weights.bits()),
                (false, Some(_), Some(_)) => "; choose `.activations` float".to_owned(),
            };
            return refuse(asked, takes + &remedy);
        }
        if stored.is_some() && !as_floats && !target.takes(|form| of_both(form) && scales(form)) {
            let fitting = target.forms.iter().filter(|form| of_both(form));
            let takes: Vec<String> = fitting.map(|form| format!("scales by {}", form.scales)).collect();
            return refuse(format!("scales by {} with these types", options.granularity), takes.join("; "));
        }
        if self.symmetric_weights == Some(false) && !target.takes(|form| form.zero_points) {
            return refuse(
                "zero points of weights".into(),
                "zero points of 0, as with `.symmetric_weights`".into(),
            );
        }
        if self.symmetric_activations == Some(false) && !target.takes(|form| form.activation_zero_points) {
            return refuse(
                "zero points of activations".into(),
                "zero points of 0, as with `.symmetric_activations`".into(),
            );
        }
        self.check_rest(target, options, refuse)
    }

    fn check_rest(
        &self,
        target: &Target,
        options: &Options,
        refuse: impl Fn(String, String) -> Result<()>,
    ) -> Result<()> {
        if !target.biases.contains(&options.bias) {
            let all: Vec<&str> = target.biases.iter().map(|bias| bias.name()).collect();
            return refuse(
                format!("{} biases", options.bias.name()),
                format!("`.bias` {}", all.join(" or ")),
            );
        }
        let dual = self.dual.keys != Keys::None || !self.dual.layers.is_empty();
        if dual && !target.dual.contains(&self.dual.spelling) {
            let all: Vec<String> =
                target.dual.iter().map(|spelling| format!("`.dual.spelling` {}", spelling.name())).collect();
            let takes = if all.is_empty() { "one tensor a layer".to_owned() } else { all.join(" or ") };
            return refuse(format!("dual weights spelled {}", self.dual.spelling.name()), takes);
        }
        if self.dual.activations && !target.dual.contains(&Spelling::Sum) {
            return refuse("two terms of activations".into(), "one".into());
        }
        if options.matmul_nbits && !target.matmul_nbits {
            return refuse("MatMulNBits".into(), "products as DequantizeLinear and MatMul".into());
        }
        let (least, most) = target.opsets;
        match options.opset {
            Opset::AtLeast(opset) if !(least..=most).contains(&opset) => {
                return refuse(format!("opset {opset}"), format!("opsets {least} to {most}"));
            }
            Opset::Keep
                if target.contrib == Contrib::No
                    && (options.storage == Storage::Packed || options.activations.is_some()) =>
            {
                return refuse(
                    "onnxruntime's own operators, which `.opset` keep may need".into(),
                    format!("opset {OPSET}, or {LEAST_OPSET} with `.storage` bytes"),
                );
            }
            _ => {}
        }
        let unsigned = options.weights.is_some_and(|code_type| !code_type.is_signed());
        if options.symmetric_weights && unsigned {
            return Err(Error::options(
                "unsigned weights have zero points other than 0",
                "choose `.weights` int4, or leave `.symmetric_weights` out",
            ));
        }
        let unsigned = options.activations.is_some_and(|code_type| !code_type.is_signed());
        if options.symmetric_activations && (unsigned || self.dual.activations) {
            let what = if unsigned { "unsigned activations" } else { "two terms of activations" };
            return Err(Error::options(
                format!("{what} have zero points other than 0"),
                "choose `.activations` int8, or leave `.symmetric_activations` out",
            ));
        }
        Ok(())
    }
}
