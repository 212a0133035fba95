//! Turns a trained float ONNX model into a low-bit one that is nearly as accurate, without retraining, and says what it cost.
//!
//! Weights become integers of 2 to 8 bits, and activations 8-bit ones where that is asked for. Scales are those of least squared error;
//! codes are chosen so that the outputs of layers change least, as seen on a few hundred samples ("Low-bit Quantization of Neural
//! Networks for Efficient Inference", arXiv 1902.06822). The written file has the standard's own nodes, `QuantizeLinear` and
//! `DequantizeLinear`. It is read again, proven to hold what was planned, and run beside the float model.
//!
//! # A first conversion
//!
//! ```
//! use fourbit::{Precision, Quantize, Report as _};
//!
//! # let folder = tempfile::tempdir()?;
//! # let out = folder.path().join("small.onnx");
//! let outcome = Quantize::new("models/waves_recurrent/model.onnx")
//!     .precision(Precision::W4)
//!     .max_samples(32)
//!     .output(&out)
//!     .run()?;
//! println!("{}", outcome.to_text(Default::default()));
//! assert!(outcome.sizes.ratio < 0.5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Samples of your own
//!
//! Calibration samples come from files (`.npz`, `.npy`, pictures, test data sets) or from the program: whole arrays, an iterator, or
//! anything that implements [`SampleSource`]. Names, shapes and element types are those of the model's inputs.
//!
//! ```
//! use fourbit::{Quantize, SampleSet, Tensor, Verdict};
//!
//! # let folder = tempfile::tempdir()?;
//! # let out = folder.path().join("waves.w4a8.onnx");
//! let wave = |at: usize| (0..128).map(move |t| ((t * (at + 1)) as f32 * 0.1).sin());
//! let signal = |at: usize| Tensor::new(&[1, 1, 128], wave(at)).unwrap();
//! let calls = (0..32).map(|at| vec![("signal".to_owned(), signal(at))]);
//! let outcome = Quantize::new("models/waves_recurrent/model.onnx")
//!     .calibration(SampleSet::from_samples(calls))
//!     .output(&out)
//!     .run()?;
//! assert!(matches!(outcome.verdict, Verdict::Validated(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What there is
//!
//! | to | use |
//! | --- | --- |
//! | convert a model | [`Quantize::run`], [`Quantize::run_to_bytes`] |
//! | decide first, look, edit, then write | [`Quantize::plan`], [`Plan`], [`Apply`] |
//! | compare a quantized model with its original | [`Validate`] |
//! | find the layers that cost accuracy | [`RankLayers`] |
//! | see what is in a model, and what it is fed | [`inspect`](fn@inspect), [`inputs`] |
//! | ask what a runtime takes of one | [`check`](fn@check), [`Target`] |
//! | listen to long work, and stop it | [`Progress`] |
//! | convert many models | the module `batch`, with the feature of that name |
//!
//! Every failure is an [`Error`] that names the file, node or value concerned and what to do; [`Error::kind`] tells programs what it
//! is about. Messages name settings as methods and fields are called, behind a dot: `.calibration`. A tensor that stays float is no
//! failure: the [`Plan`] holds the reason.
//!
//! # Threads and panics
//!
//! Work is spread over the threads of the rayon pool that a call comes from; results do not depend on their number. Panics of the
//! runtime inside are caught and become errors. Rust's panic hook, which is the program's, tells of them on standard error as well.
//!
//! # Features
//!
//! All are on by default. A library needs none of them.
//!
//! | feature | brings |
//! | --- | --- |
//! | `cli` | the program `fourbit` |
//! | `batch` | collections of models |
//! | `remote` | models in buckets and on web servers, in a batch |
//! | `pictures` | pictures as samples |
//! | `onnxruntime` | a second judge, loaded at run time |

#![deny(missing_docs)]

mod api;

pub use api::*;

/// The examples of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

pub mod options;

// The rooms of ARCHITECTURE.md. They are open to the tests, benches and fuzzers of this repository alone, and may change with any version.
#[doc(hidden)]
pub mod analyse;
#[doc(hidden)]
pub mod calibrate;
#[doc(hidden)]
pub mod check;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod error;
#[doc(hidden)]
pub mod files;
#[cfg(feature = "batch")]
#[doc(hidden)]
pub mod fuzzing;
#[doc(hidden)]
pub mod mmse;
#[doc(hidden)]
pub mod onnx;
#[doc(hidden)]
pub mod onnxruntime;
#[doc(hidden)]
pub mod panics;
#[doc(hidden)]
pub mod pipeline;
#[cfg(feature = "batch")]
#[doc(hidden)]
pub mod place;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod prepare;
#[doc(hidden)]
pub mod progress;
#[doc(hidden)]
pub mod reconstruct;
#[cfg(feature = "batch")]
#[doc(hidden)]
pub mod remote;
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod rewrite;
#[doc(hidden)]
pub mod runtime;
#[doc(hidden)]
pub mod samples;
#[doc(hidden)]
pub mod solve;
#[doc(hidden)]
pub mod validate;
#[cfg(feature = "batch")]
#[doc(hidden)]
pub mod zoo;
