//! Layers of values of two and three axes, and embeddings.

use fourbit::onnx::{Dtype, attr, tensor_f32};

use super::graphs::{Grower, Value};

impl Grower {
    /// Any layer behind `x`.
    pub fn layer(&mut self, x: &Value) -> Value {
        match x.dims.len() {
            4 => self.image_layer(x),
            3 => self.row_layer(x),
            _ => self.vector_layer(x),
        }
    }

    /// A layer with weights behind `x`.
    pub fn heavy(&mut self, x: &Value) -> Value {
        match x.dims.len() {
            4 => self.conv(x),
            3 => self.product(x),
            _ => self.gemm(x),
        }
    }

    pub fn activation(&mut self, x: &Value) -> Value {
        let operator = self.chance.pick(&["Relu", "Relu", "Tanh", "Sigmoid", "LeakyRelu", "Elu", "Clip"]);
        let name = match operator {
            "Clip" if self.opset < 11 => {
                self.node("Clip", &[&x.name], &[attr::float("min", -1.5), attr::float("max", 2.0)])
            }
            "Clip" => {
                let (low, high) = (self.scalar(-1.5), self.scalar(2.0));
                self.node("Clip", &[&x.name, &low, &high], &[])
            }
            "LeakyRelu" => self.node(operator, &[&x.name], &[attr::float("alpha", 0.1)]),
            _ => self.node(operator, &[&x.name], &[]),
        };
        Value { name, dims: x.dims.clone() }
    }

    pub fn embedding(&mut self) -> Value {
        let (batch, steps) = (self.batch, 3 + self.chance.below(3));
        let ids = self.input(Dtype::Int64, &[batch, steps]);
        let (count, size) = (self.chance.pick(&[6, 20]), self.chance.pick(&[8, 16]));
        let name = match self.chance.below(3) {
            0 => {
                let table = self.weights(&[size, count], 1);
                let found = self.node("Gather", &[&table, &ids], &[attr::int("axis", 1)]);
                self.transpose(&found, &[1, 2, 0])
            }
            _ => {
                let table = self.weights(&[count, size], 1);
                self.table = Some((table.clone(), [count, size]));
                self.node("Gather", &[&table, &ids], &[])
            }
        };
        Value { name, dims: vec![batch, steps, size] }
    }

    /// `[N, D]` times weights.
    pub fn gemm(&mut self, x: &Value) -> Value {
        let (from, to) = (x.dims[1], self.chance.pick(&[5, 8, 16, 20]));
        let dims = vec![x.dims[0], to];
        let name = match self.chance.below(8) {
            0..3 => {
                let (turned_input, turned) = (self.chance.one_in(4), self.chance.one_in(2));
                let w = self.weights(&if turned { [to, from] } else { [from, to] }, from);
                let input = if turned_input { self.transpose(&x.name, &[1, 0]) } else { x.name.clone() };
                let mut attributes = vec![
                    attr::int("transA", i64::from(turned_input)),
                    attr::int("transB", i64::from(turned)),
                ];
                if self.chance.one_in(3) {
                    attributes.extend([attr::float("alpha", 0.75), attr::float("beta", 1.5)]);
                }
                match self.chance.below(4) {
                    0 if self.opset >= 11 => self.node("Gemm", &[&input, &w], &attributes),
                    1 => {
                        let bias = self.bias(&[1, to]);
                        self.node("Gemm", &[&input, &w, &bias], &attributes)
                    }
                    2 => {
                        let bias = self.bias(&[1]);
                        self.node("Gemm", &[&input, &w, &bias], &attributes)
                    }
                    _ => {
                        let bias = self.bias(&[to]);
                        self.node("Gemm", &[&input, &w, &bias], &attributes)
                    }
                }
            }
            3 => {
                // Weights on the left of what lies on its side.
                let w = self.weights(&[to, from], from);
                let turned = self.transpose(&x.name, &[1, 0]);
                let product = self.node("MatMul", &[&w, &turned], &[]);
                self.transpose(&product, &[1, 0])
            }
            4 if self.opset >= 12 => {
                let (equation, dims) =
                    self.chance.pick(&[("bi,ij->bj", [from, to]), ("bi,ji->bj", [to, from])]);
                let w = self.weights(&dims, from);
                self.node("Einsum", &[&x.name, &w], &[attr::string("equation", equation)])
            }
            5 => {
                // In another type.
                let dtype = self.chance.pick(&[Dtype::Double, Dtype::Float16]);
                let w = self.tensor(dtype, &[from, to], from);
                let w = self.constant(w);
                let cast = self.node("Cast", &[&x.name], &[attr::int("to", dtype as i64)]);
                let product = self.node("MatMul", &[&cast, &w], &[]);
                self.node("Cast", &[&product], &[attr::int("to", Dtype::Float as i64)])
            }
            _ => self.matmul(&x.name, from, to),
        };
        Value { name, dims }
    }

