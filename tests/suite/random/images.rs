//! Layers of pictures.

use fourbit::onnx::proto::AttributeProto;
use fourbit::onnx::{attr, tensor_f32};

use super::graphs::{Grower, Value};

/// Largest number of channels that layers add up to.
const MOST: i64 = 24;

impl Grower {
    pub fn image_layer(&mut self, x: &Value) -> Value {
        let (channels, height, width) = (x.dims[1], x.dims[2], x.dims[3]);
        match self.chance.below(14) {
            0..4 => {
                let y = self.conv(x);
                if self.chance.one_in(2) { self.batch_norm(&y) } else { y }
            }
            4 => {
                let y = self.conv_transpose(x);
                if self.chance.one_in(3) { self.batch_norm(&y) } else { y }
            }
            5 => self.batch_norm(x),
            6 => self.activation(x),
            7 if height > 2 && width > 2 => self.pool(x),
            8 => {
                let y = self.same(x);
                Value { name: self.node("Add", &[&x.name, &y], &[]), dims: x.dims.clone() }
            }
            9 if channels <= MOST / 2 => {
                let (one, other) = (self.same(x), self.same(x));
                let name = self.node("Concat", &[&one, &other], &[attr::int("axis", 1)]);
                Value { name, dims: vec![x.dims[0], 2 * channels, height, width] }
            }
            10 => self.twice(x),
            11 => {
                let name = self.node("GlobalAveragePool", &[&x.name], &[]);
                let name = match self.chance.below(3) {
                    0 => self.node("Flatten", &[&name], &[]),
                    1 => self.reshape(&name, &[0, -1]),
                    _ => self.along("Squeeze", &name, &[2, 3], 13, &[]),
                };
                Value { name, dims: vec![x.dims[0], channels] }
            }
            12 => {
                let rows = self.reshape(&x.name, &[0, channels, -1]);
                let name = self.transpose(&rows, &[0, 2, 1]);
                Value { name, dims: vec![x.dims[0], height * width, channels] }
            }
            _ => {
                let name = self.node("Flatten", &[&x.name], &[attr::int("axis", 1)]);
                Value { name, dims: vec![x.dims[0], channels * height * width] }
            }
        }
    }

    /// A convolution that keeps the dimensions.
    fn same(&mut self, x: &Value) -> String {
        let channels = x.dims[1];
        let size = self.chance.pick(&[1, 3]);
        let w = self.weights(&[channels, channels, size, size], channels * size * size);
        let pads = [attr::ints("pads", &[size / 2; 4])];
        match self.chance.one_in(2) {
            true => self.node("Conv", &[&x.name, &w], &pads),
            false => {
                let bias = self.bias(&[channels]);
                self.node("Conv", &[&x.name, &w, &bias], &pads)
            }
        }
    }

    /// Two layers with the same weights, perhaps along other axes.
    fn twice(&mut self, x: &Value) -> Value {
        let channels = x.dims[1];
        let w = self.weights(&[channels, channels, 3, 3], 9 * channels);
        let pads = [attr::ints("pads", &[1; 4])];
        let y = self.node("Conv", &[&x.name, &w], &pads);
        let y = self.activation(&Value { name: y, dims: x.dims.clone() });
        let operator = self.chance.pick(&["Conv", "ConvTranspose"]);
        Value { name: self.node(operator, &[&y.name, &w], &pads), dims: x.dims.clone() }
    }

    pub fn conv(&mut self, x: &Value) -> Value {
        let channels = x.dims[1];
        let groups = match self.chance.below(5) {
            0 if channels % 2 == 0 => 2,
            1 if channels <= 8 => channels,
            _ => 1,
        };
        let out = groups * self.chance.pick(if groups > 2 { &[1, 2] } else { &[2, 3, 4, 6] });
        let (mut kernel, mut strides, mut dilations, mut pads) = ([1; 2], [1; 2], [1; 2], [0; 4]);
        let mode = self.chance.pick(&["", "", "pads", "pads", "SAME_UPPER", "SAME_LOWER", "VALID"]);
        let mut dims = vec![x.dims[0], out, 0, 0];
        for axis in 0..2 {
            let length = x.dims[2 + axis];
            kernel[axis] = (1 + self.chance.below(3)).min(length);
            strides[axis] = 1 + self.chance.below(2);
            let dilated = (kernel[axis] - 1) * 2 + 1;
            if dilated <= length && !mode.starts_with("SAME") && self.chance.one_in(3) {
                dilations[axis] = 2;
            }
            let reach = (kernel[axis] - 1) * dilations[axis] + 1;
            if mode == "pads" {
                [pads[axis], pads[2 + axis]] = [(); 2].map(|()| self.chance.below(2).min(reach - 1));
            }
            dims[2 + axis] = match mode.starts_with("SAME") {
                true => (length + strides[axis] - 1) / strides[axis],
                false => (length + pads[axis] + pads[2 + axis] - reach) / strides[axis] + 1,
            };
        }
        let fan = channels / groups * kernel[0] * kernel[1];
        let w = self.weights(&[out, channels / groups, kernel[0], kernel[1]], fan);
        let mut attributes = vec![
            attr::ints("strides", &strides),
            attr::ints("dilations", &dilations),
            attr::int("group", groups),
        ];
        self.geometry(&mut attributes, &kernel, mode, &pads);
        let name = self.with_bias("Conv", &x.name, &w, out, &attributes);
        Value { name, dims }
    }

