use super::*;
use crate::rewrite::apply;

fn problem(model: &Model, decisions: Vec<Decision>) -> String {
    apply(model, &plan(decisions), None).unwrap_err().to_string()
}

fn changed(change: impl FnOnce(&mut WeightDecision)) -> String {
    let model = conv();
    let mut decision = weight(&model, "w", CodeType::Int4, Some(0), &[(0, 1)]);
    decision.biases = vec![bias(&model, 0, 2, Some("b"), &[1.5, 2.5])];
    change(&mut decision);
    problem(&model, vec![Decision::Weight(decision)])
}

#[test]
fn weights_that_do_not_fit() {
    let cases: [(&str, String); 9] = [
        ("no such initializer", changed(|it| it.tensor = "v".into())),
        ("FLOAT [2, 1, 2, 1]", changed(|it| it.dims = vec![2, 1, 2, 1])),
        ("codes of 4 bits", changed(|it| it.terms[0].codes = Codes::new(CodeType::Int4, &[0]))),
        ("ends before", changed(|it| it.reads[0].at = usize::MAX)),
        ("has Conv conv_0_node there", changed(|it| it.reads[0].operator = "Gemm".into())),
        ("input 0 is \"x\"", changed(|it| it.reads[0].slot = 0)),
        ("input 2 is \"b\"", changed(|it| it.biases[0].tensor = None)),
        ("not \"\"", changed(|it| (it.biases[0].tensor, it.biases[0].read.slot) = (None, usize::MAX))),
        ("two decisions change", changed(|it| it.biases.push(it.biases[0].clone()))),
    ];
    for (expected, found) in cases {
        assert!(found.starts_with("plan: ") && found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn a_callers_default_is_no_constant() {
    let mut model = conv();
    model.graph_mut().input.push(crate::onnx::build::value("w", Dtype::Float, &[2, 1, 1, 2]));
    let decision = weight(&model, "w", CodeType::Int4, None, &[(0, 1)]);
    assert!(problem(&model, vec![Decision::Weight(decision)]).contains("caller"));
}

#[test]
fn activations_that_do_not_fit() {
    let model = conv();
    let fine = activation(&model, "x", &[(0, 0)]);
    let cases = [
        ("no read", vec![ActivationDecision { reads: Vec::new(), ..fine.clone() }]),
        ("input 0 is \"x\"", vec![ActivationDecision { tensor: "y".into(), ..fine.clone() }]),
        (
            "not above zero",
            vec![ActivationDecision {
                terms: vec![ActivationTerm { scale: 0.0, ..fine.terms[0] }],
                ..fine.clone()
            }],
        ),
        ("second decision", vec![fine.clone(), fine.clone()]),
        ("changed twice", vec![activation(&model, "x", &[(0, 0), (0, 0)])]),
    ];
    for (expected, decisions) in cases {
        let found = problem(&model, decisions.into_iter().map(Decision::Activation).collect());
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn below_opset_21_the_runtimes_own_operators_are_written_and_blocks_refused() {
    for (opset, code_type, axis) in
        [(7, CodeType::Int4, Some(0)), (20, CodeType::Int4, None), (12, CodeType::Int8, Some(0))]
    {
        let mut model = conv();
        model.set_opset(opset);
        let decision = weight(&model, "w", code_type, axis, &[(0, 1)]);
        let mut blocks = decision.clone();
        blocks.terms[0].partition = Partition::Block { axis: 0, size: 1 };
        let out = apply(&model, &plan(vec![Decision::Weight(decision)]), None).unwrap();
        let domains: Vec<_> = out.graph().node.iter().map(|node| (node.op_type(), node.domain())).collect();
        assert_eq!(domains[0], ("DequantizeLinear", "com.microsoft"));
        assert!(domains[1..].iter().all(|(_, domain)| domain.is_empty()));
        let imports = out.proto.opset_import.iter().map(|import| (import.domain(), import.version()));
        assert_eq!(imports.collect::<Vec<_>>(), [("", opset), ("com.microsoft", 1)]);
        assert_eq!(out.opset(), opset);

        blocks.terms[0].scales = vec![0.5; blocks.dims.iter().product::<i64>() as usize];
        blocks.terms[0].zero_points = vec![0; blocks.terms[0].scales.len()];
        let found = problem(&model, vec![Decision::Weight(blocks)]);
        assert!(found.contains("tensor w") && found.contains("`.opset` keep"), "{found}");
    }
}
