//! Whole-program tests: structure, preparation and conversions, judged by onnxruntime.

mod architecture;
mod oracle;
mod passes;
mod upgrade;
mod upgrade_cases;
