//! QuantizeLinear and DequantizeLinear of 8, 16 and 32 bits by one scale, or one an index of an axis, as ONNX defines them. tract
//! multiplies by the reciprocal of a scale, which rounds some numbers to the other neighbour.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, OutputFact};
use super::numbers::{integers, made, singles};
use super::places::axis;

/// The axis where none is named.
const USUAL_AXIS: i64 = 1;

/// One of the two.
#[derive(Debug)]
struct Linear {
    quantize: bool,
    axis: i64,
}

/// QuantizeLinear-10 to 25, without blocks and without 4-bit types.
pub(super) fn quantize(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    choose(node, true)
}

/// DequantizeLinear-10 to 25, without blocks and without 4-bit types.
pub(super) fn dequantize(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    choose(node, false)
}

fn choose(node: &NodeProto, quantize: bool) -> TractResult<Option<Arc<dyn Kernel>>> {
    let asked = |name: &str| node.get_attr_opt::<i64>(name).map(|value| value.unwrap_or(0) != 0);
    // Without a zero point the type is another matter.
    let plain = !quantize || node.input.get(2).is_some_and(|zero| !zero.is_empty());
    if asked("block_size")? || asked("output_dtype")? || asked("precision")? || !plain {
        return Ok(None);
    }
    let axis = node.get_attr_opt::<i64>("axis")?.unwrap_or(USUAL_AXIS);
    Ok(Some(Arc::new(Linear { quantize, axis })))
}

impl Linear {
    /// For each run of neighbours that share a scale, its number and their count: the scales lie along one axis.
    fn runs(&self, dims: &[usize], scales: usize) -> TractResult<(usize, usize)> {
        if scales == 1 {
            return Ok((1, dims.iter().product::<usize>().max(1)));
        }
        let axis = axis(self.axis, dims.len())?;
        if dims[axis] != scales {
            bail!("{scales} scales on axis {axis} of {dims:?}");
        }
        Ok((scales, dims[axis + 1..].iter().product::<usize>().max(1)))
    }
}

/// The smallest and the largest code of a type.
fn range(dtype: DatumType) -> TractResult<(f32, f32)> {
    Ok(match dtype {
        DatumType::U8 => (0.0, 255.0),
        DatumType::I8 => (-128.0, 127.0),
        DatumType::U16 => (0.0, 65535.0),
        DatumType::I16 => (-32768.0, 32767.0),
        other => bail!("codes of type {other:?}"),
    })
}

impl Kernel for Linear {
    fn name(&self) -> &'static str {
        if self.quantize { "QuantizeLinear" } else { "DequantizeLinear" }
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let (Some(Some(x)), Some(Some(scale))) = (inputs.first(), inputs.get(1)) else {
            bail!("{} takes a value and a scale", self.name())
        };
        let zero = inputs.get(2).and_then(Option::as_ref);
        let dtype = match (self.quantize, zero) {
            (true, Some(zero)) => zero.dtype,
            (true, None) => bail!("no zero point"),
            (false, _) => scale.dtype,
        };
        let float = if self.quantize { x.dtype } else { scale.dtype };
        if float != DatumType::F32 || scale.dtype != DatumType::F32 {
            bail!("{} of {float:?}", self.name());
        }
        Ok(vec![(dtype, x.dims.clone())])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (Some(Some(x)), Some(Some(scale))) = (inputs.first(), inputs.get(1)) else {
            bail!("{} takes a value and a scale", self.name())
        };
        let zero = inputs.get(2).copied().flatten();
        let scales = singles(scale)?;
        let (count, inner) = self.runs(x.shape(), scales.len())?;
        let zeros = zero.map(integers).transpose()?.unwrap_or_else(|| vec![0]);
        if zeros.len() != scales.len() && zeros.len() != 1 {
            bail!("{} zero points beside {} scales", zeros.len(), scales.len());
        }
        let group = |run: usize| (scales[run % count], zeros[run % count % zeros.len()]);
        if self.quantize {
            let dtype = zero.map_or(DatumType::U8, Tensor::datum_type);
            let (least, most) = range(dtype)?;
            let mut values = singles(x)?;
            for (run, values) in values.chunks_mut(inner).enumerate() {
                let (scale, zero) = group(run);
                // The zero point is added to a rounded number: a sum of the quotient would round once more.
                let code = |value: f32| ((value / scale).round_ties_even() + zero as f32).clamp(least, most);
                values.iter_mut().for_each(|value| *value = code(*value));
            }
            return Ok(vec![made(dtype, x.shape(), &values)?]);
        }
        let codes = integers(x)?;
        let mut values = Vec::with_capacity(codes.len());
        for (run, codes) in codes.chunks(inner).enumerate() {
            let (scale, zero) = group(run);
            values.extend(codes.iter().map(|code| (code - zero) as f32 * scale));
        }
        Ok(vec![made(DatumType::F32, x.shape(), &values)?])
    }
}
