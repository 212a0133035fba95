//! The arguments that say how models are fed.

use clap::Args;

use super::values::{at_least_one, shape};
use crate::api::program::{self, State};

/// How models are fed.
#[derive(Debug, Args)]
pub struct Feeding {
    /// Dimensions of an input in random samples, if no samples are given; may be repeated
    ///
    /// The written model keeps its open dimensions.
    #[arg(long = "sample-shape", value_name = "INPUT:1x16", value_parser = shape, help_heading = "Samples",
        hide_short_help = true)]
    pub sample_shapes: Vec<(String, Vec<i64>)>,
    /// Feed an output back as an input of the next call, as a recurrent state or cache; may be repeated
    ///
    /// A * in both names stands for the same text, as in 'present.*:past_key_values.*'. Samples are then consecutive calls: those
    /// of one file, or of the files NAME-1, NAME-2 ... in a folder. The first call takes its state from the samples, or zeros.
    #[arg(long = "state", value_name = "OUTPUT:INPUT", value_parser = state, help_heading = "Samples",
        hide_short_help = true)]
    pub states: Vec<State>,
    /// Reset the state after N calls
    #[arg(long = "sequence-length", value_name = "N", value_parser = at_least_one, requires = "states",
        help_heading = "Samples", hide_short_help = true)]
    pub calls: Option<usize>,
}

impl Feeding {
    /// The same for the pipeline.
    pub fn feeding(&self) -> program::Feeding {
        program::Feeding {
            shapes: self.sample_shapes.clone(),
            states: self.states.clone(),
            calls: self.calls,
        }
    }
}

/// Reads `output:input`. Where names hold colons themselves, the one in the middle parts them.
fn state(text: &str) -> Result<State, String> {
    let colons: Vec<usize> = text.match_indices(':').map(|(at, _)| at).collect();
    let middle = colons.get(colons.len() / 2).filter(|_| colons.len() % 2 == 1);
    let (output, input) = middle
        .map(|&at| (&text[..at], &text[at + 1..]))
        .filter(|(output, input)| !output.is_empty() && !input.is_empty())
        .ok_or("must be an output's name, a colon and the name of the input that it feeds")?;
    Ok(State { output: output.into(), input: input.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_an_output_and_an_input() {
        let read = |text: &str| state(text).map(|state| (state.output, state.input));
        assert_eq!(read("stateN:state"), Ok(("stateN".into(), "state".into())));
        assert_eq!(read("a:0:b:0"), Ok(("a:0".into(), "b:0".into())));
        for wrong in ["state", ":state", "stateN:", "a:b:c", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
