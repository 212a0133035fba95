//! Codes that operators unpack: every width, partition and storage gives what the plan says.

use super::*;
use crate::onnx::{Decoded, Dequantized, Index, codes_held, floats, outer_names};
use crate::options::{Opset, Storage};
use crate::plan::Laid;
use crate::rewrite::{Dialect, apply, lower};

/// x -> MatMul with weights of `dims` in `float`, at `opset`.
fn product(opset: i64, dims: &[i64], float: Float) -> Model {
    let mut graph = GraphBuilder::new(opset);
    let x = graph.input("x", &[1, dims[0]]);
    let count = dims.iter().product::<i64>() as usize;
    let w = graph.initializer(crate::onnx::tensor_of("w", float.dtype(), dims, &vec![0.0; count]));
    let y = graph.node("MatMul", &[&x, &w], &[]);
    graph.output(&y);
    graph.model()
}

/// The weights of [`product`] with codes that run through all values, and zero points that differ where `zeros` is above 1.
fn decided(model: &Model, code_type: CodeType, partition: Partition, zeros: i16) -> WeightDecision {
    let mut decision = weight(model, "w", code_type, None, &[(0, 1)]);
    decision.float = Float::of(model.graph().initializer[0].data_type()).unwrap();
    let count = partition.groups(&decision.dims).unwrap().count();
    let float = decision.scale_float();
    let term = &mut decision.terms[0];
    let lowest = code_type.range().0 as i16;
    term.partition = partition;
    term.scales = (1..=count).map(|at| float.round(0.1 * at as f32)).collect();
    term.zero_points = (0..count as i16).map(|at| if zeros == 0 { 0 } else { lowest + at % zeros }).collect();
    decision
}

fn planned(model: &Model, decision: WeightDecision, storage: Storage, rounded: bool) -> Plan {
    let input = rounded.then(|| Decision::Activation(activation(model, "x", &[(0, 0)])));
    let decisions = input.into_iter().chain([Decision::Weight(decision)]).collect();
    Plan { storage, opset: Opset::AtLeast(model.opset()), ..plan(decisions) }
}

/// Holds what is told of the one tensor of codes in `shipped` against the decision that made it.
fn told(name: &str, shipped: &Model, weight: &WeightDecision, storage: Storage) {
    let index = Index::new(shipped.graph());
    let decoded = Decoded::of(&index);
    let [(_, found)] = *decoded.ends().collect::<Vec<_>>() else { panic!("{name}: one tensor") };
    let (term, laid) = (&weight.terms[0], weight.terms[0].laid(storage, shipped.opset()));
    let axis = match term.partition {
        Partition::Channel { axis } => Some(axis),
        _ => None,
    };
    // Blocks that are whole rows have one scale a row.
    let block = matches!(term.partition, Partition::Block { .. });
    assert!(found.axis() == axis || block, "{name}: {:?}", found.axis());
    assert_eq!((&found.dims, codes_held(shipped.graph())), (&weight.dims, 1), "{name}");
    if let Some(stored) = found.stored() {
        assert_eq!(stored.in_bytes, laid == Laid::Digits, "{name}");
        assert!(laid == Laid::Wide || term.code_type.bits() == stored.bits, "{name}");
    }
}

/// What the folded view of the file holds in the place of the weights, which must be what the plan says.
fn holds(name: &str, model: &Model, plan: &Plan) -> Model {
    let shipped = apply(model, plan, None).unwrap_or_else(|error| panic!("{name}: {error}"));
    let view = lower(&shipped, Dialect::Folded).unwrap();
    let Some(Decision::Weight(weight)) = plan.decisions.last() else { panic!("weights") };
    let held = view.graph().initializer.iter().find(|tensor| tensor.name() == "w");
    let held = held.unwrap_or_else(|| panic!("{name}: {:#?}", view.graph().node));
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(floats(held).unwrap()), bits(weight.decode()), "{name}");
    assert_eq!((held.data_type(), &held.dims), (weight.float.dtype() as i32, &weight.dims), "{name}");
    let rounding = if plan.decisions.len() > 1 { usize::MAX } else { 1 };
    assert!(view.graph().node.len() <= rounding, "{name}: {:#?}", view.graph().node);
    shipped
}

