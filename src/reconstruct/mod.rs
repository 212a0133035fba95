//! Least error of a layer's *output*, from second moments alone.
//!
//! A layer multiplies rows of weights `w` with input vectors. Let `x` be the input in the float network and `x'` the input
//! that the quantized layers before it really give. With `H = E[x' x'^T]` and `C = E[x x'^T]` the mean squared error of a
//! row's output is quadratic in the quantized weights `v`:
//!
//! `E|w x - v x'|^2 = E|w x|^2 - 2 w C v^T + v H v^T`
//!
//! So everything here needs [`Statistics`] only, never the samples: the optimum over real weights ([`Start::targets`]), codes
//! found one column after another with each rounding error spread over the columns still free ([`compensate()`], after GPTQ,
//! Frantar et al., arXiv 2210.17323), and scales refitted to the codes ([`Normal`], the paper's "OMSE + opt"). No gradient is
//! propagated.
//!
//! Pure numbers: no files, no graph. The same input gives the same bits, whatever the number of threads.

mod compensate;
mod moments;
mod normal;
mod polish;
mod quantizer;
mod refit;
mod residual;
mod ridge;
mod statistics;

/// Widest metric that is solved in one piece: 42 MB, and a second or two. Wider layers are cut into runs of features whose
/// correlations with one another are left out.
pub const MOST_FEATURES: usize = 2304;

/// Most memory that the moments of one layer may take; the weights of a layer with more are judged by themselves.
pub const MOST_BYTES: usize = 4 << 30;

pub use compensate::{Factor, compensate};
pub use moments::Moments;
pub use normal::{clipped, leaky};
pub use polish::polish;
pub use quantizer::{Quantizer, Term};
pub use refit::Normal;
pub use residual::Residual;
pub use statistics::{Start, Statistics};

#[cfg(test)]
mod tests;
