//! The data that the stages hand to one another. No code with opinions.

mod budget;
mod check;
mod codes;
mod decision;
mod expected;
mod file;
mod float;
mod layout;
mod nbits;
mod observations;
mod outcome;
mod partition;
mod reason;
mod sensitivity;
mod site;
mod summary;

pub use budget::{Budgeted, Trial};
pub use codes::{Codes, CodesMut};
pub use decision::{
    ActivationDecision, ActivationTerm, BiasChange, Decision, Fingerprint, Generated, Generation, Laid,
    Overlap, Plan, Residuals, Saturation, Stamp, Subject, VERSION, WeightDecision, WeightTerm, are_few,
    decode_sum,
};
pub use expected::{Channels, Expected};
pub use file::{checked, read, write, write_to};
pub use float::Float;
pub use layout::Layout;
pub use nbits::{Misfit, NBits, fits_nbits_weights, lie_by_rows, row_bias};
pub use observations::Observations;
pub use outcome::{
    AGREEMENT_UNSHOWN, ActivationDetails, ActivationRow, Advice, Applied, BINS, Between, Boxes, Checked,
    Counts, DROP_UNSHOWN, Details, Difference, DifferenceRow, Differing, Doubt, DoubtKind, Enough, Figures,
    Finding, Flawed, Gated, Inside, Inspection, LITTLE_QUANTIZED, Limit, MOST_SCALES, Measure, Measured,
    Opinion, Outcome, OutputError, Parting, PerSample, Planned, Prepared, Reported, ReportedBudget,
    ReportedDoubt, ReportedInside, ReportedOutput, ReportedScore, ReportedSite, ReportedSizes, ReportedTerm,
    ReportedValidation, ReportedVerdict, ScaleList, Score, Second, ShownInput, ShownLabels, ShownSample,
    ShownSamples, Side, SideKind, SiteRow, Sizes, SolveStep, StepError, Treated, Unjudged, Validation,
    Verdict, WeightDetails,
};
pub use partition::{Groups, Partition, Runs, Tile};
pub use reason::{Criterion, Met, Reason, Reasons, Sharing, TwoTerms, Why};
pub use sensitivity::{Change, Confirmed, Gain, Judges, Layer, LayerSensitivity, Loss, Sensitivity};
pub use site::{
    ActivationSite, Analysis, BiasSlot, Keep, Kernel, Operand, Origin, Place, Read, Reader, Skip, Spatial,
    WeightSite, Window, Work, is_depthwise,
};
pub use summary::{Event, Listener, POOR_AGREEMENT, POOR_DB, Row, Status, Summary, Time, Totals, Written};
