//! Resuming a network in its middle: what its later nodes need of the values before a cut is kept for every sample, so
//! that a change of a later node is measured without running the earlier ones again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::segment::{Changes, Segment, leading};
use super::spool::Spool;
use super::walk::Feed;
use crate::error::{Error, Result};
use crate::onnx::proto::{GraphProto, TensorProto};
use crate::onnx::{Index, Model, floats, outer_names};
use crate::runtime::{Output, Session};

/// Samples in flight at a time.
const CHUNK: usize = 16;

/// The values of one network at a cut, on every sample. Clones share them.
#[derive(Clone, Debug)]
pub struct Resume {
    view: &'static str,
    count: usize,
    values: BTreeMap<String, Arc<Spool>>,
    /// Values that are the same on every sample.
    known: BTreeMap<String, TensorProto>,
}

impl Resume {
    /// At the inputs of `model`; `feed` gives those of `count` samples. The network is called `view` in messages.
    ///
    /// # Errors
    /// Whatever reading a sample gives.
    pub fn new(model: &Model, count: usize, feed: &Feed, view: &'static str) -> Result<Self> {
        let names: Vec<String> = model.inputs().map(|input| input.name().to_owned()).collect();
        let mut spools: Vec<Spool> = names.iter().map(|name| Spool::new(name)).collect();
        for at in 0..count {
            for (spool, value) in spools.iter_mut().zip(&feed(at)?) {
                spool.push(value)?;
            }
        }
        let values = names.into_iter().zip(spools.into_iter().map(Arc::new)).collect();
        Ok(Self { view, count, values, known: BTreeMap::new() })
    }

    /// The same values for a network called `view` in messages.
    pub fn renamed(&self, view: &'static str) -> Self {
        Self { view, ..self.clone() }
    }

    /// Moves the cut on, so that afterwards the values called `wanted` are kept and no others. `model` computes them from
    /// what is kept now.
    ///
    /// # Errors
    /// Whatever running a part of the model gives.
    pub fn advance(&mut self, model: &Model, wanted: &BTreeSet<String>) -> Result<()> {
        let there = |name: &String| self.values.contains_key(name) || self.known.contains_key(name);
        let missing: Vec<String> = wanted.iter().filter(|name| !there(name)).cloned().collect();
        let mut spools: Vec<Spool> = missing.iter().map(|name| Spool::new(name)).collect();
        self.run(model, &missing, Session::run_tensors, &mut |_, values| {
            spools.iter_mut().zip(&values).try_for_each(|(spool, value)| spool.push(value))
        })?;
        for (name, spool) in missing.into_iter().zip(spools) {
            match spool.constant() {
                Some(constant) => drop(self.known.insert(name, constant.clone())),
                None => drop(self.values.insert(name, Arc::new(spool))),
            }
        }
        self.values.retain(|name, _| wanted.contains(name));
        self.known.retain(|name, _| wanted.contains(name));
        Ok(())
    }

    /// Runs what of `model` comes after the cut, and shows `outputs` of each sample, one sample after the other. Other
    /// outputs are not computed.
    ///
    /// # Errors
    /// Whatever running a part of the model gives, and what `see` gives.
    pub fn finish(
        &self,
        model: &Model,
        outputs: &[String],
        see: &mut dyn FnMut(usize, Vec<Output>) -> Result<()>,
    ) -> Result<()> {
        let there = |name: &String| self.values.contains_key(name) || self.known.contains_key(name);
        let missing: Vec<String> = outputs.iter().filter(|name| !there(name)).cloned().collect();
        self.run(model, &missing, Session::run, &mut |at, computed| {
            let mut computed = computed.into_iter();
            let all = outputs.iter().map(|name| match there(name) {
                true => self.output(name, at),
                false => computed.next().ok_or_else(|| self.lost(name)),
            });
            see(at, all.collect::<Result<_>>()?)
        })
    }

