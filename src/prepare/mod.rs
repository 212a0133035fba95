//! Exact graph normalisations: what comes out computes what went in, in the form that the later
//! stages know.

mod batchnorm;
mod constants;
mod dead;
mod fixed;
mod functions;
mod hoisted;
mod identities;
mod layout;
mod reshaped;
mod shadowed;
pub mod upgrade;
mod view;

use std::cell::RefCell;

pub use fixed::fix;

use crate::error::Result;
use crate::onnx::proto::GraphProto;
use crate::onnx::{Model, Names};
use crate::plan::Expected;

/// One exact change to the model, for the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The pass that made it.
    pub pass: &'static str,
    /// How many nodes, initializers or inputs it touched.
    pub count: usize,
    /// What it did, in words.
    pub detail: String,
}

/// Changes the model exactly, and says so if it did.
type Pass<'p> = dyn Fn(&mut Model) -> Result<Option<Change>> + 'p;

/// Brings `model` to at least `opset` of the standard domain and into the form that the later
/// stages expect, without changing what it computes. A model that is higher stays where it is.
///
/// # Errors
/// [`crate::error::Error::NoConversion`] where an operator's way to `opset` is not known,
/// [`crate::error::Error::Invalid`] where a tensor that a pass reads is damaged.
pub fn prepare(model: Model, opset: i64) -> Result<(Model, Vec<Change>)> {
    with_statistics(model, opset).map(|(model, changes, _)| (model, changes))
}

/// [`prepare`], and what the BatchNormalization nodes that it folds say of the values they made.
///
/// # Errors
/// As [`prepare`].
pub fn with_statistics(mut model: Model, opset: i64) -> Result<(Model, Vec<Change>, Expected)> {
    let expected = RefCell::new(Expected::new());
    let fold = |model: &mut Model| batchnorm::fold(model, &mut expected.borrow_mut());
    let upgrade = |model: &mut Model| upgrade::upgrade(model, opset);
    let passes: [&Pass; 9] = [
        // Before all that looks at nodes.
        &functions::inline,
        // First: until an initializer is no longer an input, nothing may take it for a constant.
        &shadowed::remove,
        // Before the upgrade: conversions read shapes and scales, and read initializers best.
        &constants::to_initializers,
        // Before whatever follows, so that each later pass knows one form of each operator.
        &upgrade,
        // Before folding: an Identity or Dropout may stand between convolution and BatchNormalization.
        &identities::remove,
        // While bodies still hold their own, their types tell the upgrade more.
        &hoisted::hoist,
        // Without an Identity in between.
        &reshaped::fold,
        // Leaves the normalisation's parameters without a reader.
        &fold,
        // Last: sweeps up after all others.
        &dead::remove,
    ];
    let mut changes = Vec::new();
    for pass in passes {
        changes.extend(pass(&mut model)?);
    }
    Ok((model, changes, expected.into_inner()))
}

/// The names of `graph`; new ones that clash are counted from 2.
fn names(graph: &GraphProto) -> Names {
    Names::of(graph, 2)
}

/// A change of `count` things, or nothing.
fn changed(pass: &'static str, count: usize, detail: impl FnOnce() -> String) -> Option<Change> {
    (count > 0).then(|| Change { pass, count, detail: detail() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::attr;
    use crate::onnx::build::GraphBuilder;

    #[test]
    fn a_finished_model_stays_as_it_is() {
        let mut graph = GraphBuilder::new(22);
        let x = graph.input("x", &[1, 4]);
        let w = graph.weights("w", &[4, 3]);
        let y = graph.node("MatMul", &[&x, &w], &[]);
        graph.output(&y);
        let model = graph.model();
        assert_eq!(prepare(model.clone(), 21).unwrap(), (model, vec![]));
    }

    #[test]
    fn below_opset_7_what_may_train_stays_as_it_is() {
        for (opset, left) in [(6, 3), (7, 1)] {
            let mut graph = GraphBuilder::new(opset);
            let x = graph.input("x", &[1, 2, 5, 5]);
            let w = graph.weights("w", &[3, 2, 3, 3]);
            let conv = graph.node("Conv", &[&x, &w], &[]);
            let dropped = graph.node("Dropout", &[&conv], &[]);
            let [scale, bias, mean, var] = ["scale", "bias", "mean", "var"]
                .map(|name| graph.initializer(crate::onnx::tensor_f32(name, &[3], &[1.0, 2.0, 0.5])));
            let y = graph.node("BatchNormalization", &[&dropped, &scale, &bias, &mean, &var], &[]);
            graph.output(&y);
            let (model, _) = prepare(graph.model(), crate::options::Opset::Keep.least()).unwrap();
            assert_eq!((model.opset(), model.graph().node.len()), (opset, left));
        }
    }

    #[test]
    fn the_passes_work_together() {
        let mut graph = GraphBuilder::new(9).ir_version(3);
        let x = graph.input("x", &[1, 2, 5, 5]);
        let w = graph.weights("w", &[3, 2, 3, 3]);
        let conv = graph.node("Conv", &[&x, &w], &[]);
        let dropped = graph.node("Dropout", &[&conv], &[attr::float("ratio", 0.3)]);
        let [scale, bias, mean, var] = ["scale", "bias", "mean", "var"]
            .map(|name| graph.initializer(crate::onnx::tensor_f32(name, &[3], &[1.0, 2.0, 0.5])));
        let y = graph.node("BatchNormalization", &[&dropped, &scale, &bias, &mean, &var], &[]);
        graph.output(&y);
        let (model, changes) = prepare(graph.model(), 21).unwrap();
        let operators: Vec<&str> = model.graph().node.iter().map(|node| node.op_type()).collect();
        assert_eq!(operators, ["Conv"]);
        assert_eq!(model.graph().initializer.len(), 2);
        assert_eq!((model.opset(), model.proto.ir_version()), (21, 10));
        let passes: Vec<&str> = changes.iter().map(|change| change.pass).collect();
        assert_eq!(passes, ["opset-upgrade", "remove-identities", "fold-batchnorm", "remove-dead"]);
    }
}
