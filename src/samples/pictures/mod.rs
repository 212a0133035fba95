//! Samples from a folder of pictures. They are decoded by a program built with the feature `pictures`; one without it says so.

#[cfg(feature = "pictures")]
mod decoded;
#[cfg(feature = "pictures")]
mod found;
mod natural;
#[cfg(feature = "pictures")]
mod sheet;
#[cfg(feature = "pictures")]
mod whole;

use std::path::Path;
use std::sync::Arc;

pub(super) use natural::natural;

use super::input::Input;
use super::{Preprocess, Source};
use crate::error::Result;

/// Endings of the files that count as pictures.
pub(super) const ENDINGS: [&str; 10] =
    ["jpg", "jpeg", "png", "bmp", "webp", "gif", "ppm", "pgm", "tiff", "tif"];

/// The pictures of `folder`.
///
/// # Errors
/// Those of [`decoded::Pictures::open`].
#[cfg(feature = "pictures")]
pub(super) fn open(
    folder: &Path,
    inputs: &[Input],
    preprocess: Option<&Preprocess>,
) -> Result<Arc<dyn Source>> {
    Ok(Arc::new(decoded::Pictures::open(folder, inputs, preprocess)?))
}

/// A PNG file with the first pictures of the first `count` samples.
///
/// # Errors
/// Those of [`sheet::sheet`].
#[cfg(feature = "pictures")]
pub(super) fn sheet(samples: &super::Samples, count: usize) -> Result<Vec<u8>> {
    sheet::sheet(samples, count)
}

/// Nothing, and why.
///
/// # Errors
/// [`crate::error::Error::Options`] always.
#[cfg(not(feature = "pictures"))]
pub(super) fn sheet(_: &super::Samples, _: usize) -> Result<Vec<u8>> {
    let problem = "this fourbit was built without the feature pictures, and cannot draw any";
    Err(crate::error::Error::options(problem, "leave `.png` out"))
}

/// Nothing, and why.
///
/// # Errors
/// [`crate::error::Error::Samples`] always.
#[cfg(not(feature = "pictures"))]
pub(super) fn open(folder: &Path, _: &[Input], _: Option<&Preprocess>) -> Result<Arc<dyn Source>> {
    let expected = "arrays or test data sets: this fourbit was built without the feature pictures";
    Err(crate::error::Error::samples(folder, "folder", expected, "pictures, or nothing that is known"))
}
