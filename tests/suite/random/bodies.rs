//! Layers whose weights lie in the graphs inside nodes, and in functions.

use fourbit::onnx::build::{node, value};
use fourbit::onnx::proto::{FunctionProto, GraphProto, NodeProto, OperatorSetIdProto, TensorProto};
use fourbit::onnx::{Dtype, attr, tensor_i64};

use super::graphs::{Grower, Value, truth};

impl Grower {
    /// Weights of a body under a name that other bodies may use too.
    fn own(&mut self, name: &str, dims: &[i64]) -> TensorProto {
        let fan = dims[0];
        TensorProto { name: Some(name.into()), ..self.tensor(Dtype::Float, dims, fan) }
    }

    /// An If whose branches hold weights of their own, and read one tensor of the outer graph.
    pub fn branches(&mut self, x: &Value) -> Value {
        let condition = match self.condition.clone() {
            Some(condition) => condition,
            None => {
                let name = self.input(Dtype::Bool, &[]);
                self.condition = Some(name.clone());
                name
            }
        };
        let (size, to) = (x.dims[1], self.chance.pick(&[6, 8, 16]));
        let outer = self.weights(&[to, to], to);
        let dims = vec![x.dims[0], to];
        let [one, other] = ["then", "else"].map(|which| {
            let inner = self.chance.one_in(4);
            self.branch(which, &x.name, &outer, [size, to], &dims, inner.then_some(condition.as_str()))
        });
        let attributes = [attr::graph("then_branch", one), attr::graph("else_branch", other)];
        Value { name: self.node("If", &[&condition], &attributes), dims }
    }

    fn branch(
        &mut self,
        which: &str,
        x: &str,
        outer: &str,
        [from, to]: [i64; 2],
        dims: &[i64],
        inner: Option<&str>,
    ) -> GraphProto {
        let result = self.name(which);
        let mut initializer = vec![self.own("w", &[from, to]), self.own("slope", &[to])];
        let mut nodes = vec![node("MatMul", "first", &[x, "w"], &["hidden"], &[])];
        nodes.push(node("Add", "second", &["hidden", "slope"], &["biased"], &[]));
        let mut last = "biased";
        match self.chance.below(4) {
            0 => {
                let held = self.own("held", &[to, to]);
                nodes.push(node("Constant", "", &[], &["held"], &[attr::tensor("value", held)]));
                nodes.push(node("MatMul", "third", &[last, "held"], &["next"], &[]));
                last = "next";
            }
            1 => {
                initializer.extend([self.own("upper", &[to / 2, to]), self.own("lower", &[to / 2, to])]);
                nodes.push(node("Concat", "", &["upper", "lower"], &["whole"], &[attr::int("axis", 0)]));
                nodes.push(node("MatMul", "third", &[last, "whole"], &["next"], &[]));
                last = "next";
            }
            2 => {
                nodes.push(node("MatMul", "third", &[last, outer], &["next"], &[]));
                last = "next";
            }
            _ => {}
        }
        match inner {
            None => nodes.push(node("Tanh", "last", &[last], &[&result], &[])),
            Some(condition) => {
                let [one, other] = ["a", "b"].map(|deep| {
                    let result = format!("{result}_{deep}");
                    let deeper = self.own("v", &[to, to]);
                    GraphProto {
                        name: Some(deep.into()),
                        node: vec![node("MatMul", "deep", &[last, "v"], &[&result], &[])],
                        initializer: vec![deeper],
                        output: vec![value(&result, Dtype::Float, dims)],
                        ..Default::default()
                    }
                });
                let attributes = [attr::graph("then_branch", one), attr::graph("else_branch", other)];
                nodes.push(node("If", "last", &[condition], &[&result], &attributes));
            }
        }
        GraphProto {
            name: Some(which.into()),
            node: nodes,
            initializer,
            output: vec![value(&result, Dtype::Float, dims)],
            ..Default::default()
        }
    }

