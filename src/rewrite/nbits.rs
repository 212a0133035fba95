//! Weights as onnxruntime's MatMulNBits takes them, which stands in the place of every operator that reads them.

use bytes::Bytes;

use super::biases::BIAS;
use super::patch::Patch;
use super::scene::Scene;
use super::terms::QUANTIZED;
use super::unfit;
use crate::error::Result;
use crate::onnx::build::node;
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{CONTRIB, Dtype, Names, Scratch, attr, element_count, node_label, pack, tensor, tensor_of};
use crate::plan::{Misfit, NBits, WeightDecision, WeightTerm, lie_by_rows, row_bias};

/// Bytes of codes that are laid out at a time, and rows: enough of these to use all of what comes of the memory of codes
/// that lie by inputs.
const PIECE: usize = 4 << 20;
const ROWS: usize = 128;
/// Products and sums in FLOAT: inputs are not rounded.
const ACCURACY: i64 = 1;

/// Replaces every reader of the weights; `patch` holds what becomes of their biases.
pub(super) fn replace(
    decision: &WeightDecision,
    scene: &Scene,
    names: &mut Names,
    patch: &mut Patch,
) -> Result<()> {
    let name = decision.tensor.as_str();
    let form = NBits::of(decision).map_err(|problem| unfit(name, problem))?;
    let [term] = decision.terms.as_slice() else { return Err(unfit(name, "several terms")) };
    if !scene.stored.storage.has_nbits() {
        return Err(unfit(name, "MatMulNBits packs two codes to a byte, and the plan stores others"));
    }
    let index = &scene.index;
    let no = |why: &str| unfit(name, format!("no MatMulNBits: {why}; spell it as a sum"));
    let readers = decision.reads.iter().map(|read| Ok((read, scene.reader(name, read)?)));
    let readers = readers.collect::<Result<Vec<_>>>()?;
    let by_rows = lie_by_rows(name, decision.reads.iter(), index, scene.opset);
    let by_rows = by_rows.map_err(|Misfit { read, why }| match read {
        Some(read) => no(&format!("node {}: {why}", read.node)),
        None => no(&why),
    })?;
    if by_rows != form.by_rows {
        return Err(no("its readers take the weights laid out otherwise"));
    }
    let constants = constants(name, decision, &form, term, names, patch)?;
    for (read, reader) in readers {
        let new = put_in_place(reader, read.at, (&form, &constants), scene, names, patch)?;
        patch.swapped.push((read.at, new));
    }
    Ok(())
}

/// Adds codes, scales and zero points, and returns their names: an empty one where there are no zero points.
fn constants(
    name: &str,
    decision: &WeightDecision,
    form: &NBits,
    term: &WeightTerm,
    names: &mut Names,
    patch: &mut Patch,
) -> Result<[String; 3]> {
    let zeros = form.zero_points(decision);
    let codes = names.fresh(format!("{name}{QUANTIZED}"));
    let scale = names.fresh(format!("{name}_scale"));
    let (rows, blocks) = (form.rows as i64, form.blocks() as i64);
    let packed = packed(form, term, &zeros)?;
    patch.added.push(tensor(&codes, Dtype::Uint8, &[rows, blocks, (form.block / 2) as i64], packed));
    let float = decision.scale_float().dtype();
    patch.added.push(tensor_of(&scale, float, &[rows, blocks], &form.scales(decision)));
    let mut zero = String::new();
    if form.has_zero_points(decision) {
        zero = names.fresh(format!("{name}_zero_point"));
        let zeros: Vec<i16> = zeros.into_iter().map(i16::from).collect();
        let bytes: Vec<u8> = zeros.chunks(form.blocks()).flat_map(pack).collect();
        patch.added.push(tensor(&zero, Dtype::Uint8, &[rows, form.zero_bytes() as i64], bytes));
    }
    Ok([codes, scale, zero])
}

