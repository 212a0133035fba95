//! A comparison that is held against limits, in words.

use super::verdict;
use crate::plan::{Gated, Limit};
use crate::report::TextStyle;
use crate::report::headline::{LOOK, WELL, is_well};

/// The report of `validate` with the files and the limits.
pub fn gated(gated: &Gated, style: TextStyle) -> String {
    let well = is_well(&gated.verdict) && gated.limits.iter().all(|limit| limit.met);
    let beside = format!("beside {}", gated.float.display());
    let mut text =
        style.title(if well { WELL } else { LOOK }, &gated.quantized.display().to_string(), &beside);
    text.extend(gated.limits.iter().map(|limit| limited(limit, style)));
    text + &verdict(&gated.verdict, style)
}

fn limited(limit: &Limit, style: TextStyle) -> String {
    let Limit { met, text, unshown, .. } = limit;
    let line = match met {
        true => style.line(Some(WELL), &format!("limit met: {text}")),
        false => style.line(Some(LOOK), &format!("limit not met: {text}")),
    };
    unshown.iter().fold(line, |lines, why| lines + &style.line(Some(LOOK), why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn files_and_limits_come_first() {
        let limit = |met, text: &str, unshown: Option<&str>| Limit {
            name: "max_drop",
            asked: 1.0,
            found: Some(0.5),
            met,
            text: text.into(),
            unshown: unshown.map(Into::into),
        };
        let mut found = Gated {
            float: "a.onnx".into(),
            quantized: "b.onnx".into(),
            verdict: example::outcome().verdict,
            limits: vec![limit(true, "top-1 drop 0.50 points", Some("too few"))],
        };
        let text = gated(&found, TextStyle::default());
        assert!(text.lines().next().is_some_and(|line| line.ends_with(" b.onnx  beside a.onnx")), "{text}");
        assert!(text.contains("\n  ✓ limit met: top-1 drop 0.50 points\n  ! too few\n"), "{text}");
        found.limits = vec![limit(false, "top-1 drop of very many points on all the samples that are", None)];
        let narrow = TextStyle { width: Some(40), ..TextStyle::default() };
        let text = gated(&found, narrow);
        assert!(text.starts_with("! b.onnx  beside a.onnx\n  ! limit not met: "), "{text}");
        assert!(text.lines().take(4).all(|line| line.chars().count() <= 40), "{text}");
    }
}
