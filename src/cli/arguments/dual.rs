//! The arguments that say which layers become the sum of two tensors.

use clap::{Args, ValueEnum};

use crate::api::{Error, Result};
use crate::options::{self, DUAL_THRESHOLD, Keys};

/// Which layers' weights become the sum of two 4-bit tensors.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Two low-bit tensors instead of one")]
pub struct Dual {
    /// Which 4-bit layers get a second 4-bit tensor for what the first one leaves [default: none]
    #[arg(long, value_enum, value_name = "WHICH")]
    pub dual: Option<Which>,
    /// Those whose weights lose more than T, as a share of their energy [default: 0.017]
    #[arg(long, value_name = "T", value_parser = threshold, allow_negative_numbers = true, conflicts_with = "dual_budget")]
    pub dual_threshold: Option<Keys>,
    /// Those that lose most, as far as they fit into a share of all weights, as in 5%
    #[arg(long, value_name = "PERCENT", value_parser = Keys::share)]
    pub dual_budget: Option<Keys>,
    /// These too, by name; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub dual_layers: Vec<String>,
    /// Give activations a second low-bit form too, for what the first one leaves
    #[arg(long)]
    pub dual_activations: bool,
    /// Add the two tensors, or repeat the operator and add its outputs
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Spelling::Sum)]
    pub dual_spelling: Spelling,
}

fn threshold(text: &str) -> Result<Keys, String> {
    let number = text.parse().map_err(|_| "not a number".to_owned())?;
    Keys::above(number).map_err(|error| error.to_string())
}

/// Which layers are dual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// Those that one tensor approximates poorly
    Auto,
    /// None but those named
    None,
    /// All
    All,
}

/// How two tensors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Spelling {
    /// Two DequantizeLinear, an Add, one operator
    #[default]
    Sum,
    /// Two operators on the same input, and an Add
    Branches,
}

impl Dual {
    /// The options asked for. A threshold or a budget alone means `auto`.
    ///
    /// # Errors
    /// [`Error::Options`] where a threshold or budget is given without a use for it.
    pub fn options(&self) -> Result<options::Dual> {
        let auto = self.dual_threshold.or(self.dual_budget);
        let keys = match (self.dual, auto) {
            (None | Some(Which::None), None) => Keys::None,
            (Some(Which::All), None) => Keys::All,
            (Some(Which::Auto), None) => Keys::Above(DUAL_THRESHOLD),
            (None | Some(Which::Auto), Some(keys)) => keys,
            (Some(Which::None | Which::All), Some(_)) => {
                return Err(Error::options(
                    "a threshold or budget of dual weights has a meaning with --dual auto only",
                    "leave one of the two out",
                ));
            }
        };
        let spelling = match self.dual_spelling {
            Spelling::Sum => options::Spelling::Sum,
            Spelling::Branches => options::Spelling::Branches,
        };
        let activations = self.dual_activations;
        Ok(options::Dual { keys, layers: self.dual_layers.clone(), spelling, activations })
    }
}
