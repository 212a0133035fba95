//! Rotary position embeddings. Sources: the ONNX operator RotaryEmbedding-23; onnxruntime's RotaryEmbedding, which has its inputs in
//! another order and may be given the first position alone.

use std::sync::Arc;

use ndarray::Array4;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::super::kernel::{Kernel, Known, OutputFact};
use super::super::numbers::{integers, made, singles};
use super::{at, by_head, heads_of, joined};

/// Angles by position, as their cosines and sines.
pub(super) struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
    /// Angles of one position.
    pub half: usize,
}

impl Angles {
    /// # Errors
    /// Where both do not have the same dimensions.
    pub fn of(cos: &Tensor, sin: &Tensor) -> TractResult<Self> {
        let half = cos.shape().last().copied().unwrap_or(0);
        if cos.shape() != sin.shape() || half == 0 {
            bail!("cosines of {:?} and sines of {:?}", cos.shape(), sin.shape());
        }
        Ok(Self { cos: singles(cos)?, sin: singles(sin)?, half })
    }

    /// Turns `values`, [batch, heads, length, size], by the angles in the row that `row` gives for each sample and place.
    ///
    /// # Errors
    /// Where there is no such row, or a head has fewer elements.
    pub fn turn(
        &self,
        values: &mut Array4<f32>,
        is_interleaved: bool,
        row: impl Fn(usize, usize) -> TractResult<usize>,
    ) -> TractResult<()> {
        let (batch, heads, length, size) = values.dim();
        let half = self.half;
        if 2 * half > size {
            bail!("{half} angles turn heads of {size} elements");
        }
        for sample in 0..batch {
            for place in 0..length {
                let row = row(sample, place)?;
                let range = row * half..(row + 1) * half;
                let (Some(cos), Some(sin)) = (self.cos.get(range.clone()), self.sin.get(range)) else {
                    bail!("position {row} of {} in the caches", self.cos.len() / half)
                };
                for head in 0..heads {
                    for at in 0..half {
                        let (one, other) = match is_interleaved {
                            true => (2 * at, 2 * at + 1),
                            false => (at, half + at),
                        };
                        let (x, y) =
                            (values[[sample, head, place, one]], values[[sample, head, place, other]]);
                        values[[sample, head, place, one]] = cos[at] * x - sin[at] * y;
                        values[[sample, head, place, other]] = sin[at] * x + cos[at] * y;
                    }
                }
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct Rotary {
    heads: usize,
    turned: usize,
    is_interleaved: bool,
    is_microsoft: bool,
}

fn new(node: &NodeProto, is_microsoft: bool) -> TractResult<Option<Arc<dyn Kernel>>> {
    let size = |name: &str| -> TractResult<usize> {
        Ok(usize::try_from(node.get_attr_opt::<i64>(name)?.unwrap_or(0))?)
    };
    let (heads, turned) = (size("num_heads")?, size("rotary_embedding_dim")?);
    let is_interleaved = node.get_attr_opt::<i64>("interleaved")?.unwrap_or(0) != 0;
    Ok(Some(Arc::new(Rotary { heads, turned, is_interleaved, is_microsoft })))
}

pub(in super::super) fn choose(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    new(node, false)
}

pub(in super::super) fn choose_microsoft(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    if node.get_attr_opt::<f32>("scale")?.is_some_and(|scale| scale != 1.0) {
        bail!("RotaryEmbedding with a scale other than 1 is not run");
    }
    if node.get_attr_opt::<i64>("is_packed_batching")?.unwrap_or(0) != 0 {
        bail!("RotaryEmbedding of packed batches is not run");
    }
    new(node, true)
}

impl Kernel for Rotary {
    fn name(&self) -> &'static str {
        "RotaryEmbedding"
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(x), ..] = inputs else { bail!("RotaryEmbedding takes values") };
        Ok(vec![(x.dtype, x.dims.clone())])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let needed = |slot: usize| at(inputs, slot).with_context(|| format!("input {slot} is missing"));
        let x = needed(0)?;
        let (cos, sin, places) = match self.is_microsoft {
            true => (needed(2)?, needed(3)?, at(inputs, 1)),
            false => (needed(1)?, needed(2)?, at(inputs, 3)),
        };
        let angles = Angles::of(cos, sin)?;
        // onnxruntime takes the size of a head from the caches where it is not told the number of heads.
        let heads = match (self.heads, x.rank()) {
            (0, 3) => x.shape()[2] / (2 * angles.half),
            (heads, _) => heads,
        };
        let [_, _, length, size] = by_head(x.shape(), heads)?;
        let turned = if self.turned == 0 { size } else { self.turned };
        if angles.half * 2 != turned {
            bail!("{} angles turn {turned} elements", angles.half);
        }
        let places = places.map(integers).transpose()?;
        let row = |sample: usize, place: usize| -> TractResult<usize> {
            let row = match &places {
                None => (sample * length + place) as i64,
                Some(first) if self.is_microsoft && first.len() == 1 => first[0] + place as i64,
                Some(places) => *places.get(sample * length + place).context("too few position_ids")?,
            };
            usize::try_from(row).ok().with_context(|| format!("position {row}"))
        };
        let mut values = heads_of(x, heads)?;
        angles.turn(&mut values, self.is_interleaved, row)?;
        let values = match x.rank() {
            3 => joined(&values),
            _ => values.iter().copied().collect(),
        };
        Ok(vec![made(x.datum_type(), x.shape(), &values)?])
    }
}
