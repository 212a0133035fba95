//! What a model, a report or a plan says of a conversion.

use std::io::Read as _;
use std::path::Path;

use crate::error::{Error, Result};
use crate::files;
use crate::pipeline;
use crate::plan::{self, ActivationRow, Side, SideKind, SiteRow, Treated};
use crate::report::data;
use crate::report::documents::{Document, Kept, Site, Term};

/// A conversion, and its tensors.
pub(super) struct Read {
    pub side: Side,
    pub weights: Vec<Entry>,
    pub activations: Vec<Entry>,
    /// Weights that stayed float.
    pub floats: Vec<Entry>,
}

/// A tensor of a conversion.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub tensor: String,
    /// The nodes that read it; none where the file does not say them.
    pub nodes: Vec<String>,
    pub operator: String,
    pub treated: Treated,
}

/// INT32 biases belong to the quantized weights beside them.
const BIAS: &str = "int32";

/// Reads `path`, whatever of the three it is.
pub(super) fn read(path: &Path) -> Result<Read> {
    let mut read = match is_json(path)? {
        true => document(path)?,
        false => model(path)?,
    };
    read.side.file = path.display().to_string();
    read.side.counts = [read.weights.len(), read.activations.len(), read.floats.len()];
    Ok(read)
}

/// Whether the first symbol is that of a JSON object, with which no ONNX model begins.
fn is_json(path: &Path) -> Result<bool> {
    let mut begin = [0; 64];
    let mut file = files::open(path)?;
    let count = file.read(&mut begin).map_err(Error::read(path))?;
    Ok(begin[..count].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{'))
}

fn document(path: &Path) -> Result<Read> {
    let text = files::text(path)?;
    let value = Document::parse(&text).map_err(|error| error.of(path))?;
    let is_plan = value.get("schema").is_none() && value.get("decisions").is_some();
    let (kind, document) = match is_plan {
        true => {
            let told = data::plan(&plan::read(path)?);
            (SideKind::Plan, Document::read(&Document::parse(&told)?)?)
        }
        false => (SideKind::Report, Document::read(&value).map_err(|error| error.of(path))?),
    };
    let mut read = Read {
        side: Side {
            kind,
            tool: document.tool,
            subject: document.subject.map(|subject| subject.file),
            precision: document.precision,
            bytes_before: document.sizes.map(|sizes| sizes.before),
            bytes: document.sizes.map(|sizes| sizes.after),
            bits: document.sizes.map(|sizes| sizes.effective_bits),
            calibration: document.calibration.map(|it| (it.source, it.samples)),
            verdict: document.verdict,
            ..Side::default()
        },
        weights: Vec::new(),
        activations: Vec::new(),
        floats: document.kept.into_iter().filter(is_weight).map(kept).collect(),
    };
    for site in document.sites {
        match site {
            Site::Weight(weight) => read.weights.push(Entry {
                treated: Treated {
                    form: weights(&weight.terms),
                    sqnr_db: weight.sqnr_db,
                    added_db: weight.statistics.as_ref().and_then(|found| found.added_db),
                    reason: Some(weight.reason),
                },
                tensor: weight.tensor,
                nodes: weight.nodes,
                operator: weight.operator,
            }),
            Site::Activation(activation) => read.activations.push(Entry {
                treated: Treated {
                    form: joined(activation.terms.iter().map(|term| term.code_type.to_string())),
                    sqnr_db: activation.sqnr_db,
                    added_db: None,
                    reason: Some(activation.reason),
                },
                tensor: activation.tensor,
                nodes: activation.nodes,
                operator: activation.operator,
            }),
        }
    }
    Ok(read)
}

/// Whether what stayed float could have been weights: vectors are biases and the like.
fn is_weight(kept: &Kept) -> bool {
    kept.dims.len() > 1
}

fn kept(kept: Kept) -> Entry {
    let treated = Treated { form: Treated::FLOAT.into(), reason: Some(kept.reason), ..Treated::default() };
    Entry { tensor: kept.name, nodes: Vec::new(), operator: kept.operator, treated }
}

/// Types of codes and what shares a scale, as in `int4, per-channel`.
fn weights(terms: &[Term]) -> String {
    let types = joined(terms.iter().map(|term| term.storage.clone()));
    let shared = terms.first().map(|term| match term.block {
        Some(size) => format!(", per-block {size}"),
        None => format!(", per-{}", term.granularity),
    });
    types + &shared.unwrap_or_default()
}

/// A word a term.
fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" + ")
}

fn model(path: &Path) -> Result<Read> {
    let found = pipeline::inspect(path).map_err(|error| error.of(path))?;
    let mut read = Read {
        side: Side {
            kind: SideKind::Model,
            tool: found.quantized_by.clone().or(Some(found.producer).filter(|producer| !producer.is_empty())),
            precision: found.precision,
            bytes: Some(found.bytes),
            bits: found.effective_bits,
            ..Side::default()
        },
        weights: Vec::new(),
        activations: Vec::new(),
        floats: Vec::new(),
    };
    for site in found.sites {
        match &site.code_type {
            None => read.floats.push(entry(site, Treated::FLOAT.into())),
            Some(code_type) if code_type == BIAS => {}
            Some(code_type) => {
                let form = stored(code_type, &site);
                // Several terms of one tensor.
                let same = |entry: &&mut Entry| entry.tensor == site.value;
                match read.weights.iter_mut().find(same) {
                    Some(entry) => entry.treated.form = more(code_type, &entry.treated.form),
                    None => read.weights.push(entry(site, form)),
                }
            }
        }
    }
    read.activations = found.activations.into_iter().map(activation).collect();
    Ok(read)
}

fn entry(site: SiteRow, form: String) -> Entry {
    let treated = Treated { form, ..Treated::default() };
    Entry { tensor: site.value, nodes: site.nodes, operator: site.operator, treated }
}

fn stored(code_type: &str, site: &SiteRow) -> String {
    match (site.block, site.axis) {
        (Some(size), _) => format!("{code_type}, per-block {size}"),
        (None, Some(_)) => format!("{code_type}, per-channel"),
        (None, None) => format!("{code_type}, per-tensor"),
    }
}

/// One more term in front of a form.
fn more(code_type: &str, form: &str) -> String {
    format!("{code_type} + {form}")
}

fn activation(row: ActivationRow) -> Entry {
    let treated = Treated { form: row.code_type, ..Treated::default() };
    Entry { tensor: row.tensor, nodes: row.nodes, operator: String::new(), treated }
}
