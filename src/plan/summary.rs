//! What came of many conversions: one row a model, and what is told while they run.

use serde::{Deserialize, Serialize};

/// What became of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Converted as asked.
    Converted,
    /// Converted, but a limit was not kept or the file was not validated: the reason says which.
    Remarked,
    /// Written, but its outputs fall apart: an SQNR under [`POOR_DB`], an agreement under [`POOR_AGREEMENT`], or values that are
    /// no longer finite.
    Poor,
    /// Not written, since nothing in it would be quantized: the reason says why.
    Unquantized,
    /// Not converted: the reason says why.
    Failed,
}

/// Below this SQNR of an output, in dB, a tenth of its energy is noise.
pub const POOR_DB: f64 = 10.0;
/// Below this share of samples on which both models choose the same class, one answer in five is another.
pub const POOR_AGREEMENT: f64 = 0.8;

impl Status {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Converted => "converted",
            Self::Remarked => "remarked",
            Self::Poor => "poor",
            Self::Unquantized => "unquantized",
            Self::Failed => "failed",
        }
    }

    /// Whether a model was written.
    pub fn is_written(self) -> bool {
        matches!(self, Self::Converted | Self::Remarked | Self::Poor)
    }
}

/// One model of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Where it lies in the output folder, `/` between folders.
    pub model: String,
    /// What became of it.
    pub status: Status,
    /// Why it was not converted, or what a person should know of the conversion.
    pub reason: Option<String>,
    /// Bytes of the float model, side files included; `None` where it could not be looked at.
    pub bytes_before: Option<u64>,
    /// What else is known of a written file.
    pub written: Option<Written>,
}

/// One written model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// As in `w4a8`.
    pub precision: String,
    /// Bytes of the written model, side file included.
    pub bytes_after: u64,
    /// Bits that stand for one float parameter, scales and what stays float counted.
    pub effective_bits: Option<f64>,
    /// SHA-256 of the model file.
    pub sha256: String,
    /// Samples that both models were run on; 0 where they were not.
    pub samples: u64,
    /// Whether these were random numbers.
    pub synthetic: bool,
    /// Float model: share of labelled samples with the right first choice.
    pub float_top1: Option<f64>,
    /// Written model: the same.
    pub quantized_top1: Option<f64>,
    /// Points of top-1 lost.
    pub drop_points: Option<f64>,
    /// Share of samples on which both models choose the same class.
    pub agreement: Option<f64>,
    /// SQNR of the worst output, in dB; `None` without samples, or without any difference.
    pub sqnr_db: Option<f64>,
    /// SQNR on samples that it was calibrated on, in dB, where it was judged on others.
    pub inside_sqnr_db: Option<f64>,
    /// How many warnings the report has.
    pub warnings: u64,
}

/// All models of a batch, and what was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Name and version of the program.
    pub tool: String,
    /// Options of the whole batch, as on a command line.
    pub options: Vec<String>,
    /// The models, in the order of their names.
    pub rows: Vec<Row>,
    /// How many of the written ones an earlier run wrote. No report has it, as these do not depend on how many runs there were.
    #[serde(skip)]
    pub before: usize,
}

/// The figures of all models together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Models.
    pub models: usize,
    /// Those written, whatever is said of them.
    pub converted: usize,
    /// Those written with a remark.
    pub remarked: usize,
    /// Those written whose outputs fall apart.
    pub poor: usize,
    /// Those not written since nothing in them would be quantized.
    pub unquantized: usize,
    /// Those not written for another reason.
    pub failed: usize,
    /// Bytes of the float models that were converted.
    pub bytes_before: u64,
    /// Bytes of what they became.
    pub bytes_after: u64,
}

impl Summary {
    /// The rows, the worst first: what failed, then poor files by their loss, then what was left alone, and the others by name.
    pub fn worst_first(&self) -> Vec<&Row> {
        let class = |row: &&Row| match row.status {
            Status::Failed => 0,
            Status::Poor => 1,
            Status::Unquantized => 2,
            Status::Remarked | Status::Converted => 3,
        };
        let loss = |row: &&Row| match (row.status, &row.written) {
            (Status::Poor, Some(written)) => {
                let share = written.agreement.map_or(f64::INFINITY, |share| share / POOR_AGREEMENT);
                written.sqnr_db.map_or(f64::NEG_INFINITY, |ratio| ratio / POOR_DB).min(share)
            }
            _ => 0.0,
        };
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by(|one, other| class(one).cmp(&class(other)).then(loss(one).total_cmp(&loss(other))));
        rows
    }

    /// Adds the rows up.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { models: self.rows.len(), ..Totals::default() };
        for row in &self.rows {
            totals.converted += usize::from(row.status.is_written());
            match row.status {
                Status::Converted => {}
                Status::Remarked => totals.remarked += 1,
                Status::Poor => totals.poor += 1,
                Status::Unquantized => totals.unquantized += 1,
                Status::Failed => totals.failed += 1,
            }
            if let Some(written) = &row.written {
                totals.bytes_before += row.bytes_before.unwrap_or(0);
                totals.bytes_after += written.bytes_after;
            }
        }
        totals
    }
}

/// What a batch tells while it runs. As JSON each is an object with its name under `event`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'e> {
    /// The models are known, and nothing is begun.
    Found {
        /// How many there are for this process to do.
        models: usize,
        /// Their bytes.
        bytes: u64,
    },
    /// Something worth a line of its own.
    Note {
        /// What.
        message: &'e str,
    },
    /// A model is done from an earlier run.
    Skipped {
        /// The model.
        model: &'e str,
        /// Its bytes.
        bytes: u64,
        /// What became of it then.
        status: Status,
    },
    /// A conversion begins.
    Started {
        /// The model.
        model: &'e str,
        /// Its bytes.
        bytes: u64,
        /// Threads that it has.
        threads: usize,
    },
    /// A conversion was stopped for want of memory and comes again later, in the end alone and with one thread.
    Postponed {
        /// The model.
        model: &'e str,
        /// Why.
        reason: &'e str,
    },
    /// A model was written.
    Finished {
        /// What became of it.
        row: &'e Row,
        /// Its bytes.
        bytes: u64,
        /// How long it took.
        seconds: f64,
        /// Largest memory of its process, where known.
        peak_memory: Option<u64>,
    },
    /// A model was not converted.
    Failed {
        /// What became of it.
        row: &'e Row,
        /// Its bytes.
        bytes: u64,
        /// How long it took.
        seconds: f64,
    },
    /// What a running conversion takes at the moment.
    #[serde(skip)]
    Memory {
        /// The model.
        model: &'e str,
        /// Resident bytes.
        resident: u64,
    },
    /// All is done.
    Summary {
        /// The figures of all models together.
        #[serde(flatten)]
        totals: Totals,
    },
}

/// A listener to a batch.
pub trait Listener: Sync {
    /// Takes note of one event.
    fn hear(&self, event: &Event);
}
