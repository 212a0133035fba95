use super::*;
use crate::analyse::analyse;
use crate::onnx::build::GraphBuilder;
use crate::onnx::{Model, tensor_f32};
use crate::options::{CodeType, Compensation, LayerRule, Options, Precision};
use crate::pipeline::ready;
use crate::progress::Silent;

/// Numbers that look like noise, from -1 to 1.
fn random(seed: usize, at: usize) -> f32 {
    let mut state = (at as u64 + 1 + 1_000_003 * seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    state ^= state >> 29;
    state = state.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state ^= state >> 32;
    (state >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// Of two branches the one goes through `first` and `second`, the other through `other`. With `second` at 8 bits its weights make
/// up for whatever errors those of `first` have; nothing makes up for those of `other`.
fn model() -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 16]);
    let mut weights = |name: &str, seed: usize| {
        let values: Vec<f32> = (0..256).map(|at| random(seed, at)).collect();
        let values: Vec<f32> = values
            .iter()
            .enumerate()
            .map(|(at, value)| value + f32::from(u8::from(at % 17 == 0)) * 2.0)
            .collect();
        graph.initializer(tensor_f32(name, &[16, 16], &values))
    };
    let [first, second, other] = [weights("first", 1), weights("second", 2), weights("other", 3)];
    let one = graph.node("MatMul", &[&x, &first], &[]);
    let one = graph.node("MatMul", &[&one, &second], &[]);
    let two = graph.node("MatMul", &[&x, &other], &[]);
    graph.output(&one);
    graph.output(&two);
    graph.model()
}

fn options(compensation: Compensation) -> Options {
    let rule =
        LayerRule { matching: "second".into(), weights: Some(Some(CodeType::Int8)), ..LayerRule::default() };
    let options = Options::new("w4".parse::<Precision>().unwrap());
    Options { layers: vec![rule], compensation, ..options }
}

/// The rows of `model` after estimates of `tried` layers and their confirmation, by tensor, and what plans were made on.
fn rows(model: &Model, options: &Options, tried: usize) -> (Vec<LayerSensitivity>, Option<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    std::fs::write(&path, crate::onnx::encode(model)).unwrap();
    let ready = ready(&path, options.opset, &[]).unwrap();
    let [fit, judges] = [(100, 1), (80, 2)]
        .map(|(count, seed)| Samples::synthetic(&ready.opened.model, &[], count, seed).unwrap());
    let again = Again { options, ready: &ready, progress: &Silent };
    let analysis = analyse(&ready.opened.model, options).unwrap();
    let plan = again.plan(None, Some(&fit)).unwrap();
    let estimator = Estimator {
        again,
        calibration: Some(&fit),
        plan: &plan,
        layers: Layer::all(&analysis, &plan),
        few: &judges,
        seed: 0,
        progress: &Silent,
    };
    let mut rows: Vec<LayerSensitivity> = estimator.layers.iter().map(row).collect();
    let bench = Bench::new(&ready.opened.model, &judges).unwrap();
    let mut warnings = Vec::new();
    let solved_on =
        estimator.estimate(&bench, tried, &mut rows, (&mut Clock::start(), &mut warnings)).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    estimator.confirm(&bench, &mut rows).unwrap();
    rows.sort_by(LayerSensitivity::order);
    (rows, solved_on)
}

#[test]
fn the_layer_to_mend_is_found_and_what_others_absorb_is_not_named() {
    let (rows, solved_on) = rows(&model(), &options(Compensation::Sequential), 8);
    assert_eq!(solved_on, Some(64));
    let best = &rows[0];
    assert_eq!(best.tensor, "other", "{rows:#?}");
    let gain = &best.confirmed.unwrap().gain;
    assert!(gain.is_clear() && gain.sqnr_db.value > 5.0, "{gain:?}");
    assert!(best.estimate.unwrap().is_clear());
    let most = gain.sqnr_db.value;
    for row in &rows[1..] {
        let Some((gain, confirmed)) = row.known() else {
            assert!(row.refused.is_some(), "{row:?}");
            continue;
        };
        assert!(confirmed || row.refused.is_some(), "{row:?}");
        assert!(4.0 * gain.sqnr_db.value.abs() < most, "{row:?}");
    }
    // The rule names `second` and no other layer, so a conversion without it is an error of the options.
    let second = rows.iter().find(|row| row.tensor == "second");
    assert!(second.is_none_or(|second| second.refused.is_some()), "{second:?}");
}

#[test]
fn the_first_look_chooses_what_is_tried() {
    let (rows, _) = rows(&model(), &options(Compensation::Sequential), 1);
    assert_eq!(rows[0].tensor, "other");
    assert!(rows[0].confirmed.is_some() && rows[0].first_look.unwrap() > 0.5);
    assert!(rows[1..].iter().all(|row| row.known().is_none() && row.first_look.is_some()), "{rows:#?}");
}

#[test]
fn where_no_weights_depend_on_others_the_plan_without_a_layer_is_its_conversion() {
    for compensation in [Compensation::None, Compensation::Layerwise] {
        let options = Options { layers: Vec::new(), ..options(compensation) };
        let (rows, solved_on) = rows(&model(), &options, 1);
        assert_eq!((rows.len(), solved_on), (3, None));
        for row in &rows {
            let (estimate, confirmed) = (row.estimate.unwrap(), row.confirmed.unwrap().gain);
            let near = |one: f64, other: f64| (one - other).abs() < 1e-4 * other.abs().max(1.0);
            assert!(near(estimate.sqnr_db.value, confirmed.sqnr_db.value), "{row:?}");
            assert!(near(estimate.sqnr_db.error, confirmed.sqnr_db.error), "{row:?}");
            assert!(!row.is_contradicted());
        }
        assert!(rows.is_sorted_by(|one, other| one.order(other).is_le()));
    }
}
