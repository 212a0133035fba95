//! Subcommands that hold files against one another.

pub mod diff;
pub mod validate;
