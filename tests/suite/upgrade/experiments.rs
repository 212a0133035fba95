//! What onnxruntime still runs of the experiments, and recurrence.

use fourbit::onnx::build::{node, value};
use fourbit::onnx::proto::GraphProto;
use fourbit::onnx::{Dtype, attr};

use super::cases::{Cases, floats, integers};

pub(super) fn experiments(cases: &mut Cases) {
    let (alpha, beta) = (attr::float("alpha", 0.7), attr::float("beta", -1.3));
    let both = [alpha.clone(), beta.clone()];
    cases.one("Affine", 7, &[2, 3], &[], &both);
    cases.one("Affine", 7, &[2, 3], &[], &[]);
    cases.one("Affine", 7, &[2, 3], &[], &[attr::float("alpha", 1.0), beta]);
    cases.one("ParametricSoftplus", 7, &[2, 3], &[], &both);
    cases.one("ScaledTanh", 7, &[2, 3], &[], &both);
    cases.one("Scale", 7, &[2, 3], &[], &[attr::float("scale", 2.5)]);
    cases.one("ThresholdedRelu", 7, &[2, 3], &[], &[alpha]);
    cases.one("ThresholdedRelu", 9, &[2, 3], &[], &[]);
    let bias = attr::floats("bias", &[0.5, -1.0, 2.0]);
    cases.one("ImageScaler", 7, &[2, 3, 4, 5], &[], &[attr::float("scale", 0.3), bias]);
    let border = |sides: &[i64]| attr::ints("border", sides);
    cases.one("Crop", 7, &[1, 2, 6, 7], &[], &[border(&[1, 2, 3, 1])]);
    cases.one("Crop", 7, &[1, 2, 6, 7], &[], &[border(&[0, 1, 0, 0])]);
    cases.one("Crop", 7, &[1, 2, 6, 7], &[], &[border(&[1, 2, 0, 0]), attr::ints("scale", &[3, 4])]);
    for across in [0, 1] {
        let how = [attr::int("across_channels", across), attr::int("normalize_variance", 1)];
        cases.one("MeanVarianceNormalization", 7, &[1, 3, 4, 5], &[], &how);
    }
    let cut = [integers("starts", &[1, -3]), integers("ends", &[9, -1]), integers("axes", &[1, 0])];
    cases.one("DynamicSlice", 7, &[4, 5], &cut, &[]);
}

pub(super) fn recurrence(cases: &mut Cases) {
    for backwards in [0, 1] {
        cases.add(&format!("Scan direction {backwards}"), 8, move |graph| {
            let (start, x) = (graph.input("start", &[1, 2]), graph.input("x", &[1, 5, 2]));
            let body = GraphProto {
                name: Some("body".into()),
                input: vec![value("state", Dtype::Float, &[2]), value("item", Dtype::Float, &[2])],
                node: vec![
                    node("Add", "", &["state", "item"], &["next"], &[]),
                    node("Unsqueeze", "", &["next"], &["row"], &[attr::ints("axes", &[0])]),
                    node("Squeeze", "", &["row"], &["out"], &[attr::ints("axes", &[0])]),
                ],
                output: vec![value("next", Dtype::Float, &[2]), value("out", Dtype::Float, &[2])],
                ..Default::default()
            };
            let how = [
                attr::graph("body", body),
                attr::int("num_scan_inputs", 1),
                attr::ints("directions", &[backwards]),
            ];
            graph.push(node("Scan", "scan", &["", &start, &x], &["last", "all"], &how));
            vec!["last".into(), "all".into()]
        });
    }
    cases.one("RMSNormalization", 23, &[2, 3], &[floats("scale", &[1.0, 0.5, 2.0])], &[]);
}
