//! What tract says of both models: on the samples, on some of those calibrated on, and of values in front of what it cannot run.

use super::{Pair, fault};
use crate::calibrate::Reach;
use crate::error::{Error, Result};
use crate::onnx::{Dtype, Model, value_shape};
use crate::plan::{Doubt, OutputError};
use crate::progress::{Progress, Unheard};
use crate::runtime::{Session, faults, is_widened};
use crate::samples::Samples;
use crate::validate::{Compared, Watch, compare, inside};

/// Calibration samples that a written file is run on at most, beside others.
const MOST_INSIDE: usize = 64;

/// What tract says, or why it cannot.
pub(super) fn by_tract(
    pair: &Pair,
    view: &Model,
    samples: &Samples,
    progress: &dyn Progress,
) -> Result<std::result::Result<Compared, String>> {
    let wide = is_widened(pair.float);
    let compared = Session::new(pair.float, "float", &[])
        .and_then(|one| Ok((one, Session::new(view, "quantized", &[])?)))
        .and_then(|(float, quantized)| {
            let quantized = pair.feeding.own(&quantized, pair.float, samples)?;
            let mut compared =
                compare(&float, &quantized, samples, pair.dialect.name(), pair.watch, progress)?;
            if let Some(calibration) = pair.inside.filter(|calibration| !calibration.is_empty()) {
                let some = calibration.clone().choose(Some(MOST_INSIDE.min(samples.len())), pair.seed);
                let unheard = Unheard(progress);
                let within =
                    compare(&float, &quantized, &some, pair.dialect.name(), &Watch::NOBODY, &unheard);
                let mut within = within?.validation;
                let mut outside = compared.validation.clone();
                tell_apart(pair.float, &mut within.outputs);
                tell_apart(pair.float, &mut outside.outputs);
                compared.validation.inside = Some(inside(&outside, &within, calibration.len()));
            }
            Ok(compared)
        });
    match compared {
        Ok(mut compared) => {
            if wide {
                compared.validation.view += ", half precision computed in FLOAT";
            }
            Ok(Ok(compared))
        }
        Err(error @ Error::Runtime { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

/// What tract says of the values in front of what it cannot run, where no layer lies behind them.
pub(super) fn at_the_edge(
    pair: &Pair,
    view: &Model,
    samples: &Samples,
    problem: String,
    progress: &dyn Progress,
) -> Result<std::result::Result<Compared, String>> {
    if samples.is_empty() || !pair.feeding.states.is_empty() {
        return Ok(Err(problem));
    }
    let mut reach = Reach::of(pair.float, pair.faults);
    if reach.is_whole() {
        reach.probe(pair.float, &samples.get(0)?.inputs)?;
    }
    if reach.is_whole() {
        return Ok(Err(problem));
    }
    let Some([float, view]) = reach.edge(pair.float, view)? else { return Ok(Err(problem)) };
    let outputs = |model: &Model| -> Vec<String> {
        model.graph().output.iter().map(|output| output.name().to_owned()).collect()
    };
    let values = outputs(&float);
    if samples.labelled() && values.first() != outputs(pair.float).first() {
        return Ok(Err(problem));
    }
    let of_part = faults(&float);
    if fault(&of_part, &view).is_some() {
        return Ok(Err(problem));
    }
    // A witness waits for outputs, and these are none.
    let watch = &Watch::NOBODY;
    let part = Pair { float: &float, faults: &of_part, view: Ok(view.clone()), second: None, watch, ..*pair };
    let judged = by_tract(&part, &view, samples, progress)?;
    Ok(judged.map_err(|_| problem).map(|mut compared| {
        let reason = reach.reason().to_owned();
        compared.validation.doubts.push(Doubt::Edge { values, reason });
        compared
    }))
}

/// Of outputs of integers and booleans what is equal counts, of others the SQNR.
pub(super) fn tell_apart(float: &Model, outputs: &mut [OutputError]) {
    for output in outputs {
        let declared = float.graph().output.iter().find(|value| value.name() == output.name);
        match declared.and_then(value_shape).is_some_and(|(code, _)| is_discrete(code)) {
            true => output.sqnr_db = None,
            false => output.equal = None,
        }
    }
}

/// Whether values of the type with this code are integers or booleans.
fn is_discrete(code: i32) -> bool {
    let floats = [Dtype::Undefined, Dtype::Float, Dtype::Float16, Dtype::Bfloat16, Dtype::Double];
    Dtype::try_from(code).is_ok_and(|dtype| !floats.contains(&dtype))
}
