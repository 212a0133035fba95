//! Which layers the options name, and which of them are key layers that become the sum of two tensors.

use super::Wish;
use crate::error::{Error, Result};
use crate::options::{Globs, Keys};
use crate::plan::{Residuals, TwoTerms, WeightSite};

/// Patterns, each of which must fit some layer's weights or node.
pub(super) struct Matches {
    globs: Globs,
}

impl Matches {
    pub(super) fn new(patterns: Vec<String>, sites: &[WeightSite]) -> Result<Self> {
        let matches = Self { globs: Globs::new(&patterns)? };
        let mut fits = vec![false; patterns.len()];
        sites.iter().flat_map(|site| matches.of(site)).for_each(|at| fits[at] = true);
        match fits.iter().position(|fits| !fits) {
            None => Ok(matches),
            Some(at) => Err(Error::options(
                format!("no layer that can be quantized matches {:?}", patterns[at]),
                "`fourbit::inspect` with `fourbit::Detail::Full` lists tensors and nodes",
            )),
        }
    }

    /// The patterns that fit `site`, in their order.
    pub(super) fn of(&self, site: &WeightSite) -> Vec<usize> {
        let names = std::iter::once(&site.tensor).chain(site.reads().map(|read| &read.node));
        let mut found: Vec<usize> = names.flat_map(|name| self.globs.matches(name)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// For each site that is dual, why.
pub(super) fn keys(
    keys: &Keys,
    sites: &[WeightSite],
    wishes: &[Wish],
    residuals: &[Option<Residuals>],
) -> Vec<Option<TwoTerms>> {
    let elements = |site: &WeightSite| site.dims.iter().product::<i64>().unsigned_abs();
    let single = |at: usize| residuals[at].as_ref().map_or(0.0, |residuals| residuals.single);
    let free = |at: &usize| {
        wishes[*at].dual.is_none() && wishes[*at].weights.is_some_and(|code_type| code_type.bits() == 4)
    };
    let mut found: Vec<Option<TwoTerms>> = wishes
        .iter()
        .map(|wish| {
            let why = || wish.dual_why.clone().map_or(TwoTerms::Asked, TwoTerms::Lifted);
            (wish.dual == Some(true)).then(why)
        })
        .collect();
    let mut order: Vec<usize> = (0..sites.len()).filter(free).collect();
    match *keys {
        Keys::None => {}
        Keys::All => order.iter().for_each(|&at| found[at] = Some(TwoTerms::All)),
        Keys::Above(threshold) => {
            for at in order.into_iter().filter(|&at| single(at) > threshold) {
                found[at] = Some(TwoTerms::Above { loses: single(at), threshold });
            }
        }
        Keys::Share(share) => {
            // A stable sort: among equals the graph's order.
            order.sort_by(|&one, &other| single(other).total_cmp(&single(one)));
            let whole: u64 = sites.iter().map(elements).sum();
            let mut left = share * whole as f64;
            for at in order {
                let size = elements(&sites[at]) as f64;
                // One that does not fit leaves its room to smaller ones.
                if size > left {
                    continue;
                }
                left -= size;
                found[at] = Some(TwoTerms::Share { loses: single(at), share });
            }
        }
    }
    found
}
