//! Plots as SVG whose colours are those of the style sheet, so that they follow it from light to dark and onto paper. A plotting
//! library writes colours into the picture.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::plan::Counts;

/// Units of a plot; it is scaled to the room there is.
const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 90.0;
/// Below the plot, for numbers.
const FOOT: f64 = 14.0;
/// Codes up to which each has a line of its own.
const LINES: i32 = 32;

/// A histogram over the codes that its values are rounded to: what lies beyond the first and the last one is marked.
pub(super) fn histogram(counts: &Counts, marks: &Marks, label: &str) -> Markup {
    let span = counts.high - counts.low;
    if counts.counts.is_empty() || span.is_nan() || span <= 0.0 || !span.is_finite() {
        return html! {};
    }
    let across = |value: f64| ((value - counts.low) / span * WIDTH).clamp(0.0, WIDTH);
    // Counts differ by powers of ten.
    let most = counts.counts.iter().copied().max().unwrap_or(0);
    let height = |count: u64| HEIGHT * ((count as f64).ln_1p() / (most.max(1) as f64).ln_1p());
    let (width, mut bars) = (WIDTH / counts.counts.len() as f64, format!("M0 {HEIGHT}"));
    for &count in &counts.counts {
        let _ = write!(bars, "V{:.1}h{:.2}", HEIGHT - height(count), width);
    }
    let _ = write!(bars, "V{HEIGHT}z");
    let (first, last) = (across(marks.first), across(marks.last));
    let mut lines = String::new();
    for value in marks.lines() {
        let _ = write!(lines, "M{:.1} 0V{HEIGHT}", across(value));
    }
    html! {
        svg.plot role="img" aria-label=(label) viewBox=(format!("0 0 {WIDTH} {}", HEIGHT + FOOT)) {
            @if first > 0.0 { rect.beyond x="0" y="0" width=(format!("{first:.1}")) height=(HEIGHT) {} }
            @if last < WIDTH { rect.beyond x=(format!("{last:.1}")) y="0" width=(format!("{:.1}", WIDTH - last)) height=(HEIGHT) {} }
            path.bars d=(bars) {}
            path.grid d=(lines) {}
            path.axis d=(format!("M0 {HEIGHT}H{WIDTH}")) {}
            text x="0" y=(HEIGHT + FOOT - 3.0) { (marks.text(counts.low)) }
            text.end x=(WIDTH) y=(HEIGHT + FOOT - 3.0) { (marks.text(counts.high)) }
        }
    }
}

/// Where codes lie in a histogram.
pub(super) struct Marks {
    /// What the first and the last code stand for.
    pub first: f64,
    pub last: f64,
    /// From one code to the next.
    pub step: f64,
    /// How numbers are written.
    pub text: fn(f64) -> String,
}

impl Marks {
    fn lines(&self) -> Vec<f64> {
        let count = (self.last - self.first) / self.step;
        match count.is_finite() && count <= f64::from(LINES) {
            true => {
                (0..=count.round().max(0.0) as i32).map(|at| self.first + f64::from(at) * self.step).collect()
            }
            false => vec![self.first, self.last],
        }
    }

    fn text(&self, value: f64) -> String {
        (self.text)(value)
    }
}

/// Values side by side, as bars from the least possible to each.
pub(super) fn bars(values: &[f32], label: &str) -> Markup {
    let most = values.iter().copied().filter(|value| value.is_finite()).fold(0.0f32, f32::max);
    if values.is_empty() || most <= 0.0 {
        return html! {};
    }
    let (width, mut path) = (WIDTH / values.len() as f64, format!("M0 {HEIGHT}"));
    for &value in values {
        let share = f64::from(if value.is_finite() { value / most } else { 1.0 }).clamp(0.0, 1.0);
        let _ = write!(path, "V{:.1}h{:.2}", HEIGHT * (1.0 - share), width);
    }
    let _ = write!(path, "V{HEIGHT}z");
    html! {
        svg.plot role="img" aria-label=(label) viewBox=(format!("0 0 {WIDTH} {}", HEIGHT + FOOT)) {
            path.bars d=(path) {}
            path.axis d=(format!("M0 {HEIGHT}H{WIDTH}")) {}
        }
    }
}
