//! One small model for each operator whose way to opset 21 is claimed to be known.

use fourbit::onnx::build::{GraphBuilder, node};
use fourbit::onnx::proto::{AttributeProto, GraphProto, TensorProto};
use fourbit::onnx::{Dtype, attr, tensor, tensor_f32, tensor_i64};

/// A model at an old opset.
pub struct Case {
    pub name: String,
    pub opset: i64,
    pub build: Box<dyn Fn(&mut GraphBuilder) -> Vec<String>>,
}

/// Operators from one tensor to another, at the oldest opset that onnxruntime takes them.
const UNARY: &[(i64, &str)] = &[
    (7, "Abs Ceil Exp Floor Neg Reciprocal Relu LeakyRelu Sigmoid Tanh Elu Selu HardSigmoid"),
    (7, "Softplus Softsign Sin Cos Tan Atan Identity Dropout Flatten Transpose SpaceToDepth1"),
    (7, "GlobalAveragePool GlobalMaxPool GlobalLpPool LpNormalization Clip Squeeze0 Not0"),
    (9, "Erf Sign Sinh Cosh Asinh Shrink MeanVarianceNormalization"),
    (10, "ThresholdedRelu"),
    (11, "Round"),
    (12, "Celu"),
    (14, "HardSwish Trilu"),
    (18, "Mish"),
    (20, "Gelu"),
];
/// The same, of arguments between -1 and 1, or above 0, or above 1.
const UNIT: &[(i64, &str)] = &[(7, "Asin Acos"), (9, "Atanh")];
const POSITIVE: &[(i64, &str)] = &[(7, "Log Sqrt")];
const BINARY: &[(i64, &str)] =
    &[(7, "Add Sub Mul Div Min Max Mean Sum PRelu"), (8, "Min Max Mean Sum"), (9, "PRelu")];
const COMPARE: &[(i64, &str)] = &[(7, "Greater Less"), (12, "GreaterOrEqual LessOrEqual")];
const LOGIC: &[(i64, &str)] = &[(7, "And Or Xor")];
const REDUCE: &str = "ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd \
                      ReduceSum ReduceSumSquare";
const COERCED: &str = "Softmax LogSoftmax Hardmax";

/// All cases.
pub fn cases() -> Vec<Case> {
    let mut cases = Cases(Vec::new());
    families(&mut cases);
    softmax(&mut cases);
    shapes(&mut cases);
    selection(&mut cases);
    layers(&mut cases);
    resampling(&mut cases);
    others(&mut cases);
    cases.0
}

struct Cases(Vec<Case>);

impl Cases {
    fn add(&mut self, name: &str, opset: i64, build: impl Fn(&mut GraphBuilder) -> Vec<String> + 'static) {
        self.0.push(Case { name: format!("{name} at {opset}"), opset, build: Box::new(build) });
    }

    /// One node on an input of the given size and the given constants.
    fn one(
        &mut self,
        operator: &str,
        opset: i64,
        dims: &[i64],
        rest: &[TensorProto],
        attributes: &[AttributeProto],
    ) {
        let (dims, rest, attributes) = (dims.to_vec(), rest.to_vec(), attributes.to_vec());
        let names: Vec<&str> = attributes.iter().map(|attribute| attribute.name()).collect();
        let name = format!("{operator} {}", names.join(" "));
        let operator = operator.to_owned();
        self.add(&name, opset, move |graph| {
            let mut inputs = vec![graph.input("x", &dims)];
            for tensor in &rest {
                // An empty name is an input that is left out.
                inputs.push(if tensor.name().is_empty() {
                    String::new()
                } else {
                    graph.initializer(tensor.clone())
                });
            }
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            vec![graph.node(&operator, &inputs, &attributes)]
        });
    }
}

