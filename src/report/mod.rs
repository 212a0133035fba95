//! Words, tables and JSON for what the other rooms found out. Everything here returns a string;
//! printing is up to the command line.

mod budget;
mod difference;
mod errors;
mod headline;
mod html;
mod inspection;
mod json;
mod kept;
#[cfg(feature = "batch")]
mod page;
mod per_sample;
mod sensitivity;
mod sites;
#[cfg(feature = "batch")]
mod summary;
mod table;
mod targets;
mod text;
mod verdict;
mod words;

pub use json::VERSION;
#[cfg(feature = "cli")]
pub use table::terminal_width;

/// The reports for people.
pub mod plain {
    pub use crate::report::difference::text as difference;
    pub use crate::report::inspection::{inspection, shown};
    pub use crate::report::sensitivity::sensitivity;
    #[cfg(feature = "batch")]
    pub use crate::report::summary::{closing, event, running, summary};
    pub use crate::report::targets::{checked, targets};
    pub use crate::report::text::{applied, outcome, planned};
    pub use crate::report::verdict::{gated, verdict};
    #[cfg(feature = "batch")]
    pub use crate::report::words::duration;
}

/// The reports for programs: one JSON object each, with its `schema` and `version`.
pub mod data {
    pub use crate::report::difference::data as difference;
    pub use crate::report::json::plan;
    pub use crate::report::json::{
        applied, gated, inspection, outcome, planned, sensitivity, shown, verdict,
    };
    pub use crate::report::per_sample::csv as per_sample;
    #[cfg(feature = "batch")]
    pub use crate::report::summary::whole as summary;
    pub use crate::report::targets::{checked_data as checked, data as targets};
}

/// The reports of many models in forms of their own.
#[cfg(feature = "batch")]
pub mod collection {
    pub use crate::report::page::{page, timings};
    pub use crate::report::summary::csv;
}

/// A report as a page for people, made from the JSON report.
pub mod pages {
    pub use crate::report::html::report;
}

/// Reports that were kept as JSON.
pub mod documents {
    pub use crate::report::kept::{Document, Kept, Site, Term};
}

/// How much to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// The file, the verdict and what speaks against it.
    Brief,
    /// Also what was quantized, in a line.
    #[default]
    Normal,
    /// Also tables of all tensors, each change made on the way, each reason, and a summary.
    Full,
}

/// How to lay a report out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextStyle {
    /// Columns of the terminal; `None` where there is none, and lines may be of any length.
    pub width: Option<u16>,
    /// How much to tell.
    pub detail: Detail,
}

#[cfg(test)]
pub(crate) mod example;
