//! A model that tract runs.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::OutletId;

use super::guard::guarded;
use super::operators::TRACT;
use super::plan::{Plan, See};
use super::values::{from_tract, to_tract, with_floats};
use super::widened::widened;
use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{self, Model};

/// Plans kept at a time. Each may hold repacked weights, so samples that all differ in shape must
/// not pile them up.
const MOST_PLANS: usize = 8;

/// One output of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name in the graph.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<usize>,
    /// Its values in row-major order; integers and booleans as the nearest f32.
    pub values: Vec<f32>,
}

/// Takes a tapped value's name, dimensions and values, the latter in row-major order.
pub type Tap<'t> = dyn FnMut(&str, &[usize], &[f32]) + 't;

type Shapes = Vec<(DatumType, Vec<usize>)>;
/// Filled once, by whichever thread comes first; others with the same shapes wait for it.
type Slot = Arc<OnceLock<Result<Plan, String>>>;

/// A model that tract runs. May be used from several threads at once.
#[derive(Debug)]
pub struct Session {
    view: String,
    model: InferenceModel,
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// Taps that tract evaluates.
    taps: Vec<(String, OutletId)>,
    /// Taps that are inputs, with the input's position.
    fed: Vec<(String, usize)>,
    plans: Mutex<Vec<(Shapes, Slot)>>,
}

impl Session {
    /// Loads `model`, called `view` in messages, with half precision widened to FLOAT. `taps` are the values that
    /// [`Session::run_tapped`] shows.
    ///
    /// # Errors
    /// [`Error::Runtime`] where tract cannot read the model, or it has no value of a tap's name.
    pub fn new(model: &Model, view: &str, taps: &[String]) -> Result<Self> {
        let failed = |problem: String| Error::Runtime { action: "load", view: view.into(), problem };
        let wide = widened(model)?;
        let model = wide.as_ref();
        let parsed = guarded(|| {
            // What the file declares of inner values is symbolic where the inputs are: with the
            // inputs concrete it would contradict them.
            let tract = TRACT.clone().with_ignore_value_info(true).with_ignore_output_types(true);
            let bytes = onnx::encode(model);
            let proto = tract.proto_model_for_read(&mut bytes.as_slice())?;
            drop(bytes);
            tract.parse(&proto, None)
        });
        let parsed = parsed.map_err(failed)?;
        if let Some(name) = parsed.unresolved_inputs.first() {
            return Err(failed(format!("value {name} is read, but nothing makes it")));
        }
        let inputs: Vec<String> = model.inputs().map(|input| input.name().to_owned()).collect();
        let outputs = model.graph().output.iter().map(|output| output.name().to_owned()).collect();
        let mut session = Self {
            view: view.into(),
            model: parsed.model,
            inputs,
            outputs,
            taps: Vec::new(),
            fed: Vec::new(),
            plans: Mutex::default(),
        };
        let mut known = HashSet::new();
        for tap in taps.iter().filter(|tap| known.insert(tap.as_str())) {
            if let Some(at) = session.inputs.iter().position(|input| input == tap) {
                session.fed.push((tap.clone(), at));
            } else if let Some(&outlet) = parsed.outlets_by_name.get(tap) {
                session.taps.push((tap.clone(), outlet));
            } else {
                return Err(failed(format!("there is no value called {tap}")));
            }
        }
        Ok(session)
    }

    /// Runs the model once. `inputs` are in the order of [`Model::inputs`].
    ///
    /// # Errors
    /// [`Error::Runtime`] where tract fails, [`Error::Invalid`] where an input is no valid tensor.
    pub fn run(&self, inputs: &[TensorProto]) -> Result<Vec<Output>> {
        self.execute(&self.feed(inputs)?, None, to_output)
    }

    /// Runs the model once and gives each output with the element type that it has here, as `raw_data`. `inputs` are in the order of
    /// [`Model::inputs`].
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_tensors(&self, inputs: &[TensorProto]) -> Result<Vec<TensorProto>> {
        self.execute(&self.feed(inputs)?, None, from_tract)
    }

    /// Runs the model once and shows each tapped value as it is computed: its name, dimensions and
    /// values in row-major order. None is kept.
    ///
    /// # Errors
    /// As [`Session::run`]; also where tract left out a tap.
    pub fn run_tapped(&self, inputs: &[TensorProto], tap: &mut Tap<'_>) -> Result<Vec<Output>> {
        let inputs = self.feed(inputs)?;
        for (name, at) in &self.fed {
            if let Some(value) = inputs.get(*at) {
                let shown = guarded(|| with_floats(value, |values| tap(name, value.shape(), values)));
                shown.map_err(|problem| self.failed("run", format!("input {name}: {problem}")))?;
            }
        }
        let mut seen = vec![false; self.taps.len()];
        let mut see = |at: usize, dims: &[usize], values: &[f32]| {
            if let (Some((name, _)), Some(seen)) = (self.taps.get(at), seen.get_mut(at)) {
                *seen = true;
                tap(name, dims, values);
            }
        };
        let outputs = self.execute(&inputs, Some(&mut see), to_output)?;
        match self.taps.iter().zip(&seen).find(|(_, seen)| !**seen) {
            Some(((name, _), _)) => Err(self.failed("run", format!("value {name} was not computed"))),
            None => Ok(outputs),
        }
    }

    fn failed(&self, action: &'static str, problem: String) -> Error {
        Error::Runtime { action, view: self.view.clone(), problem }
    }

    fn feed(&self, inputs: &[TensorProto]) -> Result<Vec<Tensor>> {
        if inputs.len() != self.inputs.len() {
            let problem = format!("{} inputs given, it takes {}", inputs.len(), self.inputs.join(", "));
            return Err(self.failed("run", problem));
        }
        inputs.iter().map(to_tract).collect()
    }

    fn execute<T>(
        &self,
        inputs: &[Tensor],
        see: Option<&mut See<'_>>,
        convert: impl Fn(&str, &Tensor) -> TractResult<T>,
    ) -> Result<Vec<T>> {
        let shapes: Shapes =
            inputs.iter().map(|input| (input.datum_type(), input.shape().to_vec())).collect();
        let slot = self.slot(&shapes);
        let built = slot.get_or_init(|| {
            let taps: Vec<OutletId> = self.taps.iter().map(|(_, outlet)| *outlet).collect();
            guarded(|| Plan::new(self.model.clone(), &shapes, &taps))
        });
        let plan = built.as_ref().map_err(|problem| self.failed("prepare", problem.clone()))?;
        let outputs = guarded(|| {
            let values = plan.run(inputs.iter().map(|input| input.clone().into_tvalue()).collect(), see)?;
            let named = self.outputs.iter().zip(values);
            named.map(|(name, value)| convert(name, &value)).collect()
        });
        outputs.map_err(|problem| self.failed("run", problem))
    }

    fn slot(&self, shapes: &Shapes) -> Slot {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = plans.iter().find(|(known, _)| known == shapes) {
            return slot.clone();
        }
        if plans.len() >= MOST_PLANS {
            plans.remove(0);
        }
        let slot = Slot::default();
        plans.push((shapes.clone(), slot.clone()));
        slot
    }
}

fn to_output(name: &str, value: &Tensor) -> TractResult<Output> {
    let values = with_floats(value, <[f32]>::to_vec)?;
    Ok(Output { name: name.into(), dims: value.shape().to_vec(), values })
}
