//! Blocks, several terms in both spellings, 4-bit and two-term activations.

use super::dump::golden;
use super::*;
use crate::onnx::floats;
use crate::rewrite::{Dialect, apply, lower};

/// A second term for `decision`: other codes, a tenth of the scales.
fn with_terms(mut decision: WeightDecision, count: usize, spelling: Spelling) -> WeightDecision {
    for number in 1..count as i16 {
        let mut term = decision.terms[0].clone();
        let (lowest, highest) = term.code_type.range();
        let turn = |code: i16| i32::from(code + number).clamp(lowest, highest) as i16;
        term.codes = Codes::new(term.code_type, &term.codes.iter().map(turn).collect::<Vec<_>>());
        term.scales.iter_mut().for_each(|scale| *scale /= 10.0 * f32::from(number));
        decision.terms.push(term);
    }
    decision.spelling = spelling;
    decision
}

fn in_blocks(mut decision: WeightDecision, axis: usize, size: usize) -> WeightDecision {
    let partition = Partition::Block { axis, size };
    let count = partition.groups(&decision.dims).unwrap().count();
    let term = &mut decision.terms[0];
    term.partition = partition;
    term.scales = (1..=count).map(|at| at as f32 * 0.25).collect();
    term.zero_points = vec![0; count];
    decision
}

/// Applies `decisions` and compares the shipped file and its folded view, which must hold what the plan says.
fn spelled(name: &str, model: &Model, decisions: Vec<Decision>) {
    let plan = plan(decisions);
    let shipped = apply(model, &plan, None).unwrap();
    golden(name, &shipped);
    let view = lower(&shipped, Dialect::Folded).unwrap();
    golden(&format!("{name}_folded"), &view);
    for decision in &plan.decisions {
        let Decision::Weight(weight) = decision else { continue };
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let expected: Vec<(String, Vec<f32>)> = match (weight.terms.len(), weight.spelling) {
            (2.., Spelling::Branches) => weight
                .terms
                .iter()
                .enumerate()
                .map(|(at, term)| (weight.term_name(at), term.decode(&weight.dims)))
                .collect(),
            _ => vec![(weight.tensor.clone(), weight.decode())],
        };
        for (name, values) in expected {
            let held = view.graph().initializer.iter().find(|tensor| tensor.name() == name).unwrap();
            assert_eq!(bits(floats(held).unwrap()), bits(values), "{name}");
        }
    }
}

#[test]
fn blocks_that_divide_the_axis_and_that_do_not() {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 3, 2]);
    let w = graph.weights("w", &[2, 3, 1]);
    let v = graph.weights("v", &[2, 2]);
    let y = graph.node("Conv", &[&x, &w], &[]);
    let z = graph.node("MatMul", &[&y, &v], &[]);
    graph.output(&z);
    let model = graph.model();
    let mut first = in_blocks(weight(&model, "w", CodeType::Int4, None, &[(0, 1)]), 1, 2);
    first.terms[0].zero_points[3] = -1;
    let second = in_blocks(weight(&model, "v", CodeType::Int8, None, &[(1, 1)]), 0, 1);
    spelled("blocks", &model, vec![Decision::Weight(first), Decision::Weight(second)]);
}

#[test]
fn a_sum_keeps_the_weights_name_for_all_who_read_it() {
    let model = captured();
    let decision = with_terms(weight(&model, "w", CodeType::Int4, Some(0), &[(2, 1)]), 3, Spelling::Sum);
    spelled("sum", &model, vec![Decision::Weight(decision)]);
}

#[test]
fn branches_repeat_a_conv_with_its_bias_once() {
    let model = conv();
    let mut decision =
        with_terms(weight(&model, "w", CodeType::Int4, Some(0), &[(0, 1)]), 2, Spelling::Branches);
    decision.biases = vec![bias(&model, 0, 2, Some("b"), &[1.5, 2.5])];
    let low = activation(&model, "x", &[(0, 0)]);
    let low_out = activation(&model, "conv_0", &[(1, 0)]);
    // The activations first: the copies read the low-bit input, and the sum comes before its own rounding.
    let decisions =
        vec![Decision::Activation(low_out), Decision::Activation(low), Decision::Weight(decision)];
    spelled("branches", &model, decisions);
}

