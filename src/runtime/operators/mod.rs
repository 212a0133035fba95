//! Operators that tract 0.23.9 computes otherwise than ONNX defines them, or not at all, in a form of our own. Each is opaque to
//! tract, so that none of its optimisations reaches it.

mod activation;
mod attention;
mod contrib;
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
mod rounding;

use std::sync::{Arc, LazyLock};

use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use kernel::{Kernel, Node};

use crate::onnx::proto::{self, GraphProto, ModelProto};
use crate::onnx::{CONTRIB, Model, encode, is_standard};

/// The kernel of a node; `None` where tract's own is right.
type Choose = fn(&NodeProto, i64) -> TractResult<Option<Arc<dyn Kernel>>>;
/// A node that tract understands as what the node given means.
type Reword = fn(&NodeProto) -> TractResult<NodeProto>;
type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// Which operators are looked at.
const OWN: &[(&str, Choose)] = &[
    ("Attention", attention::standard),
    ("AveragePool", pool::average_pool),
    ("BitShift", pointwise::bit_shift),
    ("CausalConvWithState", attention::causal_conv),
    ("Celu", pointwise::celu),
    ("ConvTranspose", conv_transpose::choose),
    ("CumProd", reduce::cum_prod),
    ("DequantizeLinear", rounding::dequantize),
    ("GRU", recurrent::choose),
    ("GlobalLpPool", pool::lp_pool),
    ("GridSample", grid_sample::choose),
    ("LSTM", recurrent::choose),
    ("LinearAttention", attention::linear),
    ("LogSoftmax", reduce::log_softmax),
    ("LpPool", pool::lp_pool),
    ("Mod", pointwise::modulo),
    ("Pad", pad::choose),
    ("QuantizeLinear", rounding::quantize),
    ("RNN", recurrent::choose),
    ("ReduceLogSumExp", reduce::reduce),
    ("ReduceMax", reduce::reduce),
    ("ReduceMin", reduce::reduce),
    ("Resize", resize::choose),
    ("RotaryEmbedding", attention::rotary),
    ("Softplus", pointwise::soft_plus),
    ("Swish", pointwise::swish),
    ("TensorScatter", attention::scatter),
    ("Upsample", resize::choose),
];

/// Operators of onnxruntime, of its own domain or, but for those that are the standard's too, of the default one.
const MICROSOFT: &[(&str, Choose)] = &[
    ("Attention", attention::packed),
    ("EmbedLayerNormalization", contrib::embed),
    ("FusedMatMul", contrib::fused_matmul),
    ("GroupQueryAttention", attention::grouped),
    ("MatMulNBits", contrib::nbits),
    ("MultiHeadAttention", attention::multi_head),
    ("RotaryEmbedding", attention::rotary_microsoft),
    ("SkipLayerNormalization", contrib::skip),
    ("SkipSimplifiedLayerNormalization", contrib::skip),
    ("TransposeMatMul", contrib::fused_matmul),
];

/// Operators of onnxruntime that tract computes as they are meant.
const MICROSOFT_OF_TRACT: &[&str] =
    &["BiasGelu", "FastGelu", "GatherBlockQuantized", "Gelu", "QuickGelu", "SimplifiedLayerNormalization"];

/// Operators of which tract reads an attribute otherwise.
const REWORDED: &[(&str, Reword)] = &[("MaxPool", pool::explicit)];

/// tract as it comes.
static PLAIN: LazyLock<Onnx> = LazyLock::new(tract_onnx::onnx);

/// tract with these operators.
pub(super) static TRACT: LazyLock<Onnx> = LazyLock::new(|| {
    let mut tract = tract_onnx::onnx();
    let own = OWN.iter().chain(MICROSOFT).map(|&(name, _)| name);
    let names = own.chain(REWORDED.iter().map(|&(name, _)| name));
    names.for_each(|name| tract.op_register.insert(name, build));
    tract
});

/// The kernel of our own that an operator of `domain` may have.
fn own(domain: &str, operator: &str) -> Option<Choose> {
    let of =
        |list: &[(&str, Choose)]| list.iter().find(|(name, _)| *name == operator).map(|&(_, choose)| choose);
    match domain {
        CONTRIB => of(MICROSOFT),
        _ if is_standard(domain) => of(OWN).or_else(|| of(MICROSOFT)),
        _ => None,
    }
}

/// Whether an operator of onnxruntime's domain is computed as it is meant.
pub(super) fn is_microsoft(operator: &str) -> bool {
    own(CONTRIB, operator).is_some() || MICROSOFT_OF_TRACT.contains(&operator)
}

/// Why there is no kernel for `node`, of an operator that has one in other forms; `None` also where it is none of ours.
pub(super) fn refusal(node: &proto::NodeProto, opset: i64) -> Option<String> {
    let choose = own(node.domain(), node.op_type())?;
    let graph = GraphProto { node: vec![node.clone()], ..Default::default() };
    let model = Model::new(ModelProto { graph: Some(graph), ..Default::default() }).ok()?;
    let proto = PLAIN.proto_model_for_read(&mut encode(&model).as_slice()).ok()?;
    choose(proto.graph?.node.first()?, opset).err().map(|error| error.to_string())
}

fn build(context: &ParsingContext, node: &NodeProto) -> Built {
    if let Some(choose) = own(&node.domain, &node.op_type)
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
