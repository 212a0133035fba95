//! What a report says of a file with attention, or with operators that onnxruntime's optimizer and model builder write, is what
//! onnxruntime makes of that file.

use fourbit::onnx::build::{GraphBuilder, node};
use fourbit::onnx::proto::{AttributeProto, NodeProto, TensorProto};
use fourbit::onnx::{CONTRIB, Dtype, Model, attr, tensor, tensor_f32};

use super::fused_layers::imported;
use super::judged::assert_reported;

/// A graph of a token's width of 32 and its next node's number.
struct Fused {
    graph: GraphBuilder,
    count: usize,
}

impl Fused {
    fn new(opset: i64) -> Self {
        Self { graph: GraphBuilder::new(opset), count: 0 }
    }

    /// A node of onnxruntime's, whose first output is given back, and the one in `also`, too.
    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[AttributeProto],
        also: usize,
    ) -> [String; 2] {
        self.count += 1;
        let names = [format!("f{}", self.count), format!("also{}", self.count)];
        let outputs: Vec<&str> = (0..=also)
            .map(|at| match at {
                0 => names[0].as_str(),
                _ if at == also => names[1].as_str(),
                _ => "",
            })
            .collect();
        let made = node(operator, &format!("{}_node", names[0]), inputs, &outputs, attributes);
        self.graph.push(NodeProto { domain: Some(CONTRIB.into()), ..made });
        names
    }

    fn product(&mut self, x: &str, name: &str, dims: [i64; 2]) -> String {
        let w = self.graph.weights(name, &dims);
        self.graph.node("MatMul", &[x, &w], &[])
    }

    fn row(&mut self, name: &str, count: i64, around: f32) -> String {
        let values: Vec<f32> = (0..count).map(|at| around + 0.1 * (at as f32).sin()).collect();
        self.graph.initializer(tensor_f32(name, &[count], &values))
    }

    /// Cosines and sines of `half` angles at ten positions.
    fn angles(&mut self, half: i64) -> [String; 2] {
        [("cos", f32::cos as fn(f32) -> f32), ("sin", f32::sin)].map(|(name, of)| {
            let angle = |at: i64| (at / half) as f32 / 10_f32.powf((at % half) as f32 / half as f32);
            let values: Vec<f32> = (0..10 * half).map(|at| of(angle(at))).collect();
            self.graph.initializer(tensor_f32(name, &[10, half], &values))
        })
    }

    fn model(mut self, y: &str) -> Model {
        self.graph.output(y);
        imported(self.graph.model())
    }
}

fn small(name: &str, values: &[i32]) -> TensorProto {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, Dtype::Int32, &[values.len() as i64], bytes)
}

/// FusedConv with activations and a sum, FusedGemm, FusedMatMul.
fn convolutions() -> Model {
    let mut fused = Fused::new(13);
    let x = fused.graph.input("x", &[1, 3, 9, 9]);
    let (v, w, f) = (
        fused.graph.weights("v", &[8, 3, 3, 3]),
        fused.graph.weights("w", &[8, 8, 3, 3]),
        fused.graph.weights("f", &[20, 8]),
    );
    let (b, c) = (fused.row("b", 8, 0.0), fused.row("c", 20, 0.0));
    let pads = attr::ints("pads", &[1, 1, 1, 1]);
    let relu = attr::string("activation", "Relu");
    let leaky = [attr::string("activation", "LeakyRelu"), attr::floats("activation_params", &[0.2])];
    let [first, _] = fused.node("FusedConv", &[&x, &v, &b], &[pads.clone(), relu.clone()], 0);
    let [sum, _] = fused.node("FusedConv", &[&first, &w, "", &first], &[&leaky[..], &[pads]].concat(), 0);
    let pooled = fused.graph.node("GlobalAveragePool", &[&sum], &[]);
    let flat = fused.graph.node("Flatten", &[&pooled], &[]);
    let [y, _] = fused.node("FusedGemm", &[&flat, &f, &c], &[attr::int("transB", 1), relu], 0);
    let last = fused.graph.weights("last", &[10, 20]);
    let turned = [attr::int("transB", 1), attr::float("alpha", 0.5)];
    let [y, _] = fused.node("FusedMatMul", &[&y, &last], &turned, 0);
    fused.model(&y)
}

