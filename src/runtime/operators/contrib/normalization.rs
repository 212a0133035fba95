//! Normalisations with what stands in front of them: SkipLayerNormalization, SkipSimplifiedLayerNormalization and
//! EmbedLayerNormalization.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::super::kernel::{Kernel, Known, OutputFact};
use super::super::numbers::{integers, made, singles};

/// Normalizes rows.
#[derive(Clone, Copy, Debug)]
struct Norm {
    epsilon: f64,
    /// Whether the mean of each row is taken away.
    is_centred: bool,
}

/// Rows normalized, with what was found of each.
struct Normal {
    values: Vec<f32>,
    means: Vec<f32>,
    /// One by the deviation.
    inverses: Vec<f32>,
}

impl Norm {
    fn of(self, values: &[f32], scale: &[f32], shift: Option<&[f32]>) -> TractResult<Normal> {
        let width = scale.len();
        if width == 0
            || !values.len().is_multiple_of(width)
            || shift.is_some_and(|shift| shift.len() != width)
        {
            bail!("a scale of {width} elements for {} values", values.len());
        }
        let mut made = Normal { values: Vec::with_capacity(values.len()), means: vec![], inverses: vec![] };
        for row in values.chunks(width) {
            let count = width as f64;
            let mean = match self.is_centred {
                true => row.iter().map(|&value| f64::from(value)).sum::<f64>() / count,
                false => 0.0,
            };
            let square = row.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
            let inverse = 1.0 / (square + self.epsilon).sqrt();
            made.values.extend(row.iter().enumerate().map(|(at, &value)| {
                let normal = (f64::from(value) - mean) * inverse * f64::from(scale[at]);
                (normal + shift.map_or(0.0, |shift| f64::from(shift[at]))) as f32
            }));
            made.means.push(mean as f32);
            made.inverses.push(inverse as f32);
        }
        Ok(made)
    }
}

#[derive(Clone, Debug)]
struct Skip(Norm);

/// Without centring there is no shift, and the bias stands in its slot.
pub(in super::super) fn skip(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let is_centred = node.op_type != "SkipSimplifiedLayerNormalization";
    Ok(Some(Arc::new(Skip(Norm { epsilon: epsilon(node)?, is_centred }))))
}

/// onnxruntime's default, which the standard's is not.
fn epsilon(node: &NodeProto) -> TractResult<f64> {
    Ok(f64::from(node.get_attr_opt::<f32>("epsilon")?.unwrap_or(1e-12)))
}

impl Kernel for Skip {
    fn name(&self) -> &'static str {
        if self.0.is_centred { "SkipLayerNormalization" } else { "SkipSimplifiedLayerNormalization" }
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(x), Some(_), Some(_), ..] = inputs else { bail!("{} takes three inputs", self.name()) };
        let mut rows = x.dims.clone();
        *rows.last_mut().context("values without axes")? = 1;
        let whole = (x.dtype, x.dims.clone());
        Ok(vec![whole.clone(), (DatumType::F32, rows.clone()), (DatumType::F32, rows), whole])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let input = |slot: usize| inputs.get(slot).copied().flatten().map(singles).transpose();
        let needed =
            |slot: usize| -> TractResult<Vec<f32>> { input(slot)?.with_context(|| format!("input {slot}")) };
        let x = inputs[0].context("values")?;
        let (values, skip, scale) = (singles(x)?, needed(1)?, needed(2)?);
        let (shift, bias) = match self.0.is_centred {
            true => (input(3)?, input(4)?),
            false => (None, input(3)?),
        };
        if skip.is_empty() || !values.len().is_multiple_of(skip.len()) && !values.is_empty() {
            bail!("a skip of {} elements for {} values", skip.len(), values.len());
        }
        if bias.as_ref().is_some_and(|bias| bias.len() != scale.len()) {
            bail!("a bias of other than {} elements", scale.len());
        }
        // The skip may be one sample for all.
        let sum: Vec<f32> = values
            .iter()
            .enumerate()
            .map(|(at, &value)| {
                let bias = bias.as_ref().map_or(0.0, |bias| bias[at % bias.len()]);
                value + skip[at % skip.len()] + bias
            })
            .collect();
        let normal = self.0.of(&sum, &scale, shift.as_deref())?;
        let mut rows = x.shape().to_vec();
        *rows.last_mut().context("values without axes")? = 1;
        Ok(vec![
            made(x.datum_type(), x.shape(), &normal.values)?,
            made(DatumType::F32, &rows, &normal.means)?,
            made(DatumType::F32, &rows, &normal.inverses)?,
            made(x.datum_type(), x.shape(), &sum)?,
        ])
    }
}

