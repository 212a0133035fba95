//! Several terms as several products: each reader is repeated on the same input, once a term, each with its own
//! weights, and the outputs are added. An integer runtime sees plain quantized operators and nothing to sum before them.

use super::patch::{Copied, Patch};
use super::scene::Scene;
use super::terms::{added, dequantized};
use super::unfit;
use crate::error::Result;
use crate::onnx::Names;
use crate::onnx::{is_standard, node_label, tensor_of};
use crate::plan::WeightDecision;

/// The operators that are linear in the input at [`WEIGHTS`], up to the bias behind it.
const LINEAR: &[&str] = &["Conv", "ConvTranspose", "Gemm", "MatMul"];
/// The opset since which Gemm does without a bias.
const OPSET_NO_BIAS: i64 = 11;
/// Where they read their weights. What comes after is a bias, which only the first product may have.
pub(super) const WEIGHTS: usize = 1;

/// Splits every reader of the weights.
pub(super) fn split(
    decision: &WeightDecision,
    scene: &Scene,
    names: &mut Names,
    patch: &mut Patch,
) -> Result<()> {
    let name = decision.tensor.as_str();
    let index = &scene.index;
    let outside = || index.is_captured(name) || index.is_output(name);
    let listed = |read: &(usize, usize)| decision.reads.iter().any(|it| (it.at, it.slot) == *read);
    if outside() || !index.consumers(name).iter().all(listed) {
        return Err(unfit(
            name,
            "branches need every reader in the plan, and one has others; spell it as a sum",
        ));
    }
    let place = scene.place(decision);
    let mut values = Vec::new();
    for (number, term) in decision.terms.iter().enumerate() {
        let output = names.fresh(decision.term_name(number));
        dequantized(&output, &output, term, decision, place, names, patch)?;
        values.push(output);
    }
    for read in &decision.reads {
        let reader = scene.reader(name, read)?;
        let linear = is_standard(reader.domain()) && LINEAR.contains(&reader.op_type());
        let [output] = reader.output.as_slice() else {
            return Err(unfit(name, format!("{} has not one output", read.node)));
        };
        if !linear || read.slot != WEIGHTS {
            let place = format!("input {} of {} {}", read.slot, read.operator, read.node);
            return Err(unfit(name, format!("{place} is no factor that can be split; spell it as a sum")));
        }
        let mut no_bias = None;
        if reader.op_type() == "Gemm" && scene.opset < OPSET_NO_BIAS {
            let zero = names.fresh(format!("{output}_no_bias"));
            patch.added.push(tensor_of(&zero, decision.float.dtype(), &[1], &[0.0]));
            no_bias = Some(zero);
        }
        let mut products = Vec::new();
        for (number, value) in values.iter().enumerate() {
            let product = names.fresh(format!("{output}_term_{}", number + 1));
            match number {
                0 => {
                    patch.rewired.push((read.at, read.slot, value.clone()));
                    patch.renamed.push((read.at, product.clone()));
                }
                _ => {
                    let label = names.fresh(format!("{}_term_{}", node_label(reader), number + 1));
                    patch.copied.push(Copied {
                        at: read.at,
                        name: label,
                        slot: read.slot,
                        values: std::iter::once(value.clone()).chain(no_bias.clone()).collect(),
                        output: product.clone(),
                    });
                }
            }
            products.push(product);
        }
        patch
            .following
            .extend(added(&products, output, output, names).into_iter().map(|node| (read.at, node)));
    }
    Ok(())
}
