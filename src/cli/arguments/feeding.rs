//! The arguments that say how models are fed.

use clap::Args;

use super::values::{at_least_one, shape};
use crate::api::program::{self, State};

/// How models are fed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Samples")]
pub struct Feeding {
    /// Dimensions of an input in made-up samples, where none are given; the written model stays as free as before; may be repeated
    #[arg(long = "sample-shape", value_name = "INPUT:1x16", value_parser = shape)]
    pub sample_shapes: Vec<(String, Vec<i64>)>,
    /// An output that is an input of the next call, as recurrent state or cache; may be repeated, and a `*` in both names stands
    /// for the same part of each, as in 'present.*:past_key_values.*'. Samples are then calls in their order: those of one file, or of the files NAME-1, NAME-2 ... in a folder; the first call's state is that of the
    /// samples, or zeros
    #[arg(long = "state", value_name = "OUTPUT:INPUT", value_parser = state)]
    pub states: Vec<State>,
    /// Begin anew with the state after so many calls
    #[arg(long = "sequence-length", value_name = "N", value_parser = at_least_one, requires = "states")]
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