#[derive(Clone, Debug)]
struct Embed {
    norm: Norm,
    /// Whether the third output has a name.
    sums: bool,
}

pub(in super::super) fn embed(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let norm = Norm { epsilon: epsilon(node)?, is_centred: true };
    let sums = node.output.get(2).is_some_and(|name| !name.is_empty());
    Ok(Some(Arc::new(Embed { norm, sums })))
}

impl Kernel for Embed {
    fn name(&self) -> &'static str {
        "EmbedLayerNormalization"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let (Some(Some(ids)), Some(Some(words))) = (inputs.first(), inputs.get(2)) else {
            bail!("EmbedLayerNormalization takes ids and embeddings")
        };
        let (&[batch, length], &[_, width]) = (&ids.dims[..], &words.dims[..]) else {
            bail!("ids of {:?} and embeddings of {:?}", ids.dims, words.dims)
        };
        let whole = (words.dtype, vec![batch, length, width]);
        Ok(vec![whole.clone(), (DatumType::I32, vec![batch]), whole])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let input = |slot: usize| inputs.get(slot).copied().flatten();
        let needed = |slot: usize| input(slot).with_context(|| format!("input {slot} is missing"));
        let ids = needed(0)?;
        let &[batch, length] = ids.shape() else { bail!("ids of {:?}", ids.shape()) };
        let dtype = needed(2)?.datum_type();
        let (words, places) = (singles(needed(2)?)?, singles(needed(3)?)?);
        let segments = input(4).map(singles).transpose()?;
        let (scale, shift) = (singles(needed(5)?)?, singles(needed(6)?)?);
        let width = scale.len();
        let ids = integers(ids)?;
        let segment_ids = input(1).map(integers).transpose()?;
        let place_ids = input(8).map(integers).transpose()?;
        let mut sum = vec![0.0_f32; batch * length * width];
        for (at, row) in sum.chunks_mut(width.max(1)).enumerate() {
            let mut add = |table: &[f32], index: i64| -> TractResult<()> {
                let index = usize::try_from(index)?;
                let own = table.get(index * width..(index + 1) * width);
                let own =
                    own.with_context(|| format!("row {index} of a table of {}", table.len() / width))?;
                row.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
                Ok(())
            };
            add(&words, ids[at])?;
            let place = match &place_ids {
                // One row for all samples, or one for each.
                Some(places) => places[at % places.len()],
                None => (at % length) as i64,
            };
            add(&places, place)?;
            if let (Some(segments), Some(ids)) = (&segments, &segment_ids) {
                add(segments, ids[at])?;
            }
        }
        let normal = self.norm.of(&sum, &scale, Some(&shift))?;
        let ends: Vec<i32> = match input(7).map(integers).transpose()? {
            Some(mask) => {
                let rows = mask.chunks(length.max(1));
                rows.map(|row| row.iter().filter(|&&seen| seen == 1).count() as i32).collect()
            }
            None => vec![0; batch],
        };
        let dims = [batch, length, width];
        let mut outputs = vec![made(dtype, &dims, &normal.values)?, made(DatumType::I32, &[batch], &ends)?];
        if self.sums {
            outputs.push(made(dtype, &dims, &sum)?);
        }
        Ok(outputs)
    }
}