fn each(table: &[(i64, &'static str)], mut visit: impl FnMut(i64, &'static str)) {
    for (opset, operators) in table {
        operators.split_whitespace().for_each(|operator| visit(*opset, operator));
    }
}

fn as_float(graph: &mut GraphBuilder, value: &str) -> String {
    graph.node("Cast", &[value], &[attr::int("to", 1)])
}

fn floats(name: &str, values: &[f32]) -> TensorProto {
    tensor_f32(name, &[values.len() as i64], values)
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    tensor_i64(name, &[values.len() as i64], values)
}

fn left_out() -> TensorProto {
    floats("", &[])
}

fn families(cases: &mut Cases) {
    each(UNARY, |opset, operator| match operator {
        "SpaceToDepth1" => cases.one("SpaceToDepth", opset, &[1, 2, 4, 4], &[], &[attr::int("blocksize", 2)]),
        "Squeeze0" => cases.one("Squeeze", opset, &[1, 2, 1, 3], &[], &[]),
        "Not0" => cases.add("Not", opset, |graph| {
            let x = graph.typed_input("x", Dtype::Bool, &[4]);
            let y = graph.node("Not", &[&x], &[]);
            vec![as_float(graph, &y)]
        }),
        "Trilu" => cases.one(operator, opset, &[4, 4], &[], &[]),
        _ => cases.one(operator, opset, &[2, 3, 4, 5], &[], &[]),
    });
    for (table, before) in [(UNIT, "Sin"), (POSITIVE, "Exp")] {
        each(table, |opset, operator| {
            cases.add(operator, opset, move |graph| {
                let x = graph.input("x", &[3, 4]);
                let argument = graph.node(before, &[&x], &[]);
                vec![graph.node(operator, &[&argument], &[])]
            });
        });
    }
    each(BINARY, |opset, operator| {
        let rest = tensor_f32("b", &[2, 3], &[0.5, -1.0, 2.0, 3.0, -0.25, 1.0]);
        cases.one(operator, opset, &[2, 3], &[rest], &[]);
    });
    each(COMPARE, |opset, operator| {
        cases.add(operator, opset, move |graph| {
            let (x, zero) = (graph.input("x", &[2, 3]), graph.initializer(floats("zero", &[0.0])));
            let y = graph.node(operator, &[&x, &zero], &[]);
            vec![as_float(graph, &y)]
        });
    });
    each(LOGIC, |opset, operator| {
        cases.add(operator, opset, move |graph| {
            let (a, b) =
                (graph.typed_input("a", Dtype::Bool, &[8]), graph.typed_input("b", Dtype::Bool, &[8]));
            let y = graph.node(operator, &[&a, &b], &[]);
            vec![as_float(graph, &y)]
        });
    });
    for opset in [7, 11, 13] {
        for operator in REDUCE.split_whitespace() {
            if operator != "ReduceSum" || opset < 13 {
                cases.one(
                    operator,
                    opset,
                    &[2, 3, 4],
                    &[],
                    &[attr::ints("axes", &[1, 2]), attr::int("keepdims", 0)],
                );
            }
            cases.one(operator, opset, &[2, 3, 4], &[], &[]);
        }
    }
    cases.add("ReduceLogSum", 13, |graph| {
        let x = graph.input("x", &[2, 3]);
        let positive = graph.node("Exp", &[&x], &[]);
        vec![graph.node("ReduceLogSum", &[&positive], &[attr::ints("axes", &[-1])])]
    });
}

fn softmax(cases: &mut Cases) {
    for operator in COERCED.split_whitespace() {
        for opset in [7, 12] {
            cases.one(operator, opset, &[2, 3, 4, 5], &[], &[]);
            for axis in [0, 1, 2, 3] {
                cases.one(operator, opset, &[2, 3, 4, 5], &[], &[attr::int("axis", axis)]);
            }
            cases.add(&format!("{operator} unknown rank"), opset, move |graph| {
                let x = graph.input("x", &[3, 4, 5]);
                let hidden = graph.node("Unsqueeze", &[&x], &[attr::ints("axes", &[0])]);
                vec![graph.node(operator, &[&hidden], &[attr::int("axis", 2)])]
            });
        }
        for axis in [-1, -2, -4] {
            cases.one(operator, 11, &[2, 3, 4, 5], &[], &[attr::int("axis", axis)]);
        }
    }
}

fn shapes(cases: &mut Cases) {
    cases.one("Reshape", 7, &[2, 3, 4], &[integers("shape", &[0, -1])], &[]);
    cases.one("Unsqueeze", 7, &[2, 3], &[], &[attr::ints("axes", &[0, 3])]);
    cases.one("Unsqueeze", 11, &[2, 3], &[], &[attr::ints("axes", &[-1])]);
    cases.one("Squeeze", 7, &[1, 2, 1], &[], &[attr::ints("axes", &[2])]);
    cases.one("Concat", 7, &[2, 3], &[tensor_f32("b", &[2, 1], &[1.0, 2.0])], &[attr::int("axis", 1)]);
    for opset in [7, 9] {
        let cut = [attr::ints("starts", &[1, -3]), attr::ints("ends", &[i64::from(i32::MAX), -1])];
        cases.one("Slice", opset, &[4, 5, 6], &[], &cut);
        cases.one("Slice", opset, &[4, 5, 6], &[], &[&cut[..], &[attr::ints("axes", &[2, 0])]].concat());
    }
    cases.one("Slice", 10, &[4, 6], &[integers("starts", &[1]), integers("ends", &[9])], &[]);
    for mode in ["constant", "reflect", "edge"] {
        let pads = [attr::string("mode", mode), attr::ints("pads", &[0, 1, 2, 1])];
        cases.one("Pad", 7, &[3, 4], &[], &pads);
        cases.one("Pad", 10, &[3, 4], &[], &[&pads[..], &[attr::float("value", 1.5)]].concat());
        cases.one("Pad", 11, &[3, 4], &[integers("pads", &[0, 1, 2, 1])], &pads[..1]);
    }
    for (name, opset, attributes, rest) in [
        ("Split equal", 7, vec![], vec![]),
        ("Split given", 7, vec![attr::ints("split", &[3, 1])], vec![]),
        ("Split equal", 13, vec![], vec![]),
        ("Split given", 13, vec![], vec![integers("split", &[1, 3])]),
    ] {
        cases.add(name, opset, move |graph| {
            let mut inputs = vec![graph.input("x", &[2, 4])];
            inputs.extend(rest.iter().map(|tensor| graph.initializer(tensor.clone())));
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let attributes = [&attributes[..], &[attr::int("axis", 1)]].concat();
            graph.push(node("Split", "split", &inputs, &["a", "b"], &attributes));
            vec!["a".into(), "b".into()]
        });
    }
    for operator in ["Shape", "Size"] {
        cases.add(operator, 7, move |graph| {
            let x = graph.input("x", &[2, 3]);
            let y = graph.node(operator, &[&x], &[]);
            vec![as_float(graph, &y)]
        });
    }
    cases.one("Expand", 8, &[1, 3], &[integers("shape", &[2, 1])], &[]);
    cases.one("Tile", 7, &[2, 3], &[integers("repeats", &[2, 1])], &[]);
    cases.one("DepthToSpace", 7, &[1, 8, 2, 2], &[], &[attr::int("blocksize", 2)]);
    cases.one("EyeLike", 9, &[3, 4], &[], &[]);
    cases.add("ConstantOfShape", 9, |graph| {
        let x = graph.input("x", &[2, 3]);
        let shape = graph.node("Shape", &[&x], &[]);
        let ones = graph.node("ConstantOfShape", &[&shape], &[attr::tensor("value", floats("", &[1.0]))]);
        vec![graph.node("Add", &[&x, &ones], &[])]
    });
    cases.add("Constant", 7, |graph| {
        let x = graph.input("x", &[2]);
        let kept = graph.node("Constant", &[], &[attr::tensor("value", floats("", &[1.0, 2.0]))]);
        let sum = graph.node("Add", &[&x, &kept], &[]);
        vec![sum, kept]
    });
    cases.add("Range", 11, |graph| {
        let x = graph.input("x", &[]);
        let [start, step] =
            [("start", 0.0), ("step", 0.5)].map(|(name, v)| graph.initializer(tensor_f32(name, &[], &[v])));
        let limit = graph.node("Abs", &[&x], &[]);
        vec![graph.node("Range", &[&start, &limit, &step], &[])]
    });
}

fn selection(cases: &mut Cases) {
    cases.one("Gather", 7, &[4, 3], &[integers("at", &[2, 0])], &[attr::int("axis", 0)]);
    cases.one(
        "GatherElements",
        11,
        &[2, 2],
        &[tensor_i64("at", &[2, 2], &[0, 1, -1, 0])],
        &[attr::int("axis", 1)],
    );
    cases.one("GatherND", 11, &[2, 3], &[tensor_i64("at", &[2, 2], &[0, 1, 1, 2])], &[]);
    let updates = || [tensor_i64("at", &[1, 2], &[0, 2]), tensor_f32("new", &[1, 2], &[9.0, 8.0])];
    cases.one("Scatter", 9, &[3, 3], &updates(), &[attr::int("axis", 1)]);
    cases.one("ScatterElements", 11, &[3, 3], &updates(), &[attr::int("axis", 1)]);
    cases.one("ScatterND", 11, &[3, 3], &[tensor_i64("at", &[1, 2], &[0, 2]), floats("new", &[9.0])], &[]);
    cases.one(
        "Compress",
        9,
        &[3, 2],
        &[tensor("on", Dtype::Bool, &[3], vec![1, 0, 1])],
        &[attr::int("axis", 0)],
    );
    cases.one("ReverseSequence", 10, &[4, 2], &[integers("lengths", &[2, 4])], &[]);
    cases.one("CumSum", 11, &[2, 3], &[tensor_i64("axis", &[], &[1])], &[]);
    for (opset, k, rest) in [(7, vec![attr::int("k", 2)], vec![]), (10, vec![], vec![integers("k", &[2])])] {
        cases.add("TopK", opset, move |graph| {
            let mut inputs = vec![graph.input("x", &[2, 5])];
            inputs.extend(rest.iter().map(|tensor| graph.initializer(tensor.clone())));
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            graph.push(node("TopK", "top", &inputs, &["values", "indices"], &k));
            vec!["values".into(), as_float(graph, "indices")]
        });
    }
    for (operator, opset) in
        [("ArgMax", 7), ("ArgMin", 7), ("ArgMax", 11), ("NonZero", 9), ("IsNaN", 9), ("IsInf", 10)]
    {
        cases.add(operator, opset, move |graph| {
            let x = graph.input("x", &[3, 4]);
            // Rounded, so that there are ties.
            let floor = graph.node("Floor", &[&x], &[]);
            let y = graph.node(operator, &[&floor], &[]);
            vec![as_float(graph, &y)]
        });
    }
    cases.add("OneHot", 9, |graph| {
        let x = graph.typed_input("x", Dtype::Int64, &[4]);
        let depth = graph.initializer(integers("depth", &[3]));
        let values = graph.initializer(floats("values", &[-1.0, 2.0]));
        vec![graph.node("OneHot", &[&x, &depth, &values], &[])]
    });
    cases.add("Where Equal", 9, |graph| {
        let (a, b) = (graph.typed_input("a", Dtype::Int64, &[6]), graph.typed_input("b", Dtype::Int64, &[6]));
        let (x, y) = (graph.input("x", &[6]), graph.input("y", &[6]));
        let equal = graph.node("Equal", &[&a, &b], &[]);
        vec![graph.node("Where", &[&equal, &x, &y], &[])]
    });
    cases.add("NonMaxSuppression", 10, |graph| {
        let (boxes, scores) = (graph.input("boxes", &[1, 6, 4]), graph.input("scores", &[1, 2, 6]));
        let most = graph.initializer(integers("most", &[3]));
        let y = graph.node("NonMaxSuppression", &[&boxes, &scores, &most], &[]);
        vec![as_float(graph, &y)]
    });
}

fn layers(cases: &mut Cases) {
    for opset in [7, 9] {
        cases.one(
            "MatMul",
            opset,
            &[2, 3],
            &[tensor_f32("w", &[3, 2], &[1.0, -2.0, 0.5, 3.0, 0.1, -0.7])],
            &[],
        );
        let gemm = [tensor_f32("w", &[2, 3], &[1.0, -2.0, 0.5, 3.0, 0.1, -0.7]), floats("c", &[1.0, 2.0])];
        cases.one(
            "Gemm",
            opset,
            &[2, 3],
            &gemm,
            &[attr::int("transB", 1), attr::float("alpha", 0.5), attr::float("beta", 2.0)],
        );
    }
    let kernel = |name: &str, dims: &[i64]| {
        let count = dims.iter().product::<i64>();
        tensor_f32(name, dims, &(0..count).map(|at| (at as f32 * 0.7).sin()).collect::<Vec<f32>>())
    };
    let stride = attr::ints("strides", &[2, 2]);
    let same = |mode: &str| attr::string("auto_pad", mode);
    for mode in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
        cases.one(
            "Conv",
            7,
            &[1, 2, 7, 8],
            &[kernel("w", &[4, 1, 3, 3])],
            &[same(mode), attr::int("group", 2)],
        );
        cases.one(
            "ConvTranspose",
            7,
            &[1, 2, 7, 8],
            &[kernel("w", &[2, 3, 3, 3])],
            &[same(mode), stride.clone()],
        );
    }
    let sized = attr::ints("output_shape", &[14, 15]);
    cases.one("ConvTranspose", 7, &[1, 2, 7, 8], &[kernel("w", &[2, 3, 3, 3])], &[sized, stride.clone()]);
    let pool = [attr::ints("kernel_shape", &[3, 3]), stride.clone()];
    for (operator, opset) in
        [("MaxPool", 7), ("MaxPool", 8), ("AveragePool", 7), ("LpPool", 7), ("LpPool", 11)]
    {
        for mode in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
            cases.one(operator, opset, &[1, 2, 7, 8], &[], &[&pool[..], &[same(mode)]].concat());
        }
        cases.one(
            operator,
            opset,
            &[1, 2, 7, 8],
            &[],
            &[&pool[..], &[attr::ints("pads", &[1, 0, 1, 1])]].concat(),
        );
    }
    let ceil = [&pool[..], &[attr::ints("pads", &[1, 1, 1, 1]), attr::int("ceil_mode", 1)]].concat();
    for opset in [10, 11] {
        cases.one("MaxPool", opset, &[1, 2, 8, 10], &[], &ceil);
        cases.one("AveragePool", opset, &[1, 2, 8, 10], &[], &ceil);
        cases.one(
            "AveragePool",
            opset,
            &[1, 2, 8, 10],
            &[],
            &[&ceil[..], &[attr::int("count_include_pad", 1)]].concat(),
        );
    }
    let parameters = ["scale", "bias", "mean", "var"].map(|name| floats(name, &[0.5, 1.5, 2.0]));
    cases.one("BatchNormalization", 7, &[2, 3, 4], &parameters, &[attr::int("spatial", 1)]);
    cases.one("BatchNormalization", 9, &[2, 3, 4], &parameters, &[attr::float("momentum", 0.8)]);
    cases.one("BatchNormalization", 14, &[2, 3, 4], &parameters, &[]);
    cases.one("InstanceNormalization", 7, &[2, 3, 4], &parameters[..2], &[]);
    cases.one("LayerNormalization", 17, &[2, 3], &parameters[..2], &[]);
    let groups = [floats("scale", &[0.5, 1.5]), floats("bias", &[2.0, -1.0])];
    cases.one("GroupNormalization", 18, &[2, 6, 3], &groups, &[attr::int("num_groups", 2)]);
    cases.one("LRN", 7, &[1, 5, 2, 2], &[], &[attr::int("size", 3)]);
    for operator in ["LSTM", "GRU", "RNN"] {
        let gates = match operator {
            "LSTM" => 4,
            "GRU" => 3,
            _ => 1,
        };
        let rest = [kernel("w", &[1, gates * 2, 3]), kernel("r", &[1, gates * 2, 2])];
        cases.one(operator, 7, &[4, 1, 3], &rest, &[attr::int("hidden_size", 2)]);
    }
}