#[test]
fn every_width_and_partition_is_unpacked_to_what_the_plan_says() {
    let all = [
        CodeType::Int2,
        CodeType::Uint2,
        CodeType::Int3,
        CodeType::Uint3,
        CodeType::Int4,
        CodeType::Uint4,
        CodeType::Int5,
        CodeType::Uint5,
        CodeType::Int6,
        CodeType::Uint6,
        CodeType::Int8,
        CodeType::Uint8,
    ];
    let dims = [[48, 40], [7, 9], [33, 5], [64, 30]];
    let mut laid_out = Vec::new();
    for storage in [Storage::Cast, Storage::Bytes] {
        for opset in [9, 12, 13, 21] {
            for dims in &dims {
                for partition in [
                    Partition::Tensor,
                    Partition::Channel { axis: 0 },
                    Partition::Channel { axis: 1 },
                    Partition::Block { axis: 0, size: 16 },
                    Partition::Block { axis: 1, size: 8 },
                    Partition::Block { axis: 0, size: usize::MAX },
                ] {
                    for (code_type, zeros, float, rounded) in all
                        .into_iter()
                        .flat_map(|it| [0, 1, 3].map(|zeros| (it, zeros)))
                        .flat_map(|(it, zeros)| {
                            [Float::Float, Float::Float16].map(|float| (it, zeros, float))
                        })
                        .flat_map(|(it, zeros, float)| {
                            [false, true].map(|rounded| (it, zeros, float, rounded))
                        })
                    {
                        let blocks = matches!(partition, Partition::Block { .. });
                        if rounded && (blocks && opset < 21 || float != Float::Float) {
                            continue;
                        }
                        let name = format!(
                            "{storage:?} {opset} {dims:?} {partition:?} {code_type} {zeros} {float:?} {rounded}"
                        );
                        let model = product(opset, dims, float);
                        let decision = decided(&model, code_type, partition, zeros);
                        laid_out.push(decision.terms[0].laid(storage, opset));
                        let plan = planned(&model, decision, storage, rounded);
                        let shipped = holds(&name, &model, &plan);
                        let Some(Decision::Weight(weight)) = plan.decisions.last() else { panic!() };
                        told(&name, &shipped, weight, storage);
                        let four =
                            shipped.graph().initializer.iter().any(|it| matches!(it.data_type(), 21 | 22));
                        assert!(!four || storage == Storage::Cast && opset >= 21, "{name}");
                        let contrib = shipped.graph().node.iter().any(|node| !node.domain().is_empty());
                        assert!(!contrib || rounded, "{name}");
                    }
                }
            }
        }
    }
    for laid in [Laid::Typed, Laid::Wide, Laid::Digits] {
        assert!(laid_out.contains(&laid), "{laid:?}");
    }
}

#[test]
fn float_layers_have_no_dequantizelinear_and_integer_layers_one() {
    for (rounded, storage) in [(false, Storage::Cast), (true, Storage::Cast), (true, Storage::Bytes)] {
        let model = product(21, &[64, 64], Float::Float);
        let decision = decided(&model, CodeType::Uint4, Partition::Channel { axis: 1 }, 3);
        let plan = planned(&model, decision, storage, rounded);
        let count = |model: &Model, operator: &str| {
            model.graph().node.iter().filter(|node| node.op_type() == operator).count()
        };
        let shipped = holds("linear", &model, &plan);
        assert_eq!(count(&shipped, "DequantizeLinear"), if rounded { 2 } else { 0 });
    }
}

#[test]
fn two_terms_are_added_and_layers_share_constants() {
    let mut graph = GraphBuilder::new(13);
    let x = graph.input("x", &[1, 64]);
    let (v, w) = (graph.weights("v", &[64, 64]), graph.weights("w", &[64, 64]));
    let y = graph.node("MatMul", &[&x, &v], &[]);
    let y = graph.node("MatMul", &[&y, &w], &[]);
    graph.output(&y);
    let model = graph.model();
    let decided = |tensor: &str, at: usize| {
        let mut decision = weight(&model, tensor, CodeType::Int4, Some(1), &[(at, 1)]);
        decision.terms.push(WeightTerm {
            scales: decision.terms[0].scales.iter().map(|scale| scale / 16.0).collect(),
            ..decision.terms[0].clone()
        });
        Decision::Weight(decision)
    };
    let plan = Plan { storage: Storage::Bytes, ..plan(vec![decided("v", 0), decided("w", 1)]) };
    let shipped = holds("dual", &model, &plan);
    let small = shipped.graph().initializer.iter().filter(|tensor| tensor.dims.len() < 2).count();
    assert_eq!(small, 3 + 4 + 1, "16, 1/16 and 8; scales of two terms each; one shape");
}

#[test]
fn a_graph_that_says_something_else_is_not_taken_for_codes() {
    let model = product(13, &[64, 64], Float::Float);
    let decision = decided(&model, CodeType::Uint4, Partition::Channel { axis: 1 }, 0);
    let shipped = apply(&model, &planned(&model, decision, Storage::Bytes, false), None).unwrap();
    let made = |model: &Model| {
        let index = Index::new(model.graph());
        let last = index.producer("w").unwrap();
        Dequantized::of(last, &index).unwrap().is_some()
    };
    assert!(made(&shipped));
    let scalars: Vec<usize> = (0..shipped.graph().initializer.len())
        .filter(|&at| shipped.graph().initializer[at].dims.iter().product::<i64>() <= 2)
        .filter(|&at| shipped.graph().initializer[at].data_type() == Dtype::Float as i32)
        .collect();
    assert_eq!(scalars.len(), 3, "steps, 16 and 1/16");
    for at in scalars {
        let mut proto = shipped.proto.clone();
        let tensor = &mut proto.graph.as_mut().unwrap().initializer[at];
        *tensor = tensor_f32(
            tensor.name().to_owned(),
            &tensor.dims.clone(),
            &vec![0.125; floats(tensor).unwrap().len()],
        );
        assert!(!made(&Model::new(proto).unwrap()), "{at}");
    }
    assert!(shipped.graph().node.iter().all(|node| outer_names(node).is_empty()));
}