#[test]
fn branches_of_shared_weights_split_every_reader() {
    let model = shared();
    let decision =
        with_terms(weight(&model, "w", CodeType::Uint4, None, &[(0, 1), (1, 1)]), 3, Spelling::Branches);
    spelled("branches_shared", &model, vec![Decision::Weight(decision)]);
}

#[test]
fn branches_of_a_gemm_keep_its_attributes_and_a_new_bias() {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 2]);
    let w = graph.weights("w", &[2, 2]);
    let y = graph.node("Gemm", &[&x, &w], &[attr::int("transB", 1)]);
    graph.output(&y);
    let model = graph.model();
    let mut decision =
        with_terms(weight(&model, "w", CodeType::Int4, Some(0), &[(0, 1)]), 2, Spelling::Branches);
    decision.biases = vec![bias(&model, 0, 2, None, &[1.0, 2.0])];
    spelled("branches_gemm", &model, vec![Decision::Weight(decision)]);
}

#[test]
fn branches_that_cannot_be_are_refused() {
    let refusal = |model: &Model, reads: &[(usize, usize)], tensor: &str| {
        let decision = with_terms(weight(model, tensor, CodeType::Int4, None, reads), 2, Spelling::Branches);
        apply(model, &plan(vec![Decision::Weight(decision)]), None).unwrap_err().to_string()
    };
    assert!(refusal(&captured(), &[(2, 1)], "w").contains("has others"));
    assert!(refusal(&shared(), &[(0, 1)], "w").contains("has others"));
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[2, 2]);
    let w = graph.weights("w", &[2, 2]);
    let y = graph.node("Mul", &[&x, &w], &[]);
    let z = graph.node("MatMul", &[&w, &y], &[]);
    graph.output(&z);
    let model = graph.model();
    assert!(refusal(&model, &[(0, 1), (1, 0)], "w").contains("no factor that can be split"));
}

fn four_bits(term: ActivationTerm, code_type: CodeType) -> ActivationTerm {
    ActivationTerm { code_type, zero_point: if code_type.is_signed() { -3 } else { 5 }, ..term }
}

#[test]
fn activations_of_four_bits_and_of_two_terms() {
    let mut model = conv();
    model.set_opset(21);
    let mut input = activation(&model, "x", &[(0, 0)]);
    input.terms[0] = four_bits(input.terms[0], CodeType::Uint4);
    let mut inner = activation(&model, "conv_0", &[(1, 0)]);
    let first = four_bits(inner.terms[0], CodeType::Int4);
    inner.terms = vec![first, ActivationTerm { scale: first.scale / 16.0, zero_point: 0, ..first }];
    let plan = plan(vec![Decision::Activation(input), Decision::Activation(inner)]);
    golden("activations", &apply(&model, &plan, None).unwrap());
}

#[test]
fn sums_of_the_model_itself_are_left_alone() {
    let mut graph = GraphBuilder::new(21);
    let w = graph.weights("w", &[2]);
    let b = graph.weights("b", &[2]);
    let c = graph.weights("c", &[2, 2]);
    let plain = graph.node("Add", &[&w, &b], &[]);
    let wide = graph.node("Add", &[&w, &c], &[]);
    graph.output(&plain);
    graph.output(&wide);
    let model = graph.model();
    let one = |tensor: &str, slot| {
        let decision = weight(&model, tensor, CodeType::Int4, None, &[(slot, usize::from(tensor != "w"))]);
        Decision::Weight(decision)
    };
    // Of `w + c` both are dequantized, but their shapes differ; of `w + b` only one is.
    let mut first = weight(&model, "w", CodeType::Int4, None, &[(0, 0), (1, 0)]);
    first.biases.clear();
    let shipped = apply(&model, &plan(vec![Decision::Weight(first), one("c", 1)]), None).unwrap();
    let view = lower(&shipped, Dialect::Folded).unwrap();
    assert_eq!(view.graph().node, model.graph().node);
}