    fn conv_transpose(&mut self, x: &Value) -> Value {
        let channels = x.dims[1];
        let groups = if channels % 2 == 0 && self.chance.one_in(2) { 2 } else { 1 };
        let out = groups * self.chance.pick(&[2, 3, 4]);
        let (mut kernel, mut strides, mut pads, mut more) = ([1; 2], [1; 2], [0; 4], [0; 2]);
        let mode = self.chance.pick(&["", "pads", "SAME_UPPER", "VALID"]);
        let mut dims = vec![x.dims[0], out, 0, 0];
        for axis in 0..2 {
            let length = x.dims[2 + axis];
            strides[axis] = if length > 5 { 1 } else { 1 + self.chance.below(2) };
            kernel[axis] = strides[axis] + self.chance.below(2);
            if mode == "pads" {
                [pads[axis], pads[2 + axis]] = [(); 2].map(|()| self.chance.below(2).min(kernel[axis] - 1));
                more[axis] = self.chance.below(strides[axis]);
            }
            dims[2 + axis] = match mode.starts_with("SAME") {
                true => length * strides[axis],
                false => {
                    let (begin, end) = (pads[axis], pads[2 + axis]);
                    (length - 1) * strides[axis] + kernel[axis] - begin - end + more[axis]
                }
            };
        }
        if dims[2] < 1 || dims[3] < 1 {
            return self.activation(x);
        }
        let fan = channels / groups * kernel[0] * kernel[1] / (strides[0] * strides[1]);
        let w = self.weights(&[channels, out / groups, kernel[0], kernel[1]], fan);
        let mut attributes = vec![attr::ints("strides", &strides), attr::int("group", groups)];
        if more != [0; 2] {
            attributes.push(attr::ints("output_padding", &more));
        }
        self.geometry(&mut attributes, &kernel, mode, &pads);
        let name = self.with_bias("ConvTranspose", &x.name, &w, out, &attributes);
        Value { name, dims }
    }

    fn geometry(&mut self, attributes: &mut Vec<AttributeProto>, kernel: &[i64], mode: &str, pads: &[i64]) {
        match mode {
            "" => {}
            "pads" => attributes.push(attr::ints("pads", pads)),
            _ => attributes.push(attr::string("auto_pad", mode)),
        }
        if self.chance.one_in(2) {
            attributes.push(attr::ints("kernel_shape", kernel));
        }
    }

    fn with_bias(
        &mut self,
        operator: &str,
        x: &str,
        w: &str,
        out: i64,
        attributes: &[AttributeProto],
    ) -> String {
        if self.chance.one_in(2) {
            return self.node(operator, &[x, w], attributes);
        }
        let bias = self.bias(&[out]);
        self.node(operator, &[x, w, &bias], attributes)
    }

    fn batch_norm(&mut self, x: &Value) -> Value {
        let channels = x.dims[1];
        let parameters = [(0.8, 0.4), (-0.5, 1.0), (-0.5, 1.0), (0.5, 1.0)].map(|(least, more)| {
            let values: Vec<f32> = (0..channels).map(|_| least + more * self.chance.uniform()).collect();
            let name = self.name("statistic");
            self.constant(tensor_f32(name, &[channels], &values))
        });
        let [scale, shift, mean, variance] = &parameters;
        let name = self.node(
            "BatchNormalization",
            &[&x.name, scale, shift, mean, variance],
            &[attr::float("epsilon", 1e-3)],
        );
        Value { name, dims: x.dims.clone() }
    }

    fn pool(&mut self, x: &Value) -> Value {
        let operator = self.chance.pick(&["MaxPool", "AveragePool"]);
        let stride = 1 + self.chance.below(2);
        let pad = self.chance.below(2);
        let mut attributes = vec![
            attr::ints("kernel_shape", &[2, 2]),
            attr::ints("strides", &[stride; 2]),
            attr::ints("pads", &[pad, pad, 0, 0]),
        ];
        if operator == "AveragePool" && self.chance.one_in(2) {
            attributes.push(attr::int("count_include_pad", 1));
        }
        let size = |length: i64| (length + pad - 2) / stride + 1;
        let dims = vec![x.dims[0], x.dims[1], size(x.dims[2]), size(x.dims[3])];
        Value { name: self.node(operator, &[&x.name], &attributes), dims }
    }
}
