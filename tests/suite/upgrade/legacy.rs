//! Forms of opsets below 7, which no runtime runs: each beside a model of today that means the same.

use fourbit::onnx::build::{GraphBuilder, node};
use fourbit::onnx::proto::AttributeProto;
use fourbit::onnx::{attr, tensor_f32, tensor_i64};

use super::cases::{Build, floats, integers};

/// The opset of what is meant.
pub const MEANT: i64 = 12;

/// An old form and its meaning.
pub struct Legacy {
    pub name: String,
    pub opset: i64,
    pub old: Build,
    pub meant: Build,
}

/// All of them.
pub fn cases() -> Vec<Legacy> {
    let mut cases = Vec::new();
    elementwise(&mut cases);
    shapes(&mut cases);
    layers(&mut cases);
    cases
}

fn add(
    cases: &mut Vec<Legacy>,
    name: &str,
    opset: i64,
    old: impl Fn(&mut GraphBuilder) -> Vec<String> + 'static,
    meant: impl Fn(&mut GraphBuilder) -> Vec<String> + 'static,
) {
    let name = format!("{name} at {opset}");
    cases.push(Legacy { name, opset, old: Box::new(old), meant: Box::new(meant) });
}

/// One node of one input, with other attributes then and now.
fn one(
    cases: &mut Vec<Legacy>,
    operator: &'static str,
    opset: i64,
    dims: &'static [i64],
    then: Vec<AttributeProto>,
    now: Vec<AttributeProto>,
) {
    let build = |attributes: Vec<AttributeProto>| {
        move |graph: &mut GraphBuilder| {
            let x = graph.input("x", dims);
            vec![graph.node(operator, &[&x], &attributes)]
        }
    };
    add(cases, operator, opset, build(then), build(now));
}

fn elementwise(cases: &mut Vec<Legacy>) {
    let consumed = || attr::ints("consumed_inputs", &[0]);
    for operator in ["Relu", "Abs", "Exp", "Sigmoid", "Tanh", "Elu", "HardSigmoid", "LeakyRelu", "Neg"] {
        one(cases, operator, 1, &[2, 3], vec![consumed()], vec![]);
    }
    one(cases, "Selu", 1, &[2, 3], vec![], vec![attr::float("alpha", 1.6732), attr::float("gamma", 1.0507)]);
    one(cases, "Cast", 1, &[2, 3], vec![attr::string("to", "FLOAT")], vec![attr::int("to", 1)]);
    one(cases, "Dropout", 6, &[2, 3], vec![attr::int("is_test", 1)], vec![]);
    for (name, second, axis) in [
        ("all", vec![2, 3, 4], None),
        ("tail", vec![4], None),
        ("middle", vec![3], Some(1)),
        ("first", vec![2, 3], Some(0)),
    ] {
        let count = second.iter().product::<i64>();
        let values: Vec<f32> = (0..count).map(|at| at as f32 * 0.5 - 1.0).collect();
        let trailing = axis.map_or(0, |axis| 3 - axis as usize - second.len());
        let now: Vec<i64> = second.iter().copied().chain(std::iter::repeat_n(1, trailing)).collect();
        let (then, now) = (tensor_f32("b", &second, &values), tensor_f32("b", &now, &values));
        let how: Vec<_> = std::iter::once(attr::int("broadcast", i64::from(name != "all")))
            .chain(axis.map(|axis| attr::int("axis", axis)))
            .collect();
        for operator in ["Add", "Div", "Pow"] {
            let build = |tensor: fourbit::onnx::proto::TensorProto, how: Vec<AttributeProto>| {
                move |graph: &mut GraphBuilder| {
                    let (x, b) = (graph.input("x", &[2, 3, 4]), graph.initializer(tensor.clone()));
                    let positive = graph.node("Exp", &[&x], &[]);
                    vec![graph.node(operator, &[&positive, &b], &how)]
                }
            };
            let name = format!("{operator} broadcast {name}");
            add(cases, &name, 6, build(then.clone(), how.clone()), build(now.clone(), vec![]));
        }
    }
    for (name, slope, now) in [("one", vec![1], vec![1]), ("channels", vec![3], vec![3, 1, 1])] {
        let values: Vec<f32> = (1..=slope[0]).map(|at| at as f32 * 0.25).collect();
        let build = |dims: Vec<i64>| {
            let slope = tensor_f32("slope", &dims, &values);
            move |graph: &mut GraphBuilder| {
                let (x, slope) = (graph.input("x", &[1, 3, 2, 2]), graph.initializer(slope.clone()));
                vec![graph.node("PRelu", &[&x, &slope], &[])]
            }
        };
        add(cases, &format!("PRelu {name}"), 6, build(slope), build(now));
    }
}

