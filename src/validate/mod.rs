//! The judgement: both models on the same samples, and proof that the file says what was planned.
//!
//! It trusts the bytes on disk: what it is given was read back from the written file.

mod bound;
mod boxes;
mod compare;
mod expected;
mod inside;
mod paired;
mod parting;
mod proof;
mod record;
mod runner;
mod scores;
mod sound;
mod witness;

pub use bound::{needed, needed_for_agreement};
pub use compare::{Compared, Differences, compare, compare_each};
pub use expected::{expected_agreement, expected_drop};
pub use inside::inside;
pub use paired::{FEWEST, Paired};
pub use parting::partings;
pub use proof::prove;
pub use record::Recorder;
pub use runner::Runner;
pub use scores::{check_declared, check_labels};
pub use sound::{is_quantized, loadable, sound};
pub use witness::{Seen, Watch, Witness};
