//! How single values of arguments are read.

/// Reads `name:1x3x224x224`; the name may hold colons itself.
pub fn shape(text: &str) -> Result<(String, Vec<i64>), String> {
    let (name, dims) = text.rsplit_once(':').ok_or("must be an input's name, a colon and dimensions")?;
    let dim = |text: &str| text.parse().ok().filter(|&dim: &i64| dim >= 0);
    let dims = dims.split('x').map(dim).collect::<Option<Vec<i64>>>();
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
