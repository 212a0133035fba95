//! The folded view rounds activations as onnxruntime does, ties and saturation included.

use fourbit::onnx::build::GraphBuilder;
use fourbit::onnx::proto::OperatorSetIdProto;
use fourbit::onnx::{Dtype, Model, attr, pack, tensor, tensor_f32};
use fourbit::rewrite::{Dialect, lower};
use fourbit::runtime::Session;

use crate::oracle::{Pair, assert_same};

const TYPES: [(Dtype, i64, i64); 6] = [
    (Dtype::Int4, -8, 7),
    (Dtype::Uint4, 0, 15),
    (Dtype::Int8, -128, 127),
    (Dtype::Uint8, 0, 255),
    (Dtype::Int16, -32768, 32767),
    (Dtype::Uint16, 0, 65535),
];
/// None is a power of two: their reciprocals are not exact.
const SCALES: [f32; 5] = [0.1, 1.0 / 3.0, 0.023_529_412, 7.3e-4, 41.7];

/// Two scales along axis 1, or one; a zero point each.
struct Case {
    dtype: Dtype,
    range: (i64, i64),
    scales: Vec<f32>,
    zeros: Vec<i64>,
}

impl Case {
    /// Every tie of a small type and a sample of a large one's, their neighbours, what lies beyond
    /// the range by a little and by far, and zero; as many for each scale.
    fn values(&self) -> Vec<f32> {
        let (lowest, highest) = self.range;
        let span = highest - lowest;
        let step = (span / 300).max(1) as usize;
        let parts = self.scales.iter().map(|&scale| {
            let mut values = vec![0.0, 1e9, -1e9, f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY];
            for code in (-span - 3..=span + 3).step_by(step) {
                let tie = (code as f32 + 0.5) * scale;
                values.extend([
                    tie,
                    tie.next_up(),
                    tie.next_down(),
                    tie.next_up().next_up(),
                    code as f32 * scale,
                ]);
            }
            values
        });
        parts.flatten().collect()
    }

    fn dims(&self) -> [i64; 2] {
        let channels = self.scales.len() as i64;
        [channels, self.values().len() as i64 / channels]
    }

    /// What ONNX says of the values.
    fn expected(&self) -> Vec<f32> {
        let values = self.values();
        let each = values.len() / self.scales.len();
        let one = |(at, value): (usize, &f32)| {
            let (scale, zero) = (self.scales[at / each], self.zeros[at / each]);
            let bounds = ((self.range.0 - zero) as f32, (self.range.1 - zero) as f32);
            (value / scale).round_ties_even().clamp(bounds.0, bounds.1) * scale
        };
        values.iter().enumerate().map(one).collect()
    }

    /// The same at an opset that has no such operators, in onnxruntime's spelling.
    fn old(&self, fed: bool) -> Option<Model> {
        let mut model = self.model(fed);
        model.set_opset(7);
        model
            .proto
            .opset_import
            .push(OperatorSetIdProto { domain: Some("com.microsoft".into()), version: Some(1) });
        for node in &mut model.graph_mut().node {
            node.domain = Some("com.microsoft".into());
            node.attribute.clear();
        }
        (self.scales.len() == 1).then_some(model)
    }

    fn model(&self, fed: bool) -> Model {
        let mut graph = GraphBuilder::new(21);
        let dims = self.dims();
        let x = match fed {
            true => graph.input("x", &dims),
            false => graph.initializer(tensor_f32("x", &dims, &self.values())),
        };
        let count = if self.scales.len() == 1 { vec![] } else { vec![self.scales.len() as i64] };
        let scale = graph.initializer(tensor_f32("scale", &count, &self.scales));
        let zeros: Vec<u8> = match self.dtype {
            Dtype::Int4 | Dtype::Uint4 => {
                pack(&self.zeros.iter().map(|&zero| zero as i16).collect::<Vec<_>>())
            }
            Dtype::Int8 | Dtype::Uint8 => self.zeros.iter().map(|&zero| zero as u8).collect(),
            _ => self.zeros.iter().flat_map(|&zero| (zero as u16).to_le_bytes()).collect(),
        };
        let zero = graph.initializer(tensor("zero", self.dtype, &count, zeros));
        let axis = [attr::int("axis", 0)];
        let codes = graph.node("QuantizeLinear", &[&x, &scale, &zero], &axis);
        for _ in 0..2 {
            let y = graph.node("DequantizeLinear", &[&codes, &scale, &zero], &axis);
            graph.output(&y);
        }
        graph.model()
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (dtype, lowest, highest) in TYPES {
        for zero in [lowest, (lowest + highest) / 2 + 1, highest - 1] {
            for scale in SCALES {
                cases.push(Case { dtype, range: (lowest, highest), scales: vec![scale], zeros: vec![zero] });
            }
            let (scales, zeros) = (vec![SCALES[0], SCALES[4]], vec![zero, lowest + 1]);
            cases.push(Case { dtype, range: (lowest, highest), scales, zeros });
        }
    }
    cases
}

#[test]
fn the_view_rounds_as_onnx_says() {
    for case in cases() {
        let name = format!("{:?} {:?} {:?}", case.dtype, case.scales, case.zeros);
        for model in std::iter::once(case.model(true)).chain(case.old(true)) {
            let view = lower(&model, Dialect::Folded).expect("it lowers");
            let left = view.graph().node.iter().filter(|node| node.op_type().ends_with("Linear")).count();
            assert_eq!(left, 0, "{name}");
            let outputs = Session::new(&view, "view", &[]).expect("it loads");
            let outputs = outputs.run(&[tensor_f32("x", &case.dims(), &case.values())]).expect("it runs");
            let expected = case.expected();
            assert_eq!(outputs.len(), 2);
            for output in outputs {
                for ((value, found), expected) in case.values().iter().zip(&output.values).zip(&expected) {
                    assert_eq!(found, expected, "{name}: {value:?}");
                }
            }
        }
    }
}

#[test]
fn onnxruntime_rounds_so_too() {
    let mut pairs = Vec::new();
    for case in cases() {
        let before = case.model(false);
        let mut graph = GraphBuilder::new(21);
        let expected = graph.initializer(tensor_f32("expected", &case.dims(), &case.expected()));
        for output in &before.graph().output {
            graph.push(fourbit::onnx::build::node(
                "Identity",
                output.name(),
                &[&expected],
                &[output.name()],
                &[],
            ));
            graph.output(output.name());
        }
        let view = lower(&before, Dialect::Folded).expect("it lowers");
        let name = format!("{:?} {:?} {:?}", case.dtype, case.scales, case.zeros);
        if let Some(before) = case.old(false) {
            let after = lower(&before, Dialect::Folded).expect("it lowers");
            pairs.push(Pair { name: format!("{name} old"), before, after, tolerance: 0.0 });
        }
        pairs.push(Pair {
            name: format!("{name} view"),
            before: before.clone(),
            after: view,
            tolerance: 0.0,
        });
        pairs.push(Pair { name, before, after: graph.model(), tolerance: 0.0 });
    }
    assert_same(&pairs);
}