fn shapes(cases: &mut Vec<Legacy>) {
    let shape = || vec![attr::ints("shape", &[3, -1])];
    add(
        cases,
        "Reshape",
        1,
        move |graph| {
            let x = graph.input("x", &[2, 3, 4]);
            vec![graph.node("Reshape", &[&x], &shape())]
        },
        |graph| {
            let (x, shape) = (graph.input("x", &[2, 3, 4]), graph.initializer(integers("shape", &[3, -1])));
            vec![graph.node("Reshape", &[&x, &shape], &[])]
        },
    );
    let joined = |axis: Option<i64>| {
        move |graph: &mut GraphBuilder| {
            let (x, y) = (graph.input("x", &[2, 3]), graph.input("y", &[2, 1]));
            let axis: Vec<_> = axis.map(|axis| attr::int("axis", axis)).into_iter().collect();
            vec![graph.node("Concat", &[&x, &y], &axis)]
        }
    };
    add(cases, "Concat", 1, joined(None), joined(Some(1)));
    add(
        cases,
        "Tile",
        1,
        |graph| {
            let x = graph.input("x", &[2, 3]);
            let (tiles, axis) = (
                graph.initializer(tensor_i64("tiles", &[], &[2])),
                graph.initializer(tensor_i64("axis", &[], &[1])),
            );
            vec![graph.node("Tile", &[&x, &tiles, &axis], &[])]
        },
        |graph| {
            let (x, repeats) = (graph.input("x", &[2, 3]), graph.initializer(integers("repeats", &[1, 2])));
            vec![graph.node("Tile", &[&x, &repeats], &[])]
        },
    );
    add(
        cases,
        "Split",
        1,
        |graph| {
            let (x, sizes) = (graph.input("x", &[2, 4]), graph.initializer(integers("sizes", &[3, 1])));
            graph.push(node("Split", "split", &[&x, &sizes], &["a", "b"], &[attr::int("axis", 1)]));
            vec!["a".into(), "b".into()]
        },
        |graph| {
            let x = graph.input("x", &[2, 4]);
            let how = [attr::int("axis", 1), attr::ints("split", &[3, 1])];
            graph.push(node("Split", "split", &[&x], &["a", "b"], &how));
            vec!["a".into(), "b".into()]
        },
    );
}

fn layers(cases: &mut Vec<Legacy>) {
    let values = || [1.0, 2.0, 3.0, 4.0];
    add(
        cases,
        "GivenTensorFill",
        7,
        move |graph| {
            let x = graph.input("x", &[2, 2]);
            let how = [attr::floats("values", &values()), attr::ints("shape", &[2, 2])];
            let given = graph.node("GivenTensorFill", &[], &how);
            vec![graph.node("Add", &[&x, &given], &[])]
        },
        move |graph| {
            let x = graph.input("x", &[2, 2]);
            let given = attr::tensor("value", tensor_f32("", &[2, 2], &values()));
            let given = graph.node("Constant", &[], &[given]);
            vec![graph.node("Add", &[&x, &given], &[])]
        },
    );
    let pool = |p: AttributeProto| vec![p, attr::ints("kernel_shape", &[2, 2])];
    one(cases, "LpPool", 1, &[1, 2, 4, 4], pool(attr::float("p", 3.0)), pool(attr::int("p", 3)));
    one(cases, "GlobalLpPool", 1, &[1, 2, 4, 4], vec![attr::float("p", 2.0)], vec![]);
    for (mode, now) in [("nearest", "nearest"), ("bilinear", "linear")] {
        add(
            cases,
            &format!("Upsample {mode}"),
            1,
            move |graph| {
                let x = graph.input("x", &[1, 2, 3, 4]);
                let how = [attr::float("height_scale", 2.0), attr::float("width_scale", 1.5)];
                let how = [&how[..], &[attr::string("mode", mode)]].concat();
                graph.push(node("Upsample", "larger", &[&x], &["y"], &how));
                vec!["y".into()]
            },
            move |graph| {
                let x = graph.input("x", &[1, 2, 3, 4]);
                let (roi, scales) = (
                    graph.initializer(floats("roi", &[])),
                    graph.initializer(floats("s", &[1.0, 1.0, 2.0, 1.5])),
                );
                let how = [
                    attr::string("mode", now),
                    attr::string("nearest_mode", "floor"),
                    attr::string("coordinate_transformation_mode", "asymmetric"),
                ];
                graph.push(node("Resize", "larger", &[&x, &roi, &scales], &["y"], &how));
                vec!["y".into()]
            },
        );
    }
    for asked in [None, Some(1)] {
        let build = |how: Vec<AttributeProto>| {
            move |graph: &mut GraphBuilder| {
                let x = graph.input("x", &[4, 1, 3]);
                let (w, r) = (graph.weights("w", &[1, 6, 3]), graph.weights("r", &[1, 6, 2]));
                let how = [&how[..], &[attr::int("hidden_size", 2)]].concat();
                graph.push(node("GRU", "gru", &[&x, &w, &r], &["y", "last"], &how));
                vec!["y".into(), "last".into()]
            }
        };
        let asked: Vec<_> = asked.map(|asked| attr::int("output_sequence", asked)).into_iter().collect();
        add(cases, "GRU", 1, build(asked), build(vec![]));
    }
    let normal = |how: Vec<AttributeProto>| {
        move |graph: &mut GraphBuilder| {
            let x = graph.input("x", &[2, 3, 4]);
            let parameters = ["scale", "bias", "mean", "var"]
                .map(|name| graph.initializer(floats(name, &[0.5, 1.5, 2.0])));
            let [scale, bias, mean, var] = &parameters;
            vec![graph.node("BatchNormalization", &[&x, scale, bias, mean, var], &how)]
        }
    };
    add(cases, "BatchNormalization", 6, normal(vec![attr::int("is_test", 1)]), normal(vec![]));
}