    /// A MatMul, perhaps with a bias.
    fn matmul(&mut self, x: &str, from: i64, to: i64) -> String {
        let w = self.weights(&[from, to], from);
        let product = self.node("MatMul", &[x, &w], &[]);
        if self.chance.one_in(2) {
            return product;
        }
        let bias = self.bias(&[to]);
        match self.chance.one_in(2) {
            true => self.node("Add", &[&product, &bias], &[]),
            false => self.node("Add", &[&bias, &product], &[]),
        }
    }

    fn vector_layer(&mut self, x: &Value) -> Value {
        let size = x.dims[1];
        match self.chance.below(14) {
            0..3 => self.activation(x),
            3..6 => self.gemm(x),
            6 if self.nested => self.branches(x),
            7 if self.nested => self.repeated(x),
            8 if self.nested => self.called(x),
            9 => {
                // One matrix both ways round.
                let w = self.weights(&[size, size], size);
                let y = self.node("MatMul", &[&x.name, &w], &[]);
                let y = self.activation(&Value { name: y, dims: x.dims.clone() });
                let name = match self.chance.below(3) {
                    0 => {
                        let turned = self.transpose(&w, &[1, 0]);
                        self.node("MatMul", &[&y.name, &turned], &[])
                    }
                    1 => {
                        let bias = self.bias(&[size]);
                        self.node("Gemm", &[&y.name, &w, &bias], &[attr::int("transB", 1)])
                    }
                    _ => self.node("MatMul", &[&y.name, &w], &[]),
                };
                Value { name, dims: x.dims.clone() }
            }
            10 => {
                // Weights that something reads that is no product.
                let w = self.weights(&[size, size], size);
                let y = self.node("MatMul", &[&x.name, &w], &[]);
                let mean = self.along("ReduceMean", &w, &[0], 18, &[]);
                Value { name: self.node("Add", &[&y, &mean], &[]), dims: x.dims.clone() }
            }
            11 => {
                let (one, other) = (self.gemm(x), self.gemm(x));
                let name = self.node("Concat", &[&one.name, &other.name], &[attr::int("axis", -1)]);
                Value { name, dims: vec![x.dims[0], one.dims[1] + other.dims[1]] }
            }
            12 => {
                let y = self.matmul(&x.name, size, size);
                Value { name: self.node("Add", &[&x.name, &y], &[]), dims: x.dims.clone() }
            }
            _ => {
                let name = self.node("Dropout", &[&x.name], &[]);
                Value { name, dims: x.dims.clone() }
            }
        }
    }

    /// `[N, T, D]` times weights.
    pub fn product(&mut self, x: &Value) -> Value {
        let (batch, steps, from) = (x.dims[0], x.dims[1], x.dims[2]);
        let to = self.chance.pick(&[6, 8, 12]);
        let mut dims = vec![batch, steps, to];
        let name = match self.chance.below(8) {
            0 => {
                let w = self.weights(&[to, steps], steps);
                dims = vec![batch, to, from];
                self.node("MatMul", &[&w, &x.name], &[])
            }
            1 => {
                let w = self.weights(&[if batch < 0 { 1 } else { batch }, from, to], from);
                self.node("MatMul", &[&x.name, &w], &[])
            }
            2 if self.opset >= 12 => {
                let w = self.weights(&[from, 2, to], from);
                dims[2] = 2 * to;
                let y = self.node("Einsum", &[&x.name, &w], &[attr::string("equation", "bsd,dhk->bshk")]);
                self.reshape(&y, &[0, 0, 2 * to])
            }
            3 if self.opset >= 12 => {
                let w = self.weights(&[to, from], from);
                self.node("Einsum", &[&w, &x.name], &[attr::string("equation", "jd,bsd->bsj")])
            }
            4 => {
                // A convolution along the steps.
                let w = self.weights(&[to, from, 3], 3 * from);
                let turned = self.transpose(&x.name, &[0, 2, 1]);
                let y = self.node("Conv", &[&turned, &w], &[attr::ints("pads", &[1, 1])]);
                self.transpose(&y, &[0, 2, 1])
            }
            5 if self.table.as_ref().is_some_and(|(_, dims)| dims[1] == from) => {
                // The table of embeddings, once more.
                let (table, [count, _]) = self.table.clone().expect("a table");
                dims[2] = count;
                let turned = self.transpose(&table, &[1, 0]);
                self.node("MatMul", &[&x.name, &turned], &[])
            }
            _ => self.matmul(&x.name, from, to),
        };
        Value { name, dims }
    }

