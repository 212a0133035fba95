//! The best scale for given numbers.
//!
//! Linear quantization approximates a value `x` by `scale * q`, `q` an integer code of a [`Grid`]. This module finds the
//! scale (and, for activations, the integer zero point) of least squared error, the MMSE problem of Choukroun et al.
//! (arXiv 1902.06822). Weights get the exact optimum ([`fit()`], [`fit_best`], [`Search`]); activations are first counted
//! in a [`Histogram`] whose state does not depend on the order of what it saw, and fitted from that ([`fit_range`]).
//! Where one low-precision tensor is too coarse, several add up: weights in [`MultiSearch`], activations in
//! [`fit_range_multi`].
//!
//! Pure numbers: no files, no graph, no threads, no randomness. The same input gives the same bits.

mod encode;
mod fit;
mod grid;
mod histogram;
mod multi;
mod outline;
mod range;
mod range_multi;
mod samples;
mod search;
mod window;

pub use encode::{encode, error_at};
pub use fit::{Fit, NotFinite, fit, fit_best, fit_min_max};
pub use grid::Grid;
pub use histogram::{Histogram, MAX_BINS};
pub use multi::{MultiFit, MultiSearch, Term, encode_multi};
pub use range::{RangeFit, fit_range, fit_range_min_max, fit_range_symmetric};
pub use range_multi::{MultiRangeFit, fit_range_multi};
pub use search::Search;

#[cfg(test)]
mod tests;