    /// A Loop that multiplies its state by weights.
    pub fn repeated(&mut self, x: &Value) -> Value {
        let size = x.dims[1];
        let name = self.name("trips");
        let trips = self.graph.initializer(tensor_i64(name, &[], &[2]));
        let name = self.name("go");
        let go = self.graph.initializer(truth(&name));
        let outer = self.chance.one_in(3).then(|| self.weights(&[size, size], size));
        let own = self.own("step", &[size, size]);
        let weights = outer.clone().unwrap_or_else(|| "step".into());
        let body = GraphProto {
            name: Some("body".into()),
            node: vec![
                node("Identity", "", &["go_in"], &["go_out"], &[]),
                node("MatMul", "", &["state", &weights], &["product"], &[]),
                node("Tanh", "", &["product"], &["next"], &[]),
            ],
            input: vec![
                value("at", Dtype::Int64, &[]),
                value("go_in", Dtype::Bool, &[]),
                value("state", Dtype::Float, &x.dims),
            ],
            output: vec![value("go_out", Dtype::Bool, &[]), value("next", Dtype::Float, &x.dims)],
            initializer: if outer.is_some() { Vec::new() } else { vec![own] },
            ..Default::default()
        };
        let name = self.node("Loop", &[&trips, &go, &x.name], &[attr::graph("body", body)]);
        Value { name, dims: x.dims.clone() }
    }

    /// A Scan over the steps, spelled out of what recurrent operators do.
    pub fn scanned(&mut self, x: &Value) -> Value {
        let size = x.dims[2];
        let turned = self.transpose(&x.name, &[1, 0, 2]);
        let start = self.along("ReduceMean", &x.name, &[1], 18, &[attr::int("keepdims", 0)]);
        let dims = [x.dims[0], size];
        let own = self.own("step", &[size, size]);
        let body = GraphProto {
            name: Some("body".into()),
            node: vec![
                node("MatMul", "", &["state", "step"], &["product"], &[]),
                node("Add", "", &["product", "frame"], &["sum"], &[]),
                node("Tanh", "", &["sum"], &["next"], &[]),
                node("Identity", "", &["next"], &["shown"], &[]),
            ],
            input: vec![value("state", Dtype::Float, &dims), value("frame", Dtype::Float, &dims)],
            output: vec![value("next", Dtype::Float, &dims), value("shown", Dtype::Float, &dims)],
            initializer: vec![own],
            ..Default::default()
        };
        let attributes = [attr::graph("body", body), attr::int("num_scan_inputs", 1)];
        if self.chance.one_in(3) {
            let name = self.output_of("Scan", &[&start, &turned], &attributes, 0);
            return Value { name, dims: dims.to_vec() };
        }
        let shown = self.output_of("Scan", &[&start, &turned], &attributes, 1);
        Value { name: self.transpose(&shown, &[1, 0, 2]), dims: x.dims.clone() }
    }

    /// A function of the model's own, called once or twice, with weights in it or given to it.
    pub fn called(&mut self, x: &Value) -> Value {
        let size = x.dims[1];
        let call = |inputs: &[&str], name: &str, output: &str| NodeProto {
            domain: Some("own".into()),
            ..node(name, output, inputs, &[output], &[])
        };
        let own = self.name("Layer").replace(['/', ' ', ':'], "_");
        let held = self.chance.one_in(2);
        let mut inside = Vec::new();
        if held {
            let tensor = self.own("w", &[size, size]);
            inside.push(node("Constant", "", &[], &["w"], &[attr::tensor("value", tensor)]));
        }
        inside.push(node("MatMul", "product", &["a", "w"], &["product"], &[]));
        inside.push(node("Tanh", "act", &["product"], &["result"], &[]));
        let import = |domain: &str, version| OperatorSetIdProto {
            domain: Some(domain.into()),
            version: Some(version),
        };
        self.functions.push(FunctionProto {
            name: Some(own.clone()),
            domain: Some("own".into()),
            input: if held { vec!["a".into()] } else { vec!["a".into(), "w".into()] },
            output: vec!["result".into()],
            node: inside,
            opset_import: vec![import("", self.opset)],
            ..Default::default()
        });
        let mut last = x.name.clone();
        for _ in 0..1 + self.chance.below(2) {
            let output = self.name("called");
            match held {
                true => self.graph.push(call(&[&last], &own, &output)),
                false => {
                    let w = self.weights(&[size, size], size);
                    self.graph.push(call(&[&last, &w], &own, &output));
                }
            }
            last = output;
        }
        Value { name: last, dims: x.dims.clone() }
    }
}
