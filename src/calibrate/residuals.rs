//! Errors that meet the output of a layer in an Add: what another branch has got wrong, this layer can put right in part.

use rayon::prelude::*;

use super::columns::Columns;
use super::moments::{most_positions, spread};
use super::walk::{Network, Walk};
use crate::error::Result;
use crate::onnx::is_standard;
use crate::plan::{Kernel, Layout, Reader};
use crate::reconstruct::{MOST_FEATURES, Residual};

/// Partial sums at most; see the same of moments.
const PARTS: usize = 4;

impl Walk<'_> {
    /// The other summand of the Add that alone reads the output of the weights at `site`, where it is at the frontier and
    /// differs between the two networks.
    fn other_branch(&self, site: usize) -> Option<&str> {
        let site = &self.analysis.weights[site];
        let [reader] = &site.readers[..] else { return None };
        let (read, input) = (&reader.read, reader.input()?);
        if !self.is_there(input) || matches!(&reader.kernel, Kernel::Matrix { alpha, .. } if *alpha != 1.0) {
            return None;
        }
        let graph = self.index().graph();
        let mut output = graph.node.get(read.at)?.output.first()?;
        // A bias added to a product comes before the branch.
        for _ in 0..2 {
            let &[(at, slot)] = self.index().consumers(output) else { return None };
            if self.index().is_captured(output) || self.index().is_output(output) {
                return None;
            }
            let add = &graph.node[at];
            if !is_standard(add.domain()) || add.op_type() != "Add" || add.input.len() != 2 {
                return None;
            }
            let other = &add.input[1 - slot.min(1)];
            if self.index().initializer(other).is_none() {
                let there = other != input && self.is_there(other) && self.differs_untouched(other);
                return there.then_some(other.as_str());
            }
            output = add.output.first()?;
        }
        None
    }

    /// For each group of channels the moments of the error in the other branch with the layer's input.
    ///
    /// # Errors
    /// Whatever reading a sample gives.
    pub fn residuals(&self, site: usize) -> Result<Option<Vec<Residual>>> {
        let Some(other) = self.other_branch(site).filter(|_| self.is_sequential()) else { return Ok(None) };
        let site = &self.analysis.weights[site];
        let [Reader { read, kernel, operand: Some(operand), .. }] = &site.readers[..] else {
            return Ok(None);
        };
        let Some(layout) = Layout::new(kernel, &site.dims) else { return Ok(None) };
        let columns = Columns { kernel: kernel.clone(), groups: layout.groups, features: layout.features };
        let most = most_positions(layout.features, self.count);
        let share = self.count.div_ceil(PARTS).max(1);
        let outputs = layout.groups * layout.rows;
        let split = layout.split(MOST_FEATURES);
        let empty = || vec![Residual::new(split.rows, split.features); split.groups];
        let parts: Vec<Option<[Vec<Residual>; 2]>> = (0..PARTS)
            .into_par_iter()
            .map(|part| {
                let mut halves = [empty(), empty()];
                for at in part * share..self.count.min((part + 1) * share) {
                    let (dims, own) = self.input(read, &operand.value, at, Network::Own)?;
                    let field = columns.field(&dims).filter(|field| field.positions() > 0);
                    let Some(field) = field else { return Ok(None) };
                    let (one, float) = self.raw(other, at, Network::Float)?;
                    let (two, quantized) = self.raw(other, at, Network::Own)?;
                    let batch = match columns.kernel {
                        Kernel::Matrix { .. } => field.positions(),
                        _ => dims[0],
                    };
                    // Anything but the output's own form would have been broadcast.
                    let channels =
                        if matches!(columns.kernel, Kernel::Matrix { .. }) { one.last() } else { one.get(1) };
                    if one != two
                        || float.len() != outputs * field.positions()
                        || channels != Some(&outputs)
                        || batch == 0
                    {
                        return Ok(None);
                    }
                    let plane = field.positions() / batch;
                    let positions = spread(field.positions(), most, at);
                    let places = field.places(&positions);
                    let sums = &mut halves[at % 2];
                    for (group, sums) in sums.chunks_mut(split.parts).enumerate() {
                        let input = field.fill(&columns, group, &own, &places);
                        let mut errors = Vec::with_capacity(layout.rows * positions.len());
                        for row in 0..layout.rows {
                            let channel = group * layout.rows + row;
                            errors.extend(positions.iter().map(|&position| {
                                let place = (position / plane * outputs + channel) * plane + position % plane;
                                let error = f64::from(float[place]) - f64::from(quantized[place]);
                                if error.is_finite() { error } else { 0.0 }
                            }));
                        }
                        let length = input.len() / split.parts;
                        sums.iter_mut()
                            .zip(input.chunks(length))
                            .for_each(|(sums, run)| sums.add(&errors, run));
                    }
                }
                Ok(Some(halves))
            })
            .collect::<Result<_>>()?;
        let [mut whole, mut other] = [empty(), empty()];
        for part in parts {
            let Some([one, two]) = part else { return Ok(None) };
            whole.iter_mut().zip(&one).for_each(|(whole, part)| whole.merge(part));
            other.iter_mut().zip(&two).for_each(|(whole, part)| whole.merge(part));
        }
        whole.iter_mut().zip(other).for_each(|(whole, half)| whole.join(half));
        Ok(Some(whole))
    }
}
