//! How models are fed: shapes of made-up samples, and outputs that feed inputs from call to call.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, Model, tensor_of};
use crate::runtime::{Output, Session};
use crate::samples::{Preprocess, Sample, Samples};
use crate::validate::Runs;

/// An output that is the next call's input, as in `--state OUTPUT:INPUT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The output.
    pub output: String,
    /// The input.
    pub input: String,
}

/// See the module.
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
    /// The samples at `path`, with the states that `model` gives.
    ///
    /// # Errors
    /// [`Error::Options`] where a state is no input or output of `model`; whatever reading samples and running the model gives.
    pub(super) fn open(
        &self,
        path: &Path,
        model: &Model,
        preprocess: Option<&Preprocess>,
    ) -> Result<Samples> {
        let places = self.places(model)?;
        if places.is_empty() {
            return Samples::open(path, model, preprocess);
        }
        let slots: Vec<usize> = places.iter().map(|&(_, slot)| slot).collect();
        let samples = Samples::open_stateful(path, model, preprocess, &slots)?;
        let session = Session::new(model, "float", &[])?;
        let states = self.chained(&session, &samples, &places)?;
        Ok(samples.replaced(states))
    }

    /// `session`, which runs a changed form of `model`, on the calls of which `samples` are some: each with the states that its own
    /// calls before gave.
    ///
    /// # Errors
    /// As [`Feeding::open`].
    pub(super) fn own<'s>(&self, session: &'s dyn Runs, model: &Model, samples: &Samples) -> Result<Own<'s>> {
        let places = self.places(model)?;
        let mut inputs = HashMap::new();
        if !places.is_empty() {
            let all = samples.whole();
            for (at, states) in self.chained(session, &all, &places)?.into_iter().enumerate() {
                inputs.insert(all.get(at)?.digest(), states);
            }
        }
        Ok(Own { session, inputs })
    }

    fn places(&self, model: &Model) -> Result<Vec<Places>> {
        let inputs: Vec<&str> = model.inputs().map(|input| input.name()).collect();
        let outputs: Vec<&str> = model.graph().output.iter().map(|output| output.name()).collect();
        let place = |state: &State| {
            let at = |names: &[&str], name: &str, what: &str| {
                names.iter().position(|known| *known == name).ok_or_else(|| {
                    Error::options(
                        format!("--state {}:{}: {name} is no {what}", state.output, state.input),
                        format!("the {what}s are {}", names.join(", ")),
                    )
                })
            };
            Ok((at(&outputs, &state.output, "output")?, at(&inputs, &state.input, "input")?))
        };
        self.states.iter().map(place).collect()
    }

    /// For each sample the states that `session` gives it from the calls before it. A sequence begins with what the samples hold.
    fn chained(
        &self,
        session: &dyn Runs,
        samples: &Samples,
        places: &[Places],
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
                    let outputs = session.run(&sample.inputs)?;
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
    session: &'s dyn Runs,
    /// By the digests of samples.
    inputs: HashMap<u64, Vec<(usize, TensorProto)>>,
}

impl Runs for Own<'_> {
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
