//! What the two networks of a walk have at the frontier.

use std::sync::Arc;

use rayon::prelude::*;

use super::walk::{Network, Source, Walk};
use crate::error::{Error, Result};
use crate::mmse::Histogram;
use crate::onnx::floats;
use crate::onnx::proto::TensorProto;
use crate::plan::Read;

/// Samples that one task counts into one histogram.
const COUNTED: usize = 32;

impl Walk<'_> {
    /// The values of activation `tensor`, which is at the frontier, in the quantized network.
    ///
    /// # Errors
    /// Whatever reading a sample gives.
    pub fn histogram(&self, tensor: &str) -> Result<Histogram> {
        let tasks: Vec<usize> = (0..self.count).step_by(COUNTED).collect();
        let parts = tasks.into_par_iter().map(|start| {
            let mut histogram = Histogram::new();
            for at in start..self.count.min(start + COUNTED) {
                histogram.add_slice(&floats(&self.get(tensor, at, Network::Own)?)?);
            }
            Ok(histogram)
        });
        let parts = parts.collect::<Result<Vec<Histogram>>>()?;
        let mut whole = Histogram::new();
        parts.iter().for_each(|part| whole.merge(part));
        Ok(whole)
    }

    /// The same with the values of each channel along `axis` counted as often as `worth` says; a value of another form gives
    /// nothing.
    ///
    /// # Errors
    /// Whatever reading a sample gives.
    pub fn weighted_histogram(&self, tensor: &str, axis: usize, worth: &[u64]) -> Result<Histogram> {
        let tasks: Vec<usize> = (0..self.count).step_by(COUNTED).collect();
        let parts = tasks.into_par_iter().map(|start| {
            let mut histogram = Histogram::new();
            for at in start..self.count.min(start + COUNTED) {
                let (dims, values) = self.raw(tensor, at, Network::Own)?;
                let axis = if axis == usize::MAX { dims.len().saturating_sub(1) } else { axis };
                if dims.get(axis) != Some(&worth.len()) || values.is_empty() {
                    continue;
                }
                let inner: usize = dims[axis + 1..].iter().product();
                if inner == 1 {
                    // Channels innermost: gathered, so that each is counted in one go.
                    for (channel, &times) in worth.iter().enumerate() {
                        let row: Vec<f32> = values[channel..].iter().step_by(worth.len()).copied().collect();
                        histogram.add_slice_times(&row, times);
                    }
                } else {
                    for (plane, values) in values.chunks(inner).enumerate() {
                        histogram.add_slice_times(values, worth[plane % worth.len()]);
                    }
                }
            }
            Ok(histogram)
        });
        let parts = parts.collect::<Result<Vec<Histogram>>>()?;
        let mut whole = Histogram::new();
        parts.iter().for_each(|part| whole.merge(part));
        Ok(whole)
    }

    /// The value of `tensor`, at the frontier or constant, on sample `at`.
    pub(super) fn get(&self, tensor: &str, at: usize, network: Network) -> Result<TensorProto> {
        let Some(live) = self.live.get(tensor) else {
            let constant = self.known.get(tensor).or_else(|| self.index().initializer(tensor));
            return constant.cloned().ok_or_else(|| self.lost(tensor));
        };
        let source = if network == Network::Float { &live.float } else { &live.own };
        match source {
            Source::Input(input) => (self.feed)(at)?.into_iter().nth(*input).ok_or_else(|| self.lost(tensor)),
            Source::Kept(spool) => spool.get(at),
        }
    }

    pub(super) fn lost(&self, tensor: &str) -> Error {
        let problem = format!("value {tensor} is not at the frontier");
        Error::Runtime { action: "calibrate", view: "float".into(), problem }
    }

    /// Dimensions and values of what the weights' reader `read` is given through `tensor` on sample `at`.
    pub(super) fn input(
        &self,
        read: &Read,
        tensor: &str,
        at: usize,
        network: Network,
    ) -> Result<(Vec<usize>, Vec<f32>)> {
        let value = self.get(tensor, at, network)?;
        let dims = value.dims.iter().map(|&dim| dim.max(0) as usize).collect();
        let mut values = floats(&value)?;
        if let Some((_, decision)) = self.low_bit.get(tensor).filter(|_| network == Network::Own)
            && decision.reads.iter().any(|other| other.at == read.at && other.slot != read.slot)
        {
            decision.round(&mut values);
        }
        Ok((dims, values))
    }

    /// Whether what reaches the weights' reader differs between the two networks.
    pub(super) fn differs(&self, tensor: &str) -> bool {
        let same = match self.live.get(tensor).map(|live| (&live.float, &live.own)) {
            Some((Source::Input(one), Source::Input(other))) => one == other,
            Some((Source::Kept(one), Source::Kept(other))) => Arc::ptr_eq(one, other),
            Some(_) => false,
            None => self.is_there(tensor),
        };
        self.sequential && (!same || self.low_bit.contains_key(tensor))
    }

    /// The same of `tensor` as it is, not rounded.
    pub(super) fn differs_untouched(&self, tensor: &str) -> bool {
        let Some(live) = self.live.get(tensor) else { return false };
        match (&live.float, &live.own) {
            (Source::Kept(one), Source::Kept(other)) => !Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Dimensions and values of `tensor`, at the frontier, on sample `at`.
    pub(super) fn raw(&self, tensor: &str, at: usize, network: Network) -> Result<(Vec<usize>, Vec<f32>)> {
        let value = self.get(tensor, at, network)?;
        Ok((value.dims.iter().map(|&dim| dim.max(0) as usize).collect(), floats(&value)?))
    }

    /// Whether `tensor` is at the frontier, or constant.
    pub(super) fn is_there(&self, tensor: &str) -> bool {
        self.live.contains_key(tensor)
            || self.known.contains_key(tensor)
            || self.index().initializer(tensor).is_some()
    }
}
