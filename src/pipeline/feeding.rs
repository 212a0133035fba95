//! How models are fed: shapes of made-up samples, and outputs that feed inputs from call to call.

use std::collections::HashMap;

use rayon::prelude::*;

use super::proportion::Excess;
use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, Model, tensor_of};
use crate::runtime::{Output, Session};
use crate::samples::{Preprocess, Sample, SampleSet, Samples};
use crate::validate::Runner;

/// An output that is the next call's input, as in `present.*:past.*`; a `*` in both names stands for the same part of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The output.
    pub output: String,
    /// The input.
    pub input: String,
}

impl State {
    /// Whether it stands for any of these outputs.
    fn is_of(&self, outputs: &[&str]) -> bool {
        match (self.output.split_once('*'), self.input.contains('*')) {
            (Some((before, after)), true) => outputs
                .iter()
                .any(|name| name.strip_prefix(before).is_some_and(|rest| rest.strip_suffix(after).is_some())),
            _ => outputs.contains(&self.output.as_str()),
        }
    }

    /// Which of a model's outputs feed which of its inputs: one pair, or with a `*` in both names all that these stand for.
    fn places(&self, outputs: &[&str], inputs: &[&str]) -> Result<Vec<Places>> {
        let refused = |problem: String, what: &str, names: &[&str]| {
            Error::options(
                format!("`.state` {}:{}: {problem}", self.output, self.input),
                format!("the {what}s are {}", names.join(", ")),
            )
        };
        let at = |names: &[&str], name: &str, what: &str| {
            let found = names.iter().position(|known| *known == name);
            found.ok_or_else(|| refused(format!("{name} is no {what}"), what, names))
        };
        let (Some((before, after)), Some((first, last))) =
            (self.output.split_once('*'), self.input.split_once('*'))
        else {
            return Ok(vec![(at(outputs, &self.output, "output")?, at(inputs, &self.input, "input")?)]);
        };
        let mut places = Vec::new();
        for (output, name) in outputs.iter().enumerate() {
            let part = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            if let Some(part) = part {
                places.push((output, at(inputs, &format!("{first}{part}{last}"), "input")?));
            }
        }
        if places.is_empty() {
            return Err(refused(format!("no output is called {}", self.output), "output", outputs));
        }
        Ok(places)
    }
}

/// How a model is fed: shapes of made-up samples, states, and the length of sequences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feeding {
    /// Dimensions of inputs of made-up samples, by the inputs' names.
    pub shapes: Vec<(String, Vec<i64>)>,
    /// What feeds what.
    pub states: Vec<State>,
    /// Calls of one sequence; all of a file where not given.
    pub calls: Option<usize>,
}

/// Positions of an output and of the input that it feeds.
type Places = (usize, usize);

impl Feeding {
    /// The samples of `set`, with the states that `model` gives.
    ///
    /// # Errors
    /// [`Error::Options`] where a state is no input or output of `model`; whatever reading samples and running the model gives.
    pub(super) fn open(
        &self,
        set: &SampleSet,
        model: &Model,
        preprocess: Option<&Preprocess>,
    ) -> Result<Samples> {
        let places = self.places(model)?;
        if places.is_empty() {
            return Samples::open_set(set, model, preprocess);
        }
        let slots: Vec<usize> = places.iter().map(|&(_, slot)| slot).collect();
        let samples = Samples::open_stateful(set, model, preprocess, &slots)?;
        if let Some(excess) = Excess::of(model, &samples)?.filter(|excess| excess.runs() < samples.len()) {
            return Err(excess.refusal());
        }
        let session = Session::new(model, "float", &[])?;
        let states = self.chained(&session, &samples, &places, true)?;
        Ok(samples.replaced(states))
    }

