//! A look at a model, without changing it.

mod quantized;
mod samples;

use std::collections::BTreeMap;
use std::path::Path;

use super::Opened;
use super::measure::bits_of;
pub use samples::{Look, show};

use crate::analyse::analyse;
use crate::check::folded_back;
use crate::error::{Error, Result};
use crate::onnx::proto::{TypeProto, ValueInfoProto, tensor_shape_proto::dimension, type_proto};
use crate::onnx::{self, dtype_name, operator_label};
use crate::options::{Opset, Options};
use crate::plan::{Inspection, Partition, SiteRow, Stamp};
use crate::runtime::faults;
use crate::samples::Declared;

/// Reads a model and says what is in it, what could be quantized, and what stands in the way.
///
/// # Errors
/// Any: see [`crate::error::Error`].
pub fn inspect(path: &Path) -> Result<Inspection> {
    let opened = match Opened::new(onnx::read(path)?, Opset::default(), &[]) {
        Err(stopped @ Error::NoConversion { .. }) => {
            let mut opened = Opened::new(onnx::read(path)?, Opset::Keep, &[])?;
            opened.warnings.push(stopped.to_string());
            opened
        }
        other => other?,
    };
    let (original, model) = (&opened.float, &opened.model);
    let analysis = analyse(model, &Options::default())?;
    let mut operators: BTreeMap<String, usize> = BTreeMap::new();
    for node in &original.graph().node {
        *operators.entry(operator_label(node)).or_default() += 1;
    }
    let mut sites: Vec<SiteRow> = analysis
        .weights
        .iter()
        .map(|site| SiteRow {
            tensor: site.tensor.clone(),
            operator: site.readers[0].read.operator.clone(),
            dims: site.dims.clone(),
            axis: site.by_kernel.and_then(Partition::axis),
            readers: site.readers.len(),
            bytes: site.bytes(),
            code_type: None,
            block: None,
            value: site.tensor.clone(),
            nodes: site.readers.iter().map(|reader| reader.read.node.clone()).collect(),
        })
        .collect();
    let low = quantized::sites(original);
    let mut warnings = opened.warnings;
    warnings.extend(folded_back(original, low.len()).map(|found| found.problem));
    sites.extend(low);
    let fault_lines =
        faults(model).into_iter().map(|fault| format!("node {}: {}", fault.node, fault.problem));
    let (proto, parameters) = (&original.proto, quantized::count(model));
    Ok(Inspection {
        file: original.label(),
        bytes: original.bytes_on_disk,
        ir_version: proto.ir_version(),
        opset: original.opset(),
        producer: [proto.producer_name(), proto.producer_version()].join(" ").trim().to_owned(),
        quantized_by: Stamp::of(proto).map(|stamp| quantized::origin(&stamp)),
        precision: Stamp::of(proto).map(|stamp| stamp.precision).filter(|precision| !precision.is_empty()),
        inputs: original.inputs().map(describe).collect(),
        outputs: original.graph().output.iter().map(describe).collect(),
        operators: operators.into_iter().collect(),
        parameters,
        effective_bits: bits_of(original, parameters),
        sites,
        activations: quantized::activations(original),
        skips: analysis.skips,
        faults: fault_lines.collect(),
        warnings,
    })
}

/// What must be fed to a model.
///
/// # Errors
/// Where it cannot be read, or an input is no tensor.
pub fn inputs(path: &Path) -> Result<Vec<Declared>> {
    Declared::all(&onnx::read(path)?)
}

/// `name FLOAT [N,3,32,32]`.
fn describe(value: &ValueInfoProto) -> String {
    let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) = &value.r#type else {
        return format!("{} (no tensor)", value.name());
    };
    let dim = |dim: &crate::onnx::proto::tensor_shape_proto::Dimension| match &dim.value {
        Some(dimension::Value::DimValue(size)) => size.to_string(),
        Some(dimension::Value::DimParam(name)) if !name.is_empty() => name.clone(),
        _ => "?".into(),
    };
    let shape = tensor.shape.as_ref().map_or_else(
        || "of unknown rank".to_owned(),
        |shape| format!("[{}]", shape.dim.iter().map(dim).collect::<Vec<_>>().join(",")),
    );
    format!("{} {} {shape}", value.name(), dtype_name(tensor.elem_type()))
}