    fn row_layer(&mut self, x: &Value) -> Value {
        let (batch, steps, size) = (x.dims[0], x.dims[1], x.dims[2]);
        match self.chance.below(12) {
            0..3 => self.product(x),
            3 => self.activation(x),
            4 | 5 => self.recurrent(x),
            6 => self.attention(x),
            7 if self.nested => self.scanned(x),
            8 => {
                let name = self.normalised(x);
                Value { name, dims: x.dims.clone() }
            }
            9 => {
                let more = [attr::int("keepdims", 0)];
                let name = self.along("ReduceMean", &x.name, &[1], 18, &more);
                Value { name, dims: vec![batch, size] }
            }
            10 => {
                let name = self.reshape(&x.name, &[0, -1]);
                Value { name, dims: vec![batch, steps * size] }
            }
            _ => {
                let y = self.matmul(&x.name, size, size);
                Value { name: self.node("Add", &[&y, &x.name], &[]), dims: x.dims.clone() }
            }
        }
    }

    fn normalised(&mut self, x: &Value) -> String {
        let size = x.dims[2];
        let name = self.name("gains");
        let gains = self.constant(tensor_f32(name, &[size], &vec![0.9; size as usize]));
        let shifts = self.bias(&[size]);
        if self.opset >= 17 {
            return self.node("LayerNormalization", &[&x.name, &gains, &shifts], &[]);
        }
        let mean = self.along("ReduceMean", &x.name, &[-1], 18, &[]);
        let centred = self.node("Sub", &[&x.name, &mean], &[]);
        let squares = self.node("Mul", &[&centred, &centred], &[]);
        let variance = self.along("ReduceMean", &squares, &[-1], 18, &[]);
        let least = self.scalar(1e-3);
        let variance = self.node("Add", &[&variance, &least], &[]);
        let deviation = self.node("Sqrt", &[&variance], &[]);
        let y = self.node("Div", &[&centred, &deviation], &[]);
        let y = self.node("Mul", &[&y, &gains], &[]);
        self.node("Add", &[&y, &shifts], &[])
    }

    fn attention(&mut self, x: &Value) -> Value {
        let (from, to) = (x.dims[2], 8);
        let [query, key, values] = [(); 3].map(|()| self.matmul(&x.name, from, to));
        let turned = self.transpose(&key, &[0, 2, 1]);
        let product = self.node("MatMul", &[&query, &turned], &[]);
        let scale = self.scalar(0.35);
        let scaled = self.node("Mul", &[&product, &scale], &[]);
        let weights = self.node("Softmax", &[&scaled], &[attr::int("axis", 2)]);
        let name = self.node("MatMul", &[&weights, &values], &[]);
        Value { name, dims: vec![x.dims[0], x.dims[1], to] }
    }

    fn recurrent(&mut self, x: &Value) -> Value {
        let (operator, gates) = self.chance.pick(&[("LSTM", 4), ("GRU", 3), ("RNN", 1)]);
        let (size, hidden) = (x.dims[2], self.chance.pick(&[4, 6, 8]));
        let direction = self.chance.pick(&["forward", "forward", "reverse", "bidirectional"]);
        let ways = if direction == "bidirectional" { 2 } else { 1 };
        let w = self.weights(&[ways, gates * hidden, size], size);
        let r = self.weights(&[ways, gates * hidden, hidden], hidden);
        let turned = self.transpose(&x.name, &[1, 0, 2]);
        let mut inputs = vec![turned, w, r];
        if self.chance.one_in(2) {
            inputs.push(self.bias(&[ways, 2 * gates * hidden]));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let mut attributes = vec![attr::int("hidden_size", hidden), attr::string("direction", direction)];
        if operator == "GRU" && self.chance.one_in(2) {
            attributes.push(attr::int("linear_before_reset", 1));
        }
        if self.chance.one_in(4) {
            // The last state.
            let state = self.output_of(operator, &inputs, &attributes, 1);
            let turned = self.transpose(&state, &[1, 0, 2]);
            return Value { name: self.reshape(&turned, &[0, -1]), dims: vec![x.dims[0], ways * hidden] };
        }
        let y = self.output_of(operator, &inputs, &attributes, 0);
        let turned = self.transpose(&y, &[2, 0, 1, 3]);
        let name = self.reshape(&turned, &[0, 0, ways * hidden]);
        Value { name, dims: vec![x.dims[0], x.dims[1], ways * hidden] }
    }
}