    /// Runs the nodes between what is kept and `outputs`, on every sample.
    fn run<T: Send>(
        &self,
        model: &Model,
        outputs: &[String],
        run: impl Fn(&Session, &[TensorProto]) -> Result<Vec<T>> + Sync,
        each: &mut dyn FnMut(usize, Vec<T>) -> Result<()>,
    ) -> Result<()> {
        if outputs.is_empty() {
            return (0..self.count).try_for_each(|at| each(at, Vec::new()));
        }
        let index = Index::new(model.graph());
        let kept = |name: &str| self.values.contains_key(name) || self.known.contains_key(name);
        let nodes = leading(&index, outputs.iter().map(String::as_str), kept);
        let segment = Segment::new(model, &index, &nodes, outputs, &Changes::default(), &self.known)?;
        let session = Session::new(&segment.model, self.view, &[])?;
        for start in (0..self.count).step_by(CHUNK) {
            let values: Vec<Vec<T>> = (start..self.count.min(start + CHUNK))
                .into_par_iter()
                .map(|at| {
                    let inputs = segment.inputs.iter().map(|name| self.get(name, at));
                    run(&session, &inputs.collect::<Result<Vec<_>>>()?)
                })
                .collect::<Result<_>>()?;
            for (at, values) in (start..).zip(values) {
                each(at, values)?;
            }
        }
        Ok(())
    }

    fn get(&self, name: &str, at: usize) -> Result<TensorProto> {
        self.values.get(name).ok_or_else(|| self.lost(name))?.get(at)
    }

    /// An output that lies before the cut.
    fn output(&self, name: &str, at: usize) -> Result<Output> {
        let value = match self.known.get(name) {
            Some(known) => known.clone(),
            None => self.get(name, at)?,
        };
        let dims = value.dims.iter().map(|&dim| dim.max(0) as usize).collect();
        Ok(Output { name: name.to_owned(), dims, values: floats(&value)? })
    }

    fn lost(&self, name: &str) -> Error {
        let problem = format!("value {name} is neither kept nor computed");
        Error::Runtime { action: "resume", view: self.view.into(), problem }
    }
}

/// The values that a cut before the node at `position` of `graph` goes through: what the nodes from there on, or the
/// graph's outputs, need of inputs and of the nodes before.
pub fn frontier(graph: &GraphProto, position: usize) -> BTreeSet<String> {
    let later = &graph.node[position.min(graph.node.len())..];
    let made: BTreeSet<&str> = later.iter().flat_map(|node| node.output.iter().map(String::as_str)).collect();
    let constant: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name()).collect();
    let read = later
        .iter()
        .flat_map(|node| node.input.iter().map(String::as_str).chain(outer_names(node)))
        .chain(graph.output.iter().map(|output| output.name()));
    read.filter(|name| !name.is_empty() && !made.contains(name) && !constant.contains(name))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::tensor_f32;

    /// `a = relu(x)` is an output and read twice; the other output is `(a + x) * a`.
    fn model() -> Model {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 3]);
        let a = graph.node("Relu", &[&x], &[]);
        let sum = graph.node("Add", &[&a, &x], &[]);
        let y = graph.node("Mul", &[&sum, &a], &[]);
        graph.output(&a);
        graph.output(&y);
        graph.model()
    }

    #[test]
    fn a_cut_goes_through_what_is_needed_later() {
        let model = model();
        let through = |position| frontier(model.graph(), position).into_iter().collect::<Vec<_>>();
        assert_eq!(through(0), ["x"]);
        assert_eq!(through(1), ["relu_0", "x"]);
        assert_eq!(through(2), ["add_1", "relu_0"]);
        assert_eq!(through(3), ["mul_2", "relu_0"]);
    }

    #[test]
    fn wherever_it_is_resumed_the_outputs_are_the_same() {
        let model = model();
        let feed = |at: usize| Ok(vec![tensor_f32("x", &[1, 3], &[-1.0, at as f32, 2.0])]);
        let outputs: Vec<String> =
            model.graph().output.iter().map(|output| output.name().to_owned()).collect();
        let start = Resume::new(&model, 20, &feed, "float").unwrap();
        for position in 0..=3 {
            let mut resume = start.clone();
            resume.advance(&model, &frontier(model.graph(), position)).unwrap();
            let mut seen = 0;
            resume
                .finish(&model, &outputs, &mut |at, values| {
                    assert_eq!(at, seen);
                    let x = at as f32;
                    assert_eq!(values[0].values, [0.0, x, 2.0]);
                    assert_eq!(values[1].values, [0.0, 2.0 * x * x, 8.0]);
                    assert_eq!(values[1].dims, [1, 3]);
                    seen += 1;
                    Ok(())
                })
                .unwrap();
            assert_eq!(seen, 20);
        }
    }
}