    /// `session`, which runs a changed form of `model`, on the calls of which `samples` are some: each with the states that its own
    /// calls before gave.
    ///
    /// # Errors
    /// As [`Feeding::open`].
    pub(super) fn own<'s>(
        &self,
        session: &'s dyn Runner,
        model: &Model,
        samples: &Samples,
    ) -> Result<Own<'s>> {
        let places = self.places(model)?;
        let mut inputs = HashMap::new();
        if !places.is_empty() {
            let all = samples.whole();
            for (at, states) in self.chained(session, &all, &places, false)?.into_iter().enumerate() {
                inputs.insert(all.get(at)?.digest(), states);
            }
        }
        Ok(Own { session, inputs })
    }

    /// This without states that stand for no output of `model`, and a warning for each of these.
    pub(super) fn fitting(&self, model: &Model) -> (Self, Vec<String>) {
        let outputs: Vec<&str> = model.graph().output.iter().map(|output| output.name()).collect();
        let (states, others): (Vec<State>, Vec<State>) =
            self.states.iter().cloned().partition(|state| state.is_of(&outputs));
        let told = others.iter().map(|State { output, input }| {
            format!("`.state` {output}:{input} is ignored: no output is called {output}")
        });
        (Self { states, ..self.clone() }, told.collect())
    }

    fn places(&self, model: &Model) -> Result<Vec<Places>> {
        let inputs: Vec<&str> = model.inputs().map(|input| input.name()).collect();
        let outputs: Vec<&str> = model.graph().output.iter().map(|output| output.name()).collect();
        let mut places: Vec<Places> = Vec::new();
        for state in &self.states {
            for place in state.places(&outputs, &inputs)? {
                if let Some(other) = places.iter().find(|other| other.1 == place.1 && other.0 != place.0) {
                    let both = format!("outputs {} and {} feed it", outputs[other.0], outputs[place.0]);
                    return Err(Error::options(format!("`.state`: input {}", inputs[place.1]), both));
                }
                places.push(place);
            }
        }
        places.sort_unstable();
        places.dedup();
        Ok(places)
    }

    /// For each sample the states that `session` gives it from the calls before it. A sequence begins with what the samples hold. What cannot
    /// be run is the samples' fault where `of_samples` says so.
    fn chained(
        &self,
        session: &dyn Runner,
        samples: &Samples,
        places: &[Places],
        of_samples: bool,
    ) -> Result<Vec<Vec<(usize, TensorProto)>>> {
        let all = samples.len();
        let mut starts: Vec<usize> = samples.starts();
        if let Some(calls) = self.calls {
            let ends = starts.iter().skip(1).copied().chain([all]).collect::<Vec<_>>();
            starts =
                starts.iter().zip(ends).flat_map(|(&from, to)| (from..to).step_by(calls.max(1))).collect();
        }
        let ends = starts.iter().skip(1).copied().chain([all]).collect::<Vec<_>>();
        let sequences: Vec<_> = starts.into_iter().zip(ends).collect();
        let parts = sequences.into_par_iter().map(|(from, to)| {
            let mut states: Vec<Vec<(usize, TensorProto)>> = Vec::new();
            let mut next: Option<Vec<(usize, TensorProto)>> = None;
            for at in from..to {
                let mut sample = samples.get(at)?;
                let own = next.take().unwrap_or_else(|| {
                    places.iter().map(|&(_, slot)| (slot, sample.inputs[slot].clone())).collect()
                });
                own.iter().for_each(|(slot, value)| sample.inputs[*slot].clone_from(value));
                if at + 1 < to {
                    let call = |error: Error| match error {
                        error @ Error::Runtime { .. } if of_samples => {
                            let expected = "a call that follows those before it, as `.state` has it";
                            Error::samples(samples.path(), samples.name(at), expected, error.to_string())
                        }
                        other => other,
                    };
                    let outputs = session.run(&sample.inputs).map_err(call)?;
                    next = Some(
                        places
                            .iter()
                            .map(|&(output, slot)| Ok((slot, fed_back(&sample, slot, outputs.get(output))?)))
                            .collect::<Result<_>>()?,
                    );
                }
                states.push(own);
            }
            Ok(states)
        });
        Ok(parts.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

/// An output as the input at `slot`.
fn fed_back(sample: &Sample, slot: usize, output: Option<&Output>) -> Result<TensorProto> {
    let input = &sample.inputs[slot];
    let output =
        output.ok_or_else(|| Error::invalid(format!("input {}", input.name()), "no output feeds it"))?;
    let dims: Vec<i64> = output.dims.iter().map(|&dim| dim as i64).collect();
    if dims.len() != input.dims.len() {
        let problem = format!("output {}, which feeds it, has the shape {dims:?}", output.name);
        return Err(Error::invalid(format!("input {}", input.name()), problem));
    }
    let dtype = Dtype::try_from(input.data_type()).unwrap_or(Dtype::Float);
    Ok(tensor_of(input.name().to_owned(), dtype, &dims, &output.values))
}

/// A model whose states are its own.
pub(super) struct Own<'s> {
    session: &'s dyn Runner,
    /// By the digests of samples.
    inputs: HashMap<u64, Vec<(usize, TensorProto)>>,
}

impl Runner for Own<'_> {
    fn run(&self, inputs: &[TensorProto]) -> Result<Vec<Output>> {
        if self.inputs.is_empty() {
            return self.session.run(inputs);
        }
        let mut sample = Sample { inputs: inputs.to_vec(), labels: Vec::new() };
        for (slot, value) in self.inputs.get(&sample.digest()).into_iter().flatten() {
            sample.inputs[*slot].clone_from(value);
        }
        self.session.run(&sample.inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_the_same_part_of_both_names() {
        let outputs = ["logits", "present.0.key", "present.0.value", "present.1.key"];
        let inputs = ["ids", "past.0.key", "past.0.value", "past.1.key"];
        let places = |output: &str, input: &str| {
            State { output: output.into(), input: input.into() }
                .places(&outputs, &inputs)
                .map_err(|error| error.to_string())
        };
        assert_eq!(places("present.*", "past.*"), Ok(vec![(1, 1), (2, 2), (3, 3)]));
        assert_eq!(places("present.*.key", "past.*.key"), Ok(vec![(1, 1), (3, 3)]));
        assert_eq!(places("present.1.key", "past.1.key"), Ok(vec![(3, 3)]));
        for (output, input, told) in [
            ("cache.*", "past.*", "no output is called cache.*"),
            ("present.*", "cache.*", "cache.0.key is no input"),
            ("present.*", "past.0.key", "present.* is no output"),
        ] {
            assert!(places(output, input).expect_err(output).contains(told), "{output}:{input}");
        }
        for (output, input, is_of) in [
            ("present.*", "past.*", true),
            ("present.*", "cache.*", true),
            ("logits", "past", true),
            ("cache.*", "past.*", false),
            ("present.*", "past", false),
            ("present", "past", false),
        ] {
            let state = State { output: output.into(), input: input.into() };
            assert_eq!(state.is_of(&outputs), is_of, "{output}:{input}");
        }
    }
}
