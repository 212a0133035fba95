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

/// The PNG file in `bytes` as an address that holds it, in base 64.
pub(super) fn address(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("data:image/png;base64,");
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let number = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

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

/// Row `row` of the first input of `sample` that holds pictures as a small PNG file; `None` where none does.
///
/// # Errors
/// Those of reading the values.
#[cfg(feature = "pictures")]
pub(super) fn thumbnail(sample: &super::Sample, row: usize) -> Result<Option<Vec<u8>>> {
    sheet::thumbnail(sample, row)
}

/// Nothing.
///
/// # Errors
/// None.
#[cfg(not(feature = "pictures"))]
pub(super) fn thumbnail(_: &super::Sample, _: usize) -> Result<Option<Vec<u8>>> {
    Ok(None)
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

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn addresses_are_base_64() {
        for (bytes, digits) in
            [("", ""), ("M", "TQ=="), ("Ma", "TWE="), ("Man", "TWFu"), ("Many", "TWFueQ==")]
        {
            assert_eq!(address(bytes.as_bytes()), format!("data:image/png;base64,{digits}"));
        }
        assert!(address(&[0xfb, 0xff]).ends_with(",+/8="));
    }
}
