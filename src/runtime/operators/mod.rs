//! Operators that tract 0.23.9 computes otherwise than ONNX defines them, or not at all, in a form of our own. Each is opaque to
//! tract, so that none of its optimisations reaches it.

mod activation;
mod conv_transpose;
mod grid_sample;
mod kernel;
mod numbers;
mod pad;
mod places;
mod pointwise;
mod pool;
mod recurrent;
mod reduce;
mod resize;

use std::sync::{Arc, LazyLock};

use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use kernel::{Kernel, Node};

/// The kernel of a node; `None` where tract's own is right.
type Choose = fn(&NodeProto, i64) -> TractResult<Option<Arc<dyn Kernel>>>;
/// A node that tract understands as what the node given means.
type Reword = fn(&NodeProto) -> TractResult<NodeProto>;
type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// Which operators are looked at.
const OWN: &[(&str, Choose)] = &[
    ("AveragePool", pool::average_pool),
    ("BitShift", pointwise::bit_shift),
    ("Celu", pointwise::celu),
    ("ConvTranspose", conv_transpose::choose),
    ("GRU", recurrent::choose),
    ("GlobalLpPool", pool::lp_pool),
    ("GridSample", grid_sample::choose),
    ("LSTM", recurrent::choose),
    ("LogSoftmax", reduce::log_softmax),
    ("LpPool", pool::lp_pool),
    ("Mod", pointwise::modulo),
    ("Pad", pad::choose),
    ("RNN", recurrent::choose),
    ("ReduceLogSumExp", reduce::reduce),
    ("ReduceMax", reduce::reduce),
    ("ReduceMin", reduce::reduce),
    ("Resize", resize::choose),
    ("Softplus", pointwise::soft_plus),
    ("Swish", pointwise::swish),
    ("Upsample", resize::choose),
];

/// Operators of which tract reads an attribute otherwise.
const REWORDED: &[(&str, Reword)] = &[("MaxPool", pool::explicit)];

/// tract as it comes.
static PLAIN: LazyLock<Onnx> = LazyLock::new(tract_onnx::onnx);

/// tract with these operators.
pub(super) static TRACT: LazyLock<Onnx> = LazyLock::new(|| {
    let mut tract = tract_onnx::onnx();
    let names = OWN.iter().map(|&(name, _)| name).chain(REWORDED.iter().map(|&(name, _)| name));
    names.for_each(|name| tract.op_register.insert(name, build));
    tract
});

fn build(context: &ParsingContext, node: &NodeProto) -> Built {
    let own = OWN.iter().find(|(operator, _)| *operator == node.op_type);
    if let Some((_, choose)) = own
        && let Some(kernel) = choose(node, context.onnx_operator_set_version)?
    {
        return Ok((expand(Node::new(kernel, node)), Vec::new()));
    }
    match PLAIN.op_register.0.get(&node.op_type) {
        Some(build) => match REWORDED.iter().find(|(operator, _)| *operator == node.op_type) {
            Some((_, reword)) => build(context, &reword(node)?),
            None => build(context, node),
        },
        None => bail!("{} is not supported", node.op_type),
    }
}
