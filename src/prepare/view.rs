//! Elements of a tensor in another order, or a part of them.

use std::collections::HashSet;

use crate::error::Result;
use crate::onnx::proto::TensorProto;
use crate::onnx::{Scratch, axis_of, element_count};

/// Elements that are copied at a time.
pub(super) const PIECE: usize = 1 << 18;

/// Elements of a tensor in an order of their own: along each axis so many, so far apart.
#[derive(Clone)]
pub(super) struct View {
    start: usize,
    pub dims: Vec<usize>,
    strides: Vec<isize>,
}

impl View {
    pub fn of(source: &TensorProto) -> Result<Self> {
        element_count(source)?;
        let dims: Vec<usize> = source.dims.iter().map(|&dim| dim as usize).collect();
        let mut strides = vec![1isize; dims.len()];
        for axis in (1..dims.len()).rev() {
            strides[axis - 1] = strides[axis].saturating_mul(dims[axis] as isize);
        }
        Ok(Self { start: 0, dims, strides })
    }

    /// With the axes in the order `perm`; `None` where that is no order of them.
    pub fn turned(&self, perm: &[i64]) -> Option<Self> {
        let order: Vec<usize> =
            perm.iter().map(|&axis| axis_of(axis, self.dims.len())).collect::<Option<_>>()?;
        let each = order.iter().collect::<HashSet<_>>().len();
        (order.len() == self.dims.len() && each == order.len()).then(|| Self {
            start: self.start,
            dims: order.iter().map(|&axis| self.dims[axis]).collect(),
            strides: order.iter().map(|&axis| self.strides[axis]).collect(),
        })
    }

    /// Slice-13; a step of 0 is refused.
    pub fn sliced(&self, starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]) -> Option<Self> {
        let mut view = self.clone();
        if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
            return None;
        }
        for (at, &axis) in axes.iter().enumerate() {
            let axis = axis_of(axis, self.dims.len())?;
            let length = i64::try_from(view.dims[axis]).ok()?;
            let step = steps[at];
            let from_end = |value: i64| if value < 0 { value.saturating_add(length) } else { value };
            let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
            let first = from_end(starts[at]).clamp(lowest.max(0), highest.max(0));
            let last = from_end(ends[at]).clamp(lowest, highest);
            let count = match step {
                0 => return None,
                1.. => (last - first).max(0).checked_add(step - 1)? / step,
                _ => (first - last).max(0).checked_add(-(step + 1))? / step.checked_neg()?,
            };
            view.start = view
                .start
                .checked_add_signed(isize::try_from(first).ok()?.checked_mul(view.strides[axis])?)?;
            view.dims[axis] = usize::try_from(if length == 0 { 0 } else { count }).ok()?;
            view.strides[axis] = view.strides[axis].checked_mul(isize::try_from(step).ok()?)?;
        }
        Some(view)
    }

    /// Its elements in row-major order.
    pub fn copy(&self, raw: &[u8], width: usize) -> Result<bytes::Bytes> {
        let count: usize = self.dims.iter().product();
        let (mut made, mut copied) = (Scratch::new(), Vec::with_capacity(PIECE.min(count) * width));
        let mut index = vec![0usize; self.dims.len()];
        let mut place = self.start as isize;
        for at in 0..count {
            if at % PIECE == PIECE - 1 {
                made.push(&copied)?;
                copied.clear();
            }
            copied.extend_from_slice(&raw[place as usize * width..][..width]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                place += self.strides[axis];
                if index[axis] < self.dims[axis] {
                    break;
                }
                place -= self.strides[axis] * self.dims[axis] as isize;
                index[axis] = 0;
            }
        }
        made.push(&copied)?;
        made.finish()
    }
}
