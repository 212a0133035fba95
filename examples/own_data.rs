//! Calibrates on data that the program makes, and stops when it takes too long: the model is `models/waves_recurrent`.
//!
//!     cargo run --release --example own_data -- small.onnx

use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use fourbit::{Inputs, Progress, Quantize, SampleSet, SampleSource, Tensor, Verdict};

/// Waves of 128 points, as the model takes them.
struct Waves(usize);

impl SampleSource for Waves {
    fn len(&self) -> usize {
        self.0
    }

    fn inputs(&self, index: usize) -> Result<Inputs, Box<dyn Error + Send + Sync>> {
        let pitch = 0.05 + 0.01 * index as f32;
        let wave = (0..128).map(|time| (pitch * time as f32).sin());
        Ok(vec![("signal".into(), Tensor::new(&[1, 1, 128], wave)?)])
    }

    fn name(&self) -> String {
        "made-up waves".into()
    }
}

/// Prints the stages, and gives the work a minute.
struct Patience(Instant);

impl Progress for Patience {
    fn begin(&self, stage: &str, steps: Option<u64>) {
        println!("{stage}: {} steps", steps.unwrap_or_default());
    }
    fn step(&self) {}
    fn end(&self) {}
    fn note(&self, message: &str) {
        println!("{message}");
    }
    fn is_cancelled(&self) -> bool {
        self.0.elapsed() > Duration::from_secs(60)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    run(env::args().skip(1))
}

pub fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let output = arguments.next().ok_or("give an output")?;
    let model = std::fs::read("models/waves_recurrent/model.onnx")?;
    let (outcome, bytes) = Quantize::new(fourbit::Source::from_bytes(model))
        .calibration(SampleSet::from_source(Waves(64)))
        .run_to_bytes(&Patience(Instant::now()))?;
    std::fs::write(&output, &bytes)?;
    println!("{} bytes in {output}", bytes.len());
    if let Verdict::Validated(validation) = &outcome.verdict {
        println!("judged on {}: {:?} dB", validation.source, validation.outputs[0].sqnr_db);
    }
    Ok(())
}