fn resampling(cases: &mut Cases) {
    let mode = |mode: &str| attr::string("mode", mode);
    for kind in ["nearest", "linear"] {
        cases.one(
            "Upsample",
            7,
            &[1, 2, 3, 4],
            &[],
            &[mode(kind), attr::floats("scales", &[1.0, 1.0, 2.0, 2.5])],
        );
        cases.one("Upsample", 9, &[1, 2, 3, 4], &[floats("s", &[1.0, 1.0, 2.0, 2.5])], &[mode(kind)]);
        for (at, scales) in [[2.0, 3.0], [0.5, 1.0], [0.6, 0.6], [0.3, 0.7]].into_iter().enumerate() {
            let scales = floats(&format!("s{at}"), &[1.0, 1.0, scales[0], scales[1]]);
            cases.one("Resize", 10, &[1, 2, 5, 6], &[scales], &[mode(kind)]);
        }
        cases.add(&format!("Upsample {kind} computed scales"), 9, move |graph| {
            let x = graph.input("x", &[1, 2, 3, 4]);
            let half = graph.initializer(floats("half", &[0.5, 0.5, 1.0, 1.0]));
            let scales = graph.node("Add", &[&half, &half], &[]);
            vec![graph.node("Upsample", &[&x, &scales], &[mode(kind)])]
        });
    }
    cases.one("Resize", 10, &[1, 2, 5, 6], &[floats("s", &[1.0, 1.0, 0.6, 1.7])], &[mode("linear")]);
    let coordinates = |name: &str| attr::string("coordinate_transformation_mode", name);
    for (kind, how) in
        [("nearest", "half_pixel"), ("linear", "align_corners"), ("cubic", "pytorch_half_pixel")]
    {
        let scales = [floats("roi", &[]), floats("s", &[1.0, 1.0, 1.5, 2.0])];
        cases.one("Resize", 11, &[1, 2, 5, 6], &scales, &[mode(kind), coordinates(how)]);
        let sizes = [floats("roi", &[]), floats("s", &[]), integers("size", &[1, 2, 7, 3])];
        cases.one("Resize", 11, &[1, 2, 5, 6], &sizes, &[mode(kind), coordinates(how)]);
        let sizes = [left_out(), left_out(), integers("size", &[1, 2, 7, 3])];
        cases.one("Resize", 13, &[1, 2, 5, 6], &sizes, &[mode(kind), coordinates(how)]);
    }
    let crop = [floats("roi", &[0.0, 0.0, 0.2, 0.1, 1.0, 1.0, 0.8, 0.9]), floats("s", &[1.0, 1.0, 0.5, 2.0])];
    cases.one("Resize", 11, &[1, 2, 5, 6], &crop, &[mode("linear"), coordinates("tf_crop_and_resize")]);
    let regions = [tensor_f32("rois", &[1, 4], &[0.5, 0.5, 4.0, 3.5]), integers("batch", &[0])];
    cases.one(
        "RoiAlign",
        10,
        &[1, 2, 6, 6],
        &regions,
        &[attr::int("output_height", 2), attr::int("output_width", 2)],
    );
    let grid = tensor_f32("grid", &[1, 2, 2, 2], &[-0.9, 0.2, 0.4, 0.6, 1.2, -0.3, 0.0, 0.1]);
    cases.one("GridSample", 16, &[1, 2, 4, 5], &[grid.clone()], &[]);
    for kind in ["bilinear", "bicubic", "nearest"] {
        cases.one("GridSample", 16, &[1, 2, 4, 5], &[grid.clone()], &[mode(kind)]);
    }
}

