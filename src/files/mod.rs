//! Files on this machine: read only where they are files, written so that nothing is lost. An output appears under its name
//! when it is complete, never in the place of something that the same run reads, and goes away when the run is interrupted.

mod draft;
mod guard;
mod input;
mod interrupt;
mod staging;

pub use draft::{Draft, Sink, complete};
pub use guard::Guard;
pub use input::{open, read, text};
pub use interrupt::{Stand, abandon};

use std::path::Path;

/// The folder that `path` lies in.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
