//! The arguments that say which layers become the sum of two tensors.

use clap::{Args, ValueEnum};

use crate::api::{Error, Result};
use crate::options::{self, DUAL_THRESHOLD, Keys};

/// Which layers' weights become the sum of two 4-bit tensors.
#[derive(Clone, Debug, Default, Args)]
pub struct Dual {
    /// Give 4-bit layers a second 4-bit tensor for the error of the first [default: none]
    #[arg(
        long,
        value_enum,
        value_name = "WHICH",
        help_heading = "Two 4-bit tensors per layer",
        ignore_case = true,
        hide_short_help = true
    )]
    pub dual: Option<Which>,
    /// With auto: layers whose relative squared error is above T [default: 0.017]
    #[arg(long, value_name = "T", value_parser = threshold, allow_negative_numbers = true,
        conflicts_with = "dual_budget", help_heading = "Two 4-bit tensors per layer", hide_short_help = true)]
    pub dual_threshold: Option<Keys>,
    /// With auto: the worst layers until they make up this share of all weights, as in 5%
    #[arg(long, value_name = "PERCENT", value_parser = Keys::share, help_heading = "Two 4-bit tensors per layer",
        hide_short_help = true)]
    pub dual_budget: Option<Keys>,
    /// Also layers whose name matches; may be repeated
    #[arg(long, value_name = "GLOB", help_heading = "Two 4-bit tensors per layer", hide_short_help = true)]
    pub dual_layers: Vec<String>,
    /// Give activations a second term too, for the error of the first
    #[arg(long, help_heading = "Two 4-bit tensors per layer", hide_short_help = true)]
    pub dual_activations: bool,
    /// How to add the two tensors
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Spelling::Sum,
        help_heading = "Two 4-bit tensors per layer", ignore_case = true, hide_short_help = true)]
    pub dual_spelling: Spelling,
}

fn threshold(text: &str) -> Result<Keys, String> {
    let number = text.parse().map_err(|_| "not a number".to_owned())?;
    Keys::above(number).map_err(|error| error.to_string())
}

/// Which layers are dual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// Layers that one tensor approximates poorly
    Auto,
    /// Only layers that --dual-layers names
    None,
    /// All layers
    All,
}

/// How two tensors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Spelling {
    /// Two DequantizeLinear and an Add in front of one operator
    #[default]
    Sum,
    /// The operator twice on the same input, and an Add behind
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