fn others(cases: &mut Cases) {
    for bounds in [&["min"][..], &["max"], &["min", "max"]] {
        let bounds: Vec<_> =
            bounds.iter().map(|&name| attr::float(name, if name == "min" { -0.5 } else { 0.5 })).collect();
        cases.one("Clip", 7, &[3, 4], &[], &bounds);
    }
    cases.one("Clip", 12, &[3, 4], &[left_out(), tensor_f32("max", &[], &[0.5])], &[]);
    cases.one("Dropout", 10, &[3, 4], &[], &[attr::float("ratio", 0.9)]);
    cases.add("Dropout mask", 10, |graph| {
        let x = graph.input("x", &[3]);
        graph.push(node("Dropout", "dropout", &[&x], &["y", "mask"], &[attr::float("ratio", 0.9)]));
        vec!["y".into(), as_float(graph, "mask")]
    });
    cases.add("Pow", 7, |graph| {
        let (x, two) = (graph.input("x", &[3]), graph.initializer(floats("two", &[2.0])));
        vec![graph.node("Pow", &[&x, &two], &[])]
    });
    cases.one("Mod", 10, &[4], &[floats("b", &[0.3])], &[attr::int("fmod", 1)]);
    cases.one(
        "Einsum",
        12,
        &[2, 3],
        &[tensor_f32("b", &[3, 1], &[1.0, 2.0, 3.0])],
        &[attr::string("equation", "ij,jk->ki")],
    );
    for shape in [[1, 4, 1], [2, 4, 1]] {
        cases.one("DFT", 17, &shape, &[], &[]);
        cases.one("DFT", 17, &shape, &[], &[attr::int("axis", 1), attr::int("onesided", 1)]);
    }
    for opset in [10, 13] {
        cases.add("QuantizeLinear DequantizeLinear", opset, |graph| {
            let x = graph.input("x", &[3, 4]);
            let scale = graph.initializer(tensor_f32("scale", &[], &[0.05]));
            let zero = graph.initializer(tensor("zero", Dtype::Int8, &[], vec![3]));
            let codes = graph.node("QuantizeLinear", &[&x, &scale, &zero], &[]);
            vec![graph.node("DequantizeLinear", &[&codes, &scale, &zero], &[])]
        });
    }
    for opset in [7, 11] {
        cases.add("If", opset, |graph| {
            let (x, on) = (graph.input("x", &[2, 3]), graph.typed_input("on", Dtype::Bool, &[]));
            let body = |output: &str, axis: i64| GraphProto {
                name: Some("body".into()),
                node: vec![node("Unsqueeze", "", &[&x], &[output], &[attr::ints("axes", &[axis])])],
                output: vec![fourbit::onnx::build::value(output, Dtype::Float, &[-1, -1, -1])],
                ..Default::default()
            };
            let branches =
                [attr::graph("then_branch", body("a", 0)), attr::graph("else_branch", body("b", 2))];
            vec![graph.node("If", &[&on], &branches)]
        });
    }
}
