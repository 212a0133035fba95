//! A finished plan taken apart: the networks with one layer quantized, and with all but one, where nothing else changes.

use crate::calibrate::frontier;
use crate::error::{Error, Result};
use crate::pipeline::bench::Bench;
use crate::plan::{Layer, Loss, Plan};
use crate::progress::{Progress, Stage};
use crate::validate::Paired;

/// What a plan does as a whole, and with its layers taken out one by one.
pub(super) struct Apart {
    pub whole: Paired,
    /// In the order of the layers.
    pub layers: Vec<One>,
    /// Why whole runs were made for each layer, if the network could not be resumed at them.
    pub not_resumed: Option<String>,
}

pub(super) struct One {
    /// This layer quantized, all others float; not where that was not asked for.
    pub alone: Option<Loss>,
    /// This layer float, all others quantized as planned.
    pub without: Paired,
}

impl One {
    /// The mean of the noise that the layer brings to the float network and of what goes when it is taken out of the network of
    /// `whole`, over all noise there.
    pub fn share(&self, whole: &Loss) -> f64 {
        let alone = self.alone.map_or(0.0, |alone| alone.noise);
        let broken = self.alone.map_or(0, |alone| alone.broken);
        let guess =
            0.5 * (alone + whole.noise - self.without.loss().noise) / whole.noise.max(f64::MIN_POSITIVE);
        // What is broken is worse than any noise.
        if broken > 0 || !guess.is_finite() { f64::MAX } else { guess }
    }
}

/// Takes `plan` apart into `layers`, which are its own in graph order. The float network and the one that the plan makes advance
/// together from layer to layer, and for each layer both are resumed there: with this layer quantized, where `alone` asks for
/// it, and with this layer float.
///
/// # Errors
/// Whatever running the model gives, and [`Error::Plan`] where the plan does not fit the model.
pub(super) fn apart(
    bench: &Bench,
    plan: &Plan,
    layers: &[Layer],
    alone: bool,
    progress: &dyn Progress,
) -> Result<Apart> {
    match measure(bench, plan, layers, (alone, true), progress) {
        // Parts may be harder to run than the whole, where shapes are computed.
        Err(error @ Error::Runtime { .. }) => {
            let measured = measure(bench, plan, layers, (alone, false), progress)?;
            Ok(Apart { not_resumed: Some(error.to_string()), ..measured })
        }
        other => other,
    }
}

