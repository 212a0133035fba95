//! Running models with tract, and knowing when not to trust it. This is the only part that names
//! tract.

mod concrete;
mod faults;
mod guard;
mod lowered;
mod operators;
mod passes;
mod plain;
mod plan;
mod registers;
mod session;
mod values;
mod widened;

pub use faults::{Fault, faults};
pub use plan::Volume;
pub use session::{Output, Session, Tap};
pub use widened::is_widened;

#[cfg(test)]
mod tests;
