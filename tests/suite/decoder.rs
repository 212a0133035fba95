//! A trained decoder in the form of onnxruntime's model builder, calibrated and judged as it is used: a text at once, then step by step
//! with its caches; and its next characters in onnxruntime.

use std::path::Path;

use fourbit::results::Validation;
use fourbit::{Precision, Quantize, Validate, Verdict};
use serde_json::Value;

use super::oracle::run_script;

fn validated(verdict: Verdict) -> Validation {
    match verdict {
        Verdict::Validated(validation) => *validation,
        Verdict::NotValidated { reason } => panic!("not validated: {reason}"),
    }
}

#[test]
fn a_decoder_with_caches_keeps_its_next_characters() {
    let stories = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/stories_decoder");
    let folder = tempfile::tempdir().unwrap();
    let (float, validation) = (stories.join("model.onnx"), stories.join("validation"));
    for (precision, least) in [(Precision::W4, 0.95), (Precision::W4A8, 0.93)] {
        let quantized = folder.path().join(format!("{precision}.onnx"));
        let outcome = Quantize::new(&float)
            .precision(precision)
            .calibration(stories.join("calibration"))
            .validation(&validation)
            .state("present.*", "past_key_values.*")
            .output(&quantized)
            .run()
            .unwrap();
        let found = validated(outcome.verdict);
        assert_eq!((found.samples, found.scores.map(|score| score.rows)), (80, Some(16 * 68)));
        let agreement = found.agreement.unwrap();
        assert!(agreement >= least, "{precision}: {agreement}");
        let again = Validate::new(&float, &quantized)
            .samples(&validation)
            .state("present.*", "past_key_values.*")
            .run()
            .unwrap();
        assert_eq!(validated(again).agreement, Some(agreement));

        let paths = [&float, &quantized, &validation].map(|path| path.to_string_lossy().into_owned());
        let Some(output) = run_script("decoder.py", &paths.each_ref().map(String::as_str)) else { continue };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        println!("{precision}: fourbit {agreement:.4}, onnxruntime {told}");
        let theirs = told["agreement"].as_f64().unwrap();
        assert_eq!(told["characters"], 16 * 68);
        assert!(theirs >= least && (theirs - agreement).abs() < 0.01, "{precision}: {agreement} and {told}");
    }
}
