//! Which layers cost accuracy.

use std::path::PathBuf;

use super::quantize::Quantize;
use super::reports::{Offer, Reports};
use crate::error::Result;
use crate::pipeline::{self, Effort};
use crate::plan::Sensitivity;
use crate::progress::{Progress, Silent};

/// A search for the layers that cost a conversion most: what its outputs gain where single layers are left float, the three best confirmed
/// by whole conversions. No model is written.
///
/// ```no_run
/// use fourbit::{Quantize, RankLayers};
///
/// let conversion = Quantize::new("net.onnx").calibration("calib.npz").validation("test.npz");
/// let found = RankLayers::of(&conversion).run()?;
/// for layer in found.layers.iter().take(3) {
///     println!("{}: leave it float with {:?}", layer.tensor, layer.exclude);
/// }
/// # Ok::<(), fourbit::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is done before `run`"]
pub struct RankLayers {
    conversion: Quantize,
    effort: Effort,
}

impl RankLayers {
    /// The layers of `conversion`.
    pub fn of(conversion: &Quantize) -> Self {
        Self { conversion: conversion.clone(), effort: Effort::default() }
    }

    /// Estimate on so many samples at most; 8 at least.
    pub fn samples(mut self, count: usize) -> Self {
        self.effort.samples = count.max(pipeline::FEWEST_SAMPLES);
        self
    }

    /// Estimate the gain of so many layers, those that promise most.
    pub fn layers(mut self, count: usize) -> Self {
        self.effort.layers = count.max(1);
        self
    }

    /// Opens files for reports before the work; see [`Quantize::open_reports`].
    ///
    /// # Errors
    /// As [`Quantize::open_reports`].
    pub fn open_reports(&self, reports: &[PathBuf], overwrite: bool) -> Result<Reports> {
        let located = self.conversion.source().locate()?;
        let mut guard = self.conversion.guard(&self.conversion.job(&located)?);
        Reports::open(reports, Offer::Plain, None, overwrite, &mut guard)
    }

    /// Measures.
    ///
    /// # Errors
    /// Of the kind [`crate::ErrorKind::Options`] where there are too few samples, or the model cannot be run; otherwise as
    /// [`Quantize::run`].
    pub fn run(&self) -> Result<Sensitivity> {
        self.run_with(&Silent)
    }

    /// Ranks the layers as [`RankLayers::run`] does; `progress` hears of the stages and may stop the work.
    ///
    /// # Errors
    /// As [`RankLayers::run`].
    pub fn run_with(&self, progress: &dyn Progress) -> Result<Sensitivity> {
        let located = self.conversion.source().locate()?;
        located.told(pipeline::sensitivity(&self.conversion.job(&located)?, self.effort, progress))
    }
}
