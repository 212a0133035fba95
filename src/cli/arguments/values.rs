//! How single values of arguments are read.

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};

/// Reads `name:1x3x224x224`; the name may hold colons itself.
pub fn shape(text: &str) -> Result<(String, Vec<i64>), String> {
    let (name, dims) = text.rsplit_once(':').ok_or("must be an input's name, a colon and dimensions")?;
    let dim = |text: &str| text.parse().ok().filter(|&dim: &i64| dim >= 0);
    let dims = dims.split(['x', 'X']).map(dim).collect::<Option<Vec<i64>>>();
    Ok((name.to_owned(), dims.ok_or("dimensions are whole numbers from 0 up, as in 1x3x224x224")?))
}

/// Reads a count that must not be zero.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(count) => Ok(count),
        Err(_) => Err("not a whole number".into()),
    }
}

/// Reads a number from 0 up.
pub fn number(text: &str) -> Result<f64, String> {
    crate::options::Budget::number(text).map_err(|error| error.to_string())
}

/// Reads a percentage, as in `98` or `98%`, as a share from 0 to 1. What could be meant as a share is refused.
pub fn percentage(text: &str) -> Result<f64, String> {
    let (digits, has_sign) = match text.trim().strip_suffix('%') {
        Some(digits) => (digits, true),
        None => (text.trim(), false),
    };
    match digits.trim().parse::<f64>() {
        Ok(share) if !has_sign && share > 0.0 && share < 1.0 => {
            Err(format!("must be a percentage; write {}% for a share of {share}", 100.0 * share))
        }
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("must be a percentage from 0 to 100, as in 98%".into()),
    }
}

/// Reads the place of a result that stands behind the model, where samples are easily put.
pub fn output() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path: PathBuf| match is_samples(&path) {
        true => Err("the second argument is the file to write; write --calibration PATH for samples"),
        false => Ok(path),
    })
}

fn is_samples(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("npz") || ending.eq_ignore_ascii_case("npy"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_no_percentages() {
        assert_eq!((percentage("98"), percentage("98.5 %"), percentage("0")), (Ok(0.98), Ok(0.985), Ok(0.0)));
        assert_eq!((percentage("0.5%"), percentage("1")), (Ok(0.005), Ok(0.01)));
        assert!(percentage("0.98").unwrap_err().contains("write 98%"));
        for wrong in ["101", "-1", "NaN", "", "%"] {
            assert!(percentage(wrong).is_err(), "{wrong}");
        }
    }
}
