//! A model that tract runs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::OutletId;

use super::concrete::{concrete, is_list, needs_concrete, parse};
use super::guard::guarded;
use super::lowered::lowered;
use super::plain::plain;
use super::plan::{Plan, See, Volume};
use super::values::{from_tract, to_tract, with_floats};
use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{Index, Model};

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

/// Inputs as far as plans are made for them: types and shapes; of short lists the bytes too, where numbers may decide shapes.
type Key = Vec<(DatumType, Vec<usize>, Option<Vec<u8>>)>;
/// Filled once, by whichever thread comes first; others with the same inputs wait for it.
type Slot = Arc<OnceLock<Ready>>;

/// What there is for inputs of one kind.
#[derive(Debug)]
enum Ready {
    Plan(Box<Plan>),
    /// A plan has to be made for each sample: the graph depends on the values themselves.
    EachTime,
    Not(String),
}

/// A model that tract runs. May be used from several threads at once.
#[derive(Debug)]
pub struct Session {
    view: String,
    model: Model,
    /// As tract reads it, or why it does not, or is not asked to.
    direct: Result<InferenceModel, String>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// Taps that tract evaluates, with their place in the model as it is read directly.
    taps: Vec<(String, Option<OutletId>)>,
    /// Taps that are inputs, with the input's position.
    fed: Vec<(String, usize)>,
    plans: Mutex<Vec<(Key, Slot)>>,
}

impl Session {
    /// Loads `model`, called `view` in messages, with half precision widened to FLOAT. `taps` are the values that
    /// [`Session::run_tapped`] shows.
    ///
    /// Where tract cannot run the graph as it is, it is made concrete for each kind of inputs.
    ///
    /// # Errors
    /// [`Error::Runtime`] where it has no value of a tap's name, or reads one that nothing makes.
    pub fn new(model: &Model, view: &str, taps: &[String]) -> Result<Self> {
        let failed = |problem: String| Error::Runtime { action: "load", view: view.into(), problem };
        let model = plain(lowered(model)?)?.into_owned();
        let parsed = match needs_concrete(&model) {
            true => Err("its control flow depends on values".to_owned()),
            false => parse(&model),
        };
        if let Some(name) = parsed.as_ref().ok().and_then(|parsed| parsed.unresolved_inputs.first()) {
            return Err(failed(format!("value {name} is read, but nothing makes it")));
        }
        let inputs: Vec<String> = model.inputs().map(|input| input.name().to_owned()).collect();
        let outputs = model.graph().output.iter().map(|output| output.name().to_owned()).collect();
        let outlets = parsed.as_ref().map(|parsed| parsed.outlets_by_name.clone()).unwrap_or_default();
        let (mut tapped, mut fed) = (Vec::new(), Vec::new());
        let mut known = HashSet::new();
        let index = Index::new(model.graph());
        for tap in taps.iter().filter(|tap| known.insert(tap.as_str())) {
            if let Some(at) = inputs.iter().position(|input| input == tap) {
                fed.push((tap.clone(), at));
            } else if outlets.contains_key(tap) || index.producer_at(tap).is_some() {
                tapped.push((tap.clone(), outlets.get(tap).copied()));
            } else {
                return Err(failed(format!("there is no value called {tap}")));
            }
        }
        let direct = parsed.map(|parsed| parsed.model);
        Ok(Self {
            view: view.into(),
            model,
            direct,
            inputs,
            outputs,
            taps: tapped,
            fed,
            plans: Mutex::default(),
        })
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

    /// What a run on `inputs` computes, without running it. `inputs` are in the order of [`Model::inputs`].
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn volume(&self, inputs: &[TensorProto]) -> Result<Volume> {
        self.with_plan(&self.feed(inputs)?, |plan| Ok(plan.volume.clone()))
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
        let looked_at = see.is_some();
        let run = |plan: &Plan, see: Option<&mut See<'_>>| {
            guarded(|| {
                let values =
                    plan.run(inputs.iter().map(|input| input.clone().into_tvalue()).collect(), see)?;
                let named = self.outputs.iter().zip(values);
                named.map(|(name, value)| convert(name, &value)).collect()
            })
        };
        self.with_plan(inputs, |plan| {
            run(plan, see).or_else(|problem| {
                // Dimensions that only values say. What was looked at is not shown twice.
                let again = if looked_at { None } else { self.concrete(inputs).ok() };
                again.and_then(|(plan, _)| run(&plan, None).ok()).ok_or_else(|| self.failed("run", problem))
            })
        })
    }