/// The codes by rows, two to a byte, the last block of each row filled up with its zero.
fn packed(form: &NBits, term: &WeightTerm, zeros: &[u8]) -> Result<Bytes> {
    let (row_bytes, blocks) = (form.row_bytes(), form.blocks());
    let at_once = (PIECE / row_bytes).clamp(1, ROWS);
    let mut made = Scratch::new();
    for first in (0..form.rows).step_by(at_once) {
        let count = at_once.min(form.rows - first);
        let mut bytes = vec![0; count * row_bytes];
        let mut put = |row: usize, input: usize, code: u8| {
            bytes[row * row_bytes + input / 2] |= code << (input % 2 * 4);
        };
        if form.by_rows {
            for row in 0..count {
                (0..form.depth).for_each(|input| put(row, input, form.code(term, first + row, input)));
            }
        } else {
            for input in 0..form.depth {
                (0..count).for_each(|row| put(row, input, form.code(term, first + row, input)));
            }
        }
        for row in 0..count {
            let zero = zeros.get((first + row + 1) * blocks - 1).copied().unwrap_or_default();
            (form.depth..blocks * form.block).for_each(|input| put(row, input, zero));
        }
        made.push(&bytes)?;
    }
    term.codes.let_go(0..term.codes.len());
    made.finish()
}

/// What stands in the place of `old`, at `at`: with its bias, if that is a row; another one is added behind.
fn put_in_place(
    old: &NodeProto,
    at: usize,
    (form, [codes, scale, zero]): (&NBits, &[String; 3]),
    scene: &Scene,
    names: &mut Names,
    patch: &mut Patch,
) -> Result<NodeProto> {
    let label = node_label(old).to_owned();
    let data = old.input.first().cloned().unwrap_or_default();
    let mut inputs = vec![data, codes.clone(), scale.clone(), zero.clone()];
    let mut outputs = old.output.clone();
    match if old.op_type() == "Gemm" { bias(old, at, form.rows, scene, names, patch)? } else { None } {
        Some(Bias::Row(bias)) => inputs.extend([String::new(), bias]),
        Some(Bias::Other(bias)) => {
            let product = names.fresh(format!("{label}_product"));
            let mut add = node("Add", &names.fresh(format!("{label}_Add")), &[&product, &bias], &[], &[]);
            add.output = std::mem::replace(&mut outputs, vec![product]);
            patch.following.push((at, add));
        }
        None => {}
    }
    while inputs.last().is_some_and(String::is_empty) {
        inputs.pop();
    }
    let sizes = [("K", form.depth), ("N", form.rows), ("bits", 4), ("block_size", form.block)];
    let mut attribute: Vec<_> = sizes.iter().map(|&(name, size)| attr::int(name, size as i64)).collect();
    attribute.push(attr::int("accuracy_level", ACCURACY));
    Ok(NodeProto {
        op_type: Some("MatMulNBits".into()),
        domain: Some(CONTRIB.into()),
        // Whoever reads the file finds the node by it, though its output may be another.
        name: Some(label),
        input: inputs,
        output: outputs,
        attribute,
        ..old.clone()
    })
}

/// What is added to a product.
enum Bias {
    /// One number an output channel.
    Row(String),
    /// Anything else that Gemm takes.
    Other(String),
}

/// The bias of `old`, with what `patch` makes of it.
fn bias(
    old: &NodeProto,
    at: usize,
    rows: usize,
    scene: &Scene,
    names: &mut Names,
    patch: &mut Patch,
) -> Result<Option<Bias>> {
    let moved = patch.rewired.iter().position(|(place, slot, _)| (*place, *slot) == (at, BIAS));
    let name = match moved {
        Some(moved) => patch.rewired.remove(moved).2,
        None => match old.input.get(BIAS).filter(|name| !name.is_empty()) {
            Some(name) => name.clone(),
            None => return Ok(None),
        },
    };
    let is_row = |tensor: &&TensorProto| tensor.name() == name;
    let changed = patch.added.iter().chain(&patch.replaced).find(is_row);
    let Some(row) = changed.or_else(|| row_bias(&name, rows, &scene.index)) else {
        return Ok(Some(Bias::Other(name)));
    };
    let dims = vec![rows as i64];
    if element_count(row)? != rows {
        let problem = format!("bias {name} has dimensions {:?}, not {dims:?}", row.dims);
        return Err(unfit(node_label(old), problem));
    }
    if row.dims == dims {
        return Ok(Some(Bias::Row(name)));
    }
    let flat = names.fresh(format!("{}_bias", node_label(old)));
    let row = TensorProto { name: Some(flat.clone()), dims, ..row.clone() };
    patch.added.push(row);
    Ok(Some(Bias::Row(flat)))
}
