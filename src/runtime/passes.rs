//! What of tract's optimisation is used: the passes that choose kernels. Those before them rearrange the graph, which saves some
//! 5 % of a run and makes some graphs compute something else (0.23.9: strides move through padding, steps of a Slice through
//! convolutions, a Softmax between DequantizeLinear and QuantizeLinear into a table of ones).

use tract_onnx::prelude::*;
use tract_onnx::tract_core::optim::{Optimizer, OptimizerSession, TypedPass};
use tract_onnx::tract_hir::internal::TractErrorContext as _;

/// What kernels are made of. Their rules move nothing across other nodes.
const SIMPLIFIED: &[&str] = &["Im2col", "IntoShape", "OptSumPool"];

/// Simplifies nodes of these operators by tract's own rules.
#[derive(Clone, Debug, Default)]
struct Simplify {
    next: usize,
}

impl TypedPass for Simplify {
    fn reset(&mut self) -> TractResult<()> {
        self.next = 0;
        Ok(())
    }

    fn next(
        &mut self,
        session: &mut OptimizerSession,
        model: &TypedModel,
    ) -> TractResult<Option<TypedModelPatch>> {
        for at in self.next..model.nodes().len() {
            let node = model.node(at);
            if !SIMPLIFIED.contains(&&*node.op.name()) {
                continue;
            }
            if let Some(mut patch) = node.op.declutter_with_session(session, model, node)? {
                patch.push_context(format!("simplifying {node}"));
                self.next = at + usize::from(patch.dont_apply_twice.is_some());
                return Ok(Some(patch));
            }
        }
        Ok(None)
    }
}

/// Makes `model` ready to run.
///
/// # Errors
/// Where tract's rules fail.
pub(super) fn optimize(model: &mut TypedModel) -> TractResult<()> {
    let mut optimizer = Optimizer::codegen();
    let rules = optimizer.passes.iter_mut().find(|pass| format!("{pass:?}") == "declutter");
    *rules.context("this tract names its passes otherwise")? = Box::<Simplify>::default();
    optimizer.optimize(model)
}