    /// Does `work` with the plan for `inputs`.
    fn with_plan<T>(&self, inputs: &[Tensor], work: impl FnOnce(&Plan) -> Result<T>) -> Result<T> {
        let slot = self.slot(key(inputs, false));
        let mut ready = slot.get_or_init(|| self.ready(inputs));
        let lists;
        if matches!(ready, Ready::EachTime) {
            // Perhaps short lists are all that it depends on.
            lists = self.slot(key(inputs, true));
            ready = lists.get_or_init(|| self.made(inputs));
        }
        let alone;
        let plan = match ready {
            Ready::Plan(plan) => plan,
            Ready::EachTime => {
                alone = self.concrete(inputs).map_err(|problem| self.failed("prepare", problem))?.0;
                &alone
            }
            Ready::Not(problem) => return Err(self.failed("prepare", problem.clone())),
        };
        work(plan)
    }

    /// A plan for inputs of these types and shapes: of the graph as it is where tract takes that.
    fn ready(&self, inputs: &[Tensor]) -> Ready {
        let shapes: Vec<(DatumType, Vec<usize>)> =
            inputs.iter().map(|input| (input.datum_type(), input.shape().to_vec())).collect();
        let direct = self.direct.as_ref().map_err(Clone::clone).and_then(|model| {
            let taps: Option<Vec<OutletId>> = self.taps.iter().map(|(_, outlet)| *outlet).collect();
            let taps = taps.ok_or("a value to look at is not found")?;
            guarded(|| Plan::new(model.clone(), &shapes, &taps))
        });
        match (direct, needs_concrete(&self.model)) {
            (Ok(plan), _) => Ready::Plan(Box::new(plan)),
            (Err(problem), named) => match self.made(inputs) {
                // What stands in the way of the graph as it is, says more.
                Ready::Not(_) if !named => Ready::Not(problem),
                // It may hold for these lists alone.
                Ready::Plan(_) if inputs.iter().any(is_list) => Ready::EachTime,
                other => other,
            },
        }
    }

    /// A plan of the graph made concrete.
    fn made(&self, inputs: &[Tensor]) -> Ready {
        match self.concrete(inputs) {
            Ok((plan, true)) => Ready::Plan(Box::new(plan)),
            Ok((_, false)) => Ready::EachTime,
            Err(problem) => Ready::Not(problem),
        }
    }

    /// The graph made concrete for `inputs`, and whether the plan holds for all of their kind.
    fn concrete(&self, inputs: &[Tensor]) -> Result<(Plan, bool), String> {
        let taps: Vec<String> = self.taps.iter().map(|(name, _)| name.clone()).collect();
        let made = concrete(&self.model, inputs, &taps)?;
        let parsed = parse(&made.model)?;
        let places: &HashMap<String, OutletId> = &parsed.outlets_by_name;
        let taps =
            taps.iter().map(|tap| places.get(tap).copied().ok_or_else(|| format!("value {tap} went away")));
        let taps = taps.collect::<Result<Vec<_>, _>>()?;
        let shapes: Vec<(DatumType, Vec<usize>)> =
            inputs.iter().map(|input| (input.datum_type(), input.shape().to_vec())).collect();
        let plan = guarded(|| Plan::new(parsed.model, &shapes, &taps))?;
        Ok((plan, made.general))
    }

    fn slot(&self, key: Key) -> Slot {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = plans.iter().find(|(known, _)| *known == key) {
            return slot.clone();
        }
        if plans.len() >= MOST_PLANS {
            plans.remove(0);
        }
        let slot = Slot::default();
        plans.push((key, slot.clone()));
        slot
    }
}

fn key(inputs: &[Tensor], with_lists: bool) -> Key {
    let bytes = |input: &Tensor| {
        let plain = input.try_as_plain_ram().ok().filter(|_| with_lists && is_list(input))?;
        Some(plain.as_bytes().to_vec())
    };
    inputs.iter().map(|input| (input.datum_type(), input.shape().to_vec(), bytes(input))).collect()
}

fn to_output(name: &str, value: &Tensor) -> TractResult<Output> {
    let values = with_floats(value, <[f32]>::to_vec)?;
    Ok(Output { name: name.into(), dims: value.shape().to_vec(), values })
}