/// An encoder's layer as onnxruntime's optimizer leaves it.
fn encoder() -> Model {
    let mut fused = Fused::new(17);
    let x = fused.graph.input("x", &[1, 6, 32]);
    let w = fused.graph.weights("qkv", &[32, 96]);
    let (b, g, s) = (fused.row("b", 96, 0.0), fused.row("g", 32, 1.0), fused.row("s", 32, 0.0));
    let epsilon = attr::float("epsilon", 1e-5);
    let [y, _] = fused.node("Attention", &[&x, &w, &b], &[attr::int("num_heads", 4)], 0);
    let y = fused.product(&y, "out", [32, 32]);
    let [first, _] =
        fused.node("SkipLayerNormalization", &[&y, &x, &g, &s], std::slice::from_ref(&epsilon), 0);
    let y = fused.product(&first, "up", [32, 64]);
    let c = fused.row("c", 64, 0.0);
    let [y, _] = fused.node("BiasGelu", &[&y, &c], &[], 0);
    let y = fused.product(&y, "down", [64, 32]);
    let [q, _] = fused.node("SkipLayerNormalization", &[&y, &first, &g, &s, &s], &[epsilon], 0);
    let k = fused.product(&q, "k", [32, 32]);
    let v = fused.product(&q, "v", [32, 32]);
    let [y, _] = fused.node("MultiHeadAttention", &[&q, &k, &v], &[attr::int("num_heads", 2)], 0);
    fused.model(&y)
}

/// A decoder's layer as onnxruntime's model builder writes it, in a prompt.
fn decoder() -> Model {
    let mut fused = Fused::new(17);
    let x = fused.graph.input("x", &[1, 5, 32]);
    let g = fused.row("g", 32, 1.0);
    let epsilon = attr::float("epsilon", 1e-5);
    let n = fused.graph.node("SimplifiedLayerNormalization", &[&x, &g], std::slice::from_ref(&epsilon));
    let [q, k, v] =
        [("q", 64), ("k", 32), ("v", 32)].map(|(name, width)| fused.product(&n, name, [32, width]));
    let last = fused.graph.initializer(small("last", &[4]));
    let total = fused.graph.initializer(small("total", &[5]));
    let [cos, sin] = fused.angles(8);
    let attributes = [
        attr::int("num_heads", 4),
        attr::int("kv_num_heads", 2),
        attr::int("do_rotary", 1),
        attr::int("local_window_size", 3),
    ];
    let inputs = [q.as_str(), &k, &v, "", "", &last, &total, &cos, &sin];
    let [y, _] = fused.node("GroupQueryAttention", &inputs, &attributes, 0);
    let y = fused.product(&y, "out", [64, 32]);
    let [y, sum] = fused.node("SkipSimplifiedLayerNormalization", &[&x, &y, &g], &[epsilon], 3);
    let y = fused.product(&y, "up", [32, 64]);
    let [y, _] = fused.node("QuickGelu", &[&y], &[], 0);
    let y = fused.product(&y, "down", [64, 32]);
    let y = fused.graph.node("Add", &[&y, &sum], &[]);
    fused.model(&y)
}

/// A decoder's layer of the standard.
fn standard(opset: i64) -> Model {
    let mut fused = Fused::new(opset);
    let x = fused.graph.input("x", &[1, 5, 32]);
    let g = fused.row("g", 32, 1.0);
    let n = fused.graph.node("RMSNormalization", &[&x, &g], &[]);
    let [q, k, v] =
        [("q", 32), ("k", 16), ("v", 16)].map(|(name, width)| fused.product(&n, name, [32, width]));
    let angles = fused.angles(4);
    let places: Vec<u8> = (0..5_i64).flat_map(i64::to_le_bytes).collect();
    let places = fused.graph.initializer(tensor("places", Dtype::Int64, &[1, 5], places));
    let mut turned = |x: &str, heads: i64| {
        let inputs = [x, &angles[0], &angles[1], &places];
        fused.graph.node("RotaryEmbedding", &inputs, &[attr::int("num_heads", heads)])
    };
    let (q, k) = (turned(&q, 4), turned(&k, 2));
    let attributes = [attr::int("is_causal", 1), attr::int("q_num_heads", 4), attr::int("kv_num_heads", 2)];
    let y = fused.graph.node("Attention", &[&q, &k, &v], &attributes);
    let y = fused.product(&y, "out", [32, 32]);
    let sum = fused.graph.node("Add", &[&y, &x], &[]);
    let y = fused.product(&sum, "up", [32, 10]);
    fused.model(&y)
}

#[test]
fn what_is_reported_of_fused_operators_is_what_onnxruntime_gives() {
    assert_reported(vec![
        ("fused-convolutions", convolutions()),
        ("fused-encoder", encoder()),
        ("fused-decoder", decoder()),
        ("attention-23", standard(23)),
        ("attention-24", standard(24)),
    ]);
}