fn measure(
    bench: &Bench,
    plan: &Plan,
    layers: &[Layer],
    (alone, resumed): (bool, bool),
    progress: &dyn Progress,
) -> Result<Apart> {
    let stage = Stage::begin(progress, "measure", layers.len())?;
    let whole_model = bench.changed(plan)?;
    let (mut float, mut quantized) = (bench.start.clone(), bench.start.renamed("quantized"));
    let whole = bench.paired(&quantized, &whole_model)?;
    let mut rows = Vec::new();
    for layer in layers {
        if resumed {
            let cut = frontier(bench.model.graph(), layer.first());
            if alone {
                float.advance(&bench.float, &cut)?;
            }
            quantized.advance(&whole_model, &cut)?;
        }
        let alone = match alone {
            true => Some(bench.loss(&float, &bench.changed(&layer.only())?)?),
            false => None,
        };
        let without = bench.paired(&quantized, &bench.changed(&layer.without())?)?;
        rows.push(One { alone, without });
        stage.step()?;
    }
    Ok(Apart { whole, layers: rows, not_resumed: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::analyse;
    use crate::calibrate::observe;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{Model, tensor_f32};
    use crate::options::Options;
    use crate::plan::{Analysis, Decision, Subject};
    use crate::progress::Silent;
    use crate::rewrite::{Dialect, apply, lower};
    use crate::runtime::Session;
    use crate::samples::Samples;
    use crate::solve::{Measurements, Shared, solve};
    use crate::validate::{Watch, compare};

    /// Two layers read one activation, two share their weights, and one output comes early. The weights called `bad` hold
    /// large values, which leave no codes for the small ones, and meet an input that is always zero.
    fn model() -> Model {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1, 16]);
        let first = graph.weights("first", &[16, 16]);
        let bias = graph.initializer(tensor_f32("bias", &[16], &[0.1; 16]));
        let a = graph.node("Gemm", &[&x, &first, &bias], &[]);
        let a = graph.node("Relu", &[&a], &[]);
        let [left, right] = ["left", "right"].map(|name| graph.weights(name, &[16, 16]));
        let small = |at: usize| (at as f32 * 0.7).sin() * 0.3;
        let shared: Vec<f32> = (0..256).map(|at| if at % 16 == 0 { 0.0 } else { small(at + 5) }).collect();
        let shared = graph.initializer(tensor_f32("shared", &[16, 16], &shared));
        let [l, r] = [&left, &right].map(|weights| graph.node("MatMul", &[&a, weights], &[]));
        let sum = graph.node("Add", &[&l, &r], &[]);
        let once = graph.node("MatMul", &[&sum, &shared], &[]);
        let once = graph.node("Relu", &[&once], &[]);
        let bad: Vec<f32> = (0..256).map(|at| if at < 16 { 40.0 } else { small(at) }).collect();
        let bad = graph.initializer(tensor_f32("bad", &[16, 16], &bad));
        let spoilt = graph.node("MatMul", &[&once, &bad], &[]);
        let y = graph.node("MatMul", &[&spoilt, &shared], &[]);
        graph.output(&a);
        graph.output(&y);
        graph.model()
    }

    fn planned(model: &Model, samples: &Samples) -> (Analysis, Plan) {
        let options = Options::default();
        let analysis = analyse(model, &options).unwrap();
        let feed = |at: usize| Ok(samples.get(at)?.inputs);
        let observed = observe(model, &analysis, samples.len(), &feed, true, &Silent).unwrap();
        let subject = Subject { file: "m".into(), sha256: String::new() };
        let plan = solve(
            model,
            &analysis,
            Some(&observed),
            &options,
            &crate::plan::Expected::new(),
            subject,
            Shared { measurements: &Measurements::default(), progress: &Silent, notes: None },
        )
        .unwrap();
        (analysis, plan)
    }

    /// The noise of the output `y`, from whole runs of the model with those decisions that concern the nodes in `kept`.
    fn by_hand(model: &Model, plan: &Plan, samples: &Samples, kept: &dyn Fn(usize) -> bool) -> f64 {
        let mut part = plan.clone();
        part.decisions.retain_mut(|decision| match decision {
            Decision::Weight(weight) => kept(weight.reads[0].at),
            Decision::Activation(activation) => {
                activation.reads.retain(|read| kept(read.at));
                !activation.reads.is_empty()
            }
        });
        let float = Session::new(model, "float", &[]).unwrap();
        let view = lower(&apply(model, &part, None).unwrap(), Dialect::Folded).unwrap();
        let quantized = Session::new(&view, "quantized", &[]).unwrap();
        let validation =
            compare(&float, &quantized, samples, "folded", &Watch::NOBODY, &Silent).unwrap().validation;
        let noise = validation
            .outputs
            .iter()
            .map(|output| output.sqnr_db.map_or(0.0, |decibels| 10f64.powf(-decibels / 10.0)));
        noise.sum::<f64>() / validation.outputs.len() as f64
    }

    #[test]
    fn layers_cost_what_whole_runs_say() {
        let model = model();
        let samples = Samples::synthetic(&model, &[], 40, 7).unwrap();
        let (analysis, plan) = planned(&model, &samples);
        let layers = Layer::all(&analysis, &plan);
        let names: Vec<&str> = layers.iter().map(|layer| layer.site.tensor.as_str()).collect();
        assert_eq!(names, ["first", "left", "right", "shared", "bad"]);
        let bench = Bench::new(&model, &samples).unwrap();
        let found = apart(&bench, &plan, &layers, true, &Silent).unwrap();
        assert_eq!(found.not_resumed, None);
        let close = |one: f64, other: f64, what: &str| {
            assert!((one - other).abs() <= 1e-4 * other, "{what}: {one} is not {other}");
        };
        let whole = found.whole.loss();
        close(whole.noise, by_hand(&model, &plan, &samples, &|_| true), "whole");
        let bad = found.layers[4].share(&whole);
        for (layer, one) in layers.iter().zip(&found.layers) {
            let tensor = &layer.site.tensor;
            let own = |at: usize| layer.site.reads().any(|read| read.at == at);
            let alone = one.alone.unwrap().noise;
            close(alone, by_hand(&model, &plan, &samples, &own), tensor);
            close(one.without.loss().noise, by_hand(&model, &plan, &samples, &|at| !own(at)), tensor);
            assert!(alone > 0.0 && (tensor == "bad" || one.share(&whole) < 0.3 * bad), "{tensor}");
        }
    }

    #[test]
    fn whole_runs_take_the_place_of_resumed_ones() {
        let model = model();
        let samples = Samples::synthetic(&model, &[], 10, 7).unwrap();
        let (analysis, plan) = planned(&model, &samples);
        let layers = Layer::all(&analysis, &plan);
        let bench = Bench::new(&model, &samples).unwrap();
        let [resumed, whole] =
            [true, false].map(|how| measure(&bench, &plan, &layers, (true, how), &Silent).unwrap());
        let [one, other] = [&resumed, &whole].map(|apart| apart.whole.loss());
        for (left, right) in resumed.layers.iter().zip(&whole.layers) {
            let (left, right) = (left.share(&one), right.share(&other));
            assert!((left - right).abs() <= 1e-4 * right.abs().max(1e-6), "{left} {right}");
        }
    }

    #[test]
    fn a_plan_comes_apart_into_its_layers() {
        let model = model();
        let samples = Samples::synthetic(&model, &[], 10, 7).unwrap();
        let (analysis, plan) = planned(&model, &samples);
        let reads = |plan: &Plan| {
            let reads = plan.decisions.iter().map(|decision| match decision {
                Decision::Weight(weight) => weight.reads.len(),
                Decision::Activation(activation) => activation.reads.len(),
            });
            reads.sum::<usize>()
        };
        let layers = Layer::all(&analysis, &plan);
        let own: usize = layers.iter().map(|layer| reads(&layer.only())).sum();
        assert_eq!(own, reads(&plan));
        for layer in &layers {
            assert_eq!(reads(&layer.only()) + reads(&layer.without()), reads(&plan));
            assert_eq!(reads(&layer.only()), 2 * layer.site.readers.len());
        }
    }
}
