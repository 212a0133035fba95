//! What came of many conversions: one row a model, and what is told while they run.

use std::collections::HashMap;

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

    /// All of them, the worst first.
    pub const WORST_FIRST: [Self; 5] =
        [Self::Failed, Self::Poor, Self::Unquantized, Self::Remarked, Self::Converted];

    /// The place in [`Status::WORST_FIRST`].
    fn rank(self) -> usize {
        Self::WORST_FIRST.iter().take_while(|&&other| other != self).count()
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

impl Written {
    /// Whether the SQNR of the worst output is that of a poor file.
    pub fn has_poor_sqnr(&self) -> bool {
        self.sqnr_db.is_some_and(|ratio| ratio < POOR_DB)
    }

    /// Whether both models agree as little as those of a poor file do. A few random samples say nothing of classes.
    pub fn has_poor_agreement(&self) -> bool {
        self.told_agreement().is_some_and(|share| share < POOR_AGREEMENT)
    }

    fn told_agreement(&self) -> Option<f64> {
        self.agreement.filter(|_| !self.synthetic)
    }

    /// The figures as multiples of those at which a file is poor, the lower one. What was not measured comes before all that was.
    fn margin(&self, status: Status) -> f64 {
        let ratio = match self.sqnr_db {
            Some(ratio) => ratio / POOR_DB,
            // On samples that were run there was no difference, unless something else is wrong.
            None if self.samples > 0 && status != Status::Poor => f64::INFINITY,
            None => f64::NEG_INFINITY,
        };
        ratio.min(self.told_agreement().map_or(f64::INFINITY, |share| share / POOR_AGREEMENT))
    }
}

/// How long a conversion took, and how much memory: what is different each time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Time {
    /// The model.
    pub model: String,
    /// Seconds.
    pub seconds: f64,
    /// Largest memory, in bytes, where known.
    pub peak_memory: Option<u64>,
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
    /// How long conversions took, those of earlier runs included. Only the page of times has them.
    #[serde(skip)]
    pub times: Vec<Time>,
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
    /// The rows, the worst first: by status ([`Status::WORST_FIRST`]), those of one status by their figures, and by name where
    /// these are equal.
    pub fn worst_first(&self) -> Vec<&Row> {
        let margin = |row: &Row| row.written.as_ref().map_or(0.0, |written| written.margin(row.status));
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by(|one, other| {
            let status = one.status.rank().cmp(&other.status.rank());
            status.then_with(|| margin(one).total_cmp(&margin(other)))
        });
        rows
    }

    /// The rows with their times, the slowest first; what was never timed comes last.
    pub fn slowest_first(&self) -> Vec<(&Row, Option<&Time>)> {
        let times: HashMap<&str, &Time> = self.times.iter().map(|time| (time.model.as_str(), time)).collect();
        let timed = self.rows.iter().map(|row| (row, times.get(row.model.as_str()).copied()));
        let mut rows: Vec<(&Row, Option<&Time>)> = timed.collect();
        let seconds = |time: Option<&Time>| time.map_or(f64::NEG_INFINITY, |time| time.seconds);
        rows.sort_by(|(_, one), (_, other)| seconds(*other).total_cmp(&seconds(*one)));
        rows
    }

    /// Seconds of all conversions of these models together, as if none had run beside another; `None` where none was timed.
    pub fn seconds(&self) -> Option<f64> {
        let times: Vec<f64> =
            self.slowest_first().iter().filter_map(|(_, time)| Some((*time)?.seconds)).collect();
        (!times.is_empty()).then(|| times.iter().sum())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(model: &str, status: Status, written: Option<Written>) -> Row {
        Row { model: model.into(), status, reason: None, bytes_before: None, written }
    }

    fn judged(sqnr_db: Option<f64>, agreement: Option<f64>) -> Option<Written> {
        Some(Written { samples: 8, sqnr_db, agreement, ..Written::default() })
    }

    #[test]
    fn the_worst_comes_first() {
        let expected = vec![
            row("failed", Status::Failed, None),
            row("not finite", Status::Poor, judged(None, None)),
            row("few alike", Status::Poor, judged(Some(30.0), Some(0.2))),
            row("noise", Status::Poor, judged(Some(9.0), Some(0.9))),
            row("nothing", Status::Unquantized, None),
            row("not run", Status::Remarked, Some(Written::default())),
            row("remark", Status::Remarked, judged(Some(20.0), None)),
            row("close", Status::Converted, judged(Some(11.0), None)),
            row("a", Status::Converted, judged(Some(30.0), None)),
            row("b", Status::Converted, judged(Some(30.0), None)),
            row("equal", Status::Converted, judged(None, None)),
        ];
        let mut rows = expected.clone();
        rows.sort_by(|one, other| one.model.cmp(&other.model));
        let found = Summary { tool: String::new(), options: Vec::new(), rows, before: 0, times: Vec::new() };
        let told: Vec<&str> = found.worst_first().iter().map(|row| row.model.as_str()).collect();
        let expected: Vec<&str> = expected.iter().map(|row| row.model.as_str()).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn poor_figures_are_told_from_others() {
        let poor = |sqnr_db, agreement, synthetic| {
            let written = Written { synthetic, ..judged(sqnr_db, agreement).unwrap() };
            (written.has_poor_sqnr(), written.has_poor_agreement())
        };
        assert_eq!(poor(Some(9.9), Some(0.79), false), (true, true));
        assert_eq!(poor(Some(10.0), Some(0.8), false), (false, false));
        assert_eq!(poor(None, Some(0.5), true), (false, false));
    }

    #[test]
    fn times_are_those_of_the_rows() {
        let time = |model: &str, seconds| Time { model: model.into(), seconds, peak_memory: None };
        let rows = ["a", "b", "c"].map(|model| row(model, Status::Failed, None)).to_vec();
        let times = vec![time("a", 1.0), time("c", 2.5), time("gone", 100.0)];
        let found = Summary { tool: String::new(), options: Vec::new(), rows, before: 0, times };
        let told: Vec<_> =
            found.slowest_first().iter().map(|(row, time)| (row.model.as_str(), time.is_some())).collect();
        assert_eq!(told, [("c", true), ("a", true), ("b", false)]);
        assert_eq!(found.seconds(), Some(3.5));
        assert_eq!(Summary { times: Vec::new(), ..found }.seconds(), None);
    }
}
