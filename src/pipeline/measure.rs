//! Sizes, digests, times and memory.

use std::collections::HashSet;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::onnx::proto::{GraphProto, TensorProto};
use crate::onnx::{self, Dtype, Model, element_count, tensors};
use crate::options::{LARGE, LARGE_WITHOUT_SAMPLES, OPSET, Spelling, Storage};
use crate::plan::{Decision, NBits, Plan, Sizes, WeightDecision};

/// SHA-256 of the model as one message, in hexadecimal.
pub(super) fn sha256(model: &Model) -> String {
    let mut digest = Sha256::new();
    let taken = onnx::encode_to(model, &mut |piece| {
        digest.update(piece);
        Ok(())
    });
    drop(taken);
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Seconds a stage, in order.
#[derive(Debug)]
pub(super) struct Clock {
    last: Instant,
    pub seconds: Vec<(String, f64)>,
}

impl Clock {
    pub fn start() -> Self {
        Self { last: Instant::now(), seconds: Vec::new() }
    }

    /// The stage that ends now.
    pub fn lap(&mut self, stage: &str) {
        let now = Instant::now();
        self.seconds.push((stage.into(), (now - self.last).as_secs_f64()));
        self.last = now;
    }

    /// Adds what went by since the last stage to `stage`, which may come up again and again.
    pub fn add(&mut self, stage: &str) {
        let now = Instant::now();
        let passed = (now - self.last).as_secs_f64();
        self.last = now;
        match self.seconds.iter_mut().find(|(name, _)| name == stage) {
            Some((_, seconds)) => *seconds += passed,
            None => self.seconds.push((stage.into(), passed)),
        }
    }
}

/// Largest resident memory of this process so far, in bytes, where the system tells.
pub(super) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

pub(super) fn is_float(tensor: &TensorProto) -> bool {
    [Dtype::Float, Dtype::Double, Dtype::Float16, Dtype::Bfloat16]
        .iter()
        .any(|&dtype| tensor.data_type() == dtype as i32)
}

/// What a tensor takes in memory.
pub(super) fn bytes(tensor: &TensorProto) -> u64 {
    let count = element_count(tensor).unwrap_or(0) as u64;
    match Dtype::try_from(tensor.data_type()) {
        Ok(Dtype::Double) => 8 * count,
        Ok(Dtype::Float | Dtype::Int32) => 4 * count,
        Ok(Dtype::Float16 | Dtype::Bfloat16) => 2 * count,
        Ok(Dtype::Int4 | Dtype::Uint4) => count.div_ceil(2),
        _ => count,
    }
}

/// Float parameters of a graph.
pub(super) fn parameters(model: &Model) -> u64 {
    let floats = onnx::tensors(model.graph()).into_iter().filter(|tensor| is_float(tensor));
    floats.map(|tensor| element_count(tensor).unwrap_or(0) as u64).sum()
}

/// Bits that stand for one of `parameters`: all constants of `model` but shapes and the like, which are INT64.
pub(super) fn bits_of(model: &Model, parameters: u64) -> Option<f64> {
    let stored = |tensor: &&TensorProto| {
        !matches!(Dtype::try_from(tensor.data_type()), Ok(Dtype::Int64 | Dtype::Bool))
    };
    let bytes: u64 = onnx::tensors(model.graph()).into_iter().filter(stored).map(bytes).sum();
    (parameters > 0).then(|| 8.0 * bytes as f64 / parameters as f64)
}

/// What the float constants of `model` take in memory.
pub(super) fn float_bytes(model: &Model) -> u64 {
    tensors(model.graph()).into_iter().filter(|tensor| is_float(tensor)).map(bytes).sum()
}

/// Nodes beyond which a model without samples is not run unasked: the time that tract takes to prepare one grows with their
/// square, and random numbers show little that the comparison with the plan has not shown.
const MANY_NODES: usize = 6000;

/// Whether running `model`, for which there are `samples`, takes more memory or time than one should take unasked.
pub(super) fn is_large(model: &Model, samples: bool) -> bool {
    float_bytes(model) > if samples { LARGE } else { LARGE_WITHOUT_SAMPLES }
        || !samples && nodes(model.graph()) > MANY_NODES
}

/// How many nodes there are, those inside others included.
pub(super) fn nodes(graph: &GraphProto) -> usize {
    graph.node.len() + graph.node.iter().flat_map(onnx::bodies).map(nodes).sum::<usize>()
}

/// Bits that a code of `bits` bits takes in the file.
pub(super) fn stored_bits(bits: u32, storage: Storage) -> u32 {
    if storage == Storage::Int8 { bits.max(8) } else { bits }
}

/// Bits that the codes, scales and zero points of weights take.
pub(super) fn weight_bits(weight: &WeightDecision, storage: Storage) -> u64 {
    if let (Spelling::MatMulNBits, Ok(form)) = (weight.spelling, NBits::of(weight)) {
        let zero_points = if form.has_zero_points(weight) { form.zero_bytes() } else { 0 };
        let scales = form.blocks() as u64 * weight.scale_float().bytes();
        return 8 * form.rows as u64 * ((form.row_bytes() + zero_points) as u64 + scales);
    }
    let bits = weight.terms.iter().map(|term| {
        let scale = 8 * weight.scale_float().bytes();
        term.stored_bits(storage, OPSET) + scale * term.scales.len() as u64
    });
    bits.sum()
}

/// What the conversion did to the files' sizes.
pub(super) fn sizes(before: u64, after: u64, prepared: &Model, written: &Model, plan: &Plan) -> Sizes {
    let integers: HashSet<&str> = onnx::tensors(prepared.graph())
        .into_iter()
        .filter(|tensor| !is_float(tensor))
        .map(|tensor| tensor.name())
        .collect();
    let written = onnx::tensors(written.graph());
    // What attributes hold has no name of its own, and is low-bit nowhere.
    let standing = written
        .into_iter()
        .filter(|tensor| is_float(tensor) || !tensor.name().is_empty() && !integers.contains(tensor.name()));
    let stored: u64 = standing.map(bytes).sum();
    let (mut bits, mut elements) = (0u64, 0u64);
    let (mut macs, mut extra) = (Some(0u64), Some(0u64));
    for decision in &plan.decisions {
        let Decision::Weight(weight) = decision else { continue };
        bits += weight_bits(weight, plan.storage);
        elements += weight.dims.iter().product::<i64>().unsigned_abs();
        let add = |sum: Option<u64>, times: usize| sum?.checked_add(weight.macs?.checked_mul(times as u64)?);
        macs = add(macs, 1);
        extra = add(extra, weight.terms.len().saturating_sub(1));
    }
    Sizes {
        before,
        after,
        ratio: after as f64 / before.max(1) as f64,
        effective_bits: 8.0 * stored as f64 / parameters(prepared).max(1) as f64,
        quantized_bits: (elements > 0).then(|| bits as f64 / elements as f64),
        compression: (bits > 0).then(|| 32.0 * elements as f64 / bits as f64),
        macs: macs.filter(|_| elements > 0),
        extra_macs: extra.filter(|_| elements > 0),
    }
}
