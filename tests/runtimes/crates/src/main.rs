//! Runs files in a runtime that is a crate: `runtimes RUNTIME JOB...`. The folders of jobs and what is written there are
//! described in `tests/python/everywhere.py`.

#[cfg(feature = "candle")]
mod candle;
mod rten;

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs beyond the first, of which the fastest counts.
const TIMED: usize = 5;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Values of one input or output as they lie in a file.
struct Array {
    name: String,
    /// By NumPy's name.
    dtype: String,
    dims: Vec<usize>,
    bytes: Vec<u8>,
}

impl Array {
    fn values<T, const N: usize>(&self, read: fn([u8; N]) -> T) -> Vec<T> {
        self.bytes.chunks_exact(N).map(|bytes| read(bytes.try_into().expect("as many bytes"))).collect()
    }
}

/// A loaded file.
trait Loaded {
    fn run(&self, inputs: &[Array]) -> Outcome<Vec<Array>>;
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let load: fn(&str) -> Outcome<Box<dyn Loaded>> = match arguments.next().as_deref() {
        Some("rten") => rten::load,
        #[cfg(feature = "candle")]
        Some("candle") => candle::load,
        other => return Err(format!("no runtime {other:?} in this build").into()),
    };
    for folder in arguments {
        let folder = Path::new(&folder);
        let (text, to) = match job(load, folder) {
            Ok(lines) => (lines, "outputs.tsv"),
            Err(problem) => (problem.to_string(), "refused.txt"),
        };
        fs::write(folder.join("unfinished"), text)?;
        fs::rename(folder.join("unfinished"), folder.join(to))?;
    }
    Ok(())
}

fn job(load: fn(&str) -> Outcome<Box<dyn Loaded>>, folder: &Path) -> Outcome<String> {
    let mut inputs = Vec::new();
    for line in fs::read_to_string(folder.join("inputs.tsv"))?.lines() {
        let [name, dtype, dims, file] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("{line}: four fields expected").into());
        };
        let dims = dims.split(',').filter(|dim| !dim.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
        let bytes = fs::read(folder.join(file))?;
        inputs.push(Array { name: name.into(), dtype: dtype.into(), dims, bytes });
    }
    let start = Instant::now();
    let model = load(&fs::read_to_string(folder.join("model.txt"))?)?;
    let loaded = start.elapsed();
    let outputs = model.run(&inputs)?;
    let mut fastest = Duration::MAX;
    for _ in 0..TIMED {
        let start = Instant::now();
        model.run(&inputs)?;
        fastest = fastest.min(start.elapsed());
    }
    let mut lines = format!("{}\t{}", loaded.as_secs_f64(), fastest.as_secs_f64());
    for (at, Array { name, dtype, dims, bytes }) in outputs.into_iter().enumerate() {
        let dims: Vec<String> = dims.iter().map(ToString::to_string).collect();
        fs::write(folder.join(format!("output-{at}")), bytes)?;
        write!(lines, "\n{name}\t{dtype}\t{}\toutput-{at}", dims.join(","))?;
    }
    Ok(lines)
}
