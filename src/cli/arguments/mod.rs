//! Arguments that several subcommands share.

pub mod budget;
pub mod conversion;
pub mod dual;
pub mod feeding;
pub mod kinds;
pub mod pictures;
pub mod sampling;
pub mod values;
