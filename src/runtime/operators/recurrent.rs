//! RNN, GRU and LSTM with whatever activations, clip, coupled gates, direction, layout and sequence lengths they have.
//! Source of the formulas: the ONNX operators RNN-22, GRU-22 and LSTM-22; of what clip bounds, and of the defaults of activations:
//! onnxruntime 1.32.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayView1, ArrayView2, Axis, s};
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::activation::Activation;
use super::kernel::{Kernel, Known, OutputFact};
use super::numbers::{integers, made, singles};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Rnn,
    Gru,
    Lstm,
}

impl Kind {
    /// Gates, and activations a direction.
    fn counts(self) -> (usize, usize) {
        match self {
            Self::Rnn => (1, 1),
            Self::Gru => (3, 2),
            Self::Lstm => (4, 3),
        }
    }

    fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Rnn => &["Tanh"],
            Self::Gru => &["Sigmoid", "Tanh"],
            Self::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        }
    }
}

#[derive(Clone, Debug)]
struct Direction {
    is_reverse: bool,
    activations: Vec<Activation>,
}

#[derive(Clone, Debug)]
struct Recurrent {
    kind: Kind,
    directions: Vec<Direction>,
    clip: Option<f32>,
    couples_gates: bool,
    resets_after: bool,
    batch_first: bool,
}

pub(super) fn choose(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let kind = match node.op_type.as_str() {
        "RNN" => Kind::Rnn,
        "GRU" => Kind::Gru,
        _ => Kind::Lstm,
    };
    let direction = node.get_attr_opt::<&str>("direction")?.unwrap_or("forward");
    let reversed: &[bool] = match direction {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => bail!("direction {other} is not known"),
    };
    let names: Vec<String> = node.get_attr_opt_vec("activations")?.unwrap_or_default();
    let names = match names.is_empty() {
        true => reversed.iter().flat_map(|_| kind.usual()).map(|name| (*name).to_owned()).collect(),
        false => names,
    };
    let (_, each) = kind.counts();
    if names.len() != each * reversed.len() {
        bail!("{} activations for {} directions", names.len(), reversed.len());
    }
    let alpha: Vec<f32> = node.get_attr_opt_vec("activation_alpha")?.unwrap_or_default();
    let beta: Vec<f32> = node.get_attr_opt_vec("activation_beta")?.unwrap_or_default();
    let activations = Activation::list(&names, &alpha, &beta)?;
    let clip = node.get_attr_opt::<f32>("clip")?.filter(|&clip| clip > 0.0);
    let couples_gates = kind == Kind::Lstm && node.get_attr_opt::<i64>("input_forget")?.unwrap_or(0) != 0;
    let batch_first = node.get_attr_opt::<i64>("layout")?.unwrap_or(0) != 0;
    let directions = reversed
        .iter()
        .zip(activations.chunks(each))
        .map(|(&is_reverse, activations)| Direction { is_reverse, activations: activations.to_vec() })
        .collect();
    let resets_after = node.get_attr_opt::<i64>("linear_before_reset")?.unwrap_or(0) != 0;
    Ok(Some(Arc::new(Recurrent { kind, directions, clip, couples_gates, resets_after, batch_first })))
}

/// One direction's weights.
struct Weights<'w> {
    w: ArrayView2<'w, f32>,
    r: ArrayView2<'w, f32>,
    /// Of the input's products and of the state's.
    biases: [Option<ArrayView1<'w, f32>>; 2],
    peepholes: Option<ArrayView1<'w, f32>>,
}

impl Recurrent {
    fn bound(&self, value: f32) -> f32 {
        self.clip.map_or(value, |clip| value.clamp(-clip, clip))
    }

    /// One step: `x` holds the input's products with their biases. Changes the state `h`, and for an LSTM `c`.
    fn step(
        &self,
        direction: &Direction,
        weights: &Weights<'_>,
        x: ArrayView1<'_, f32>,
        h: &mut Vec<f32>,
        c: &mut [f32],
    ) {
        let size = h.len();
        let gate = |at: usize| -> Range<usize> { at * size..(at + 1) * size };
        let of_state = |rows: Range<usize>, state: &[f32]| -> Vec<f32> {
            let products = weights.r.slice(s![rows.clone(), ..]).dot(&ArrayView1::from(state));
            let bias = weights.biases[1].as_ref().map(|bias| bias.slice(s![rows]));
            products
                .iter()
                .enumerate()
                .map(|(at, &value)| value + bias.map_or(0.0, |bias| bias[at]))
                .collect()
        };
        let peep =
            |at: usize, unit: usize| weights.peepholes.map_or(0.0, |peepholes| peepholes[at * size + unit]);
        let activations = &direction.activations;
        match self.kind {
            Kind::Rnn => {
                let state = of_state(gate(0), h);
                *h = (0..size).map(|at| activations[0].of(self.bound(x[at] + state[at]))).collect();
            }
            Kind::Gru => {
                let state = of_state(0..2 * size, h);
                let open: Vec<f32> =
                    (0..2 * size).map(|at| activations[0].of(self.bound(x[at] + state[at]))).collect();
                let (update, reset) = open.split_at(size);
                let candidate = if self.resets_after {
                    let state = of_state(gate(2), h);
                    (0..size).map(|at| reset[at] * state[at]).collect::<Vec<f32>>()
                } else {
                    let kept: Vec<f32> = (0..size).map(|at| reset[at] * h[at]).collect();
                    of_state(gate(2), &kept)
                };
                for at in 0..size {
                    let new = activations[1].of(self.bound(x[2 * size + at] + candidate[at]));
                    h[at] = (1.0 - update[at]) * new + update[at] * h[at];
                }
            }
            Kind::Lstm => {
                let state = of_state(0..4 * size, h);
                let before = |gate: usize, at: usize| x[gate * size + at] + state[gate * size + at];
                for at in 0..size {
                    let input = activations[0].of(self.bound(before(0, at) + peep(0, at) * c[at]));
                    let forget = match self.couples_gates {
                        true => 1.0 - input,
                        false => activations[0].of(self.bound(before(2, at) + peep(2, at) * c[at])),
                    };
                    c[at] = forget * c[at] + input * activations[1].of(self.bound(before(3, at)));
                    let output = activations[0].of(self.bound(before(1, at) + peep(1, at) * c[at]));
                    h[at] = output * activations[2].of(c[at]);
                }
            }
        }
    }
}

/// A tensor of three axes; with the batch first, its first two are exchanged.
fn cube(tensor: &Tensor, batch_first: bool) -> TractResult<Array3<f32>> {
    let [a, b, c] = tensor.shape() else { bail!("an input of {:?} should have three axes", tensor.shape()) };
    let cube = Array3::from_shape_vec((*a, *b, *c), singles(tensor)?)?;
    Ok(if batch_first { cube.permuted_axes([1, 0, 2]) } else { cube })
}

fn rows(tensor: &Tensor) -> TractResult<Array2<f32>> {
    let [a, b] = tensor.shape() else { bail!("an input of {:?} should have two axes", tensor.shape()) };
    Ok(Array2::from_shape_vec((*a, *b), singles(tensor)?)?)
}

impl Kernel for Recurrent {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Rnn => "RNN",
            Kind::Gru => "GRU",
            Kind::Lstm => "LSTM",
        }
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(x), Some(w), Some(r)] = &inputs[..3.min(inputs.len())] else {
            bail!("X, W and R are needed")
        };
        let ([a, b, width], [_, gates, inner], [dirs, _, hidden]) = (&x.dims[..], &w.dims[..], &r.dims[..])
        else {
            bail!("X, W and R should have three axes")
        };
        let (count, _) = self.kind.counts();
        if width != inner || *gates != count * hidden || *dirs != self.directions.len() {
            bail!("X {:?}, W {:?} and R {:?} do not fit together", x.dims, w.dims, r.dims);
        }
        let (length, batch) = if self.batch_first { (*b, *a) } else { (*a, *b) };
        let (sequence, last) = match self.batch_first {
            true => (vec![batch, length, *dirs, *hidden], vec![batch, *dirs, *hidden]),
            false => (vec![length, *dirs, batch, *hidden], vec![*dirs, batch, *hidden]),
        };
        Ok(vec![(x.dtype, sequence), (x.dtype, last.clone()), (x.dtype, last)])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let input = |slot: usize| inputs.get(slot).copied().flatten();
        let needed = |slot: usize| input(slot).with_context(|| format!("input {slot} is missing"));
        let dtype = needed(0)?.datum_type();
        let x = cube(needed(0)?, self.batch_first)?;
        let (w, r) = (cube(needed(1)?, false)?, cube(needed(2)?, false)?);
        let biases = input(3).map(rows).transpose()?;
        let lengths = input(4).map(integers).transpose()?;
        let first = [5, 6].map(|slot| input(slot).map(|tensor| cube(tensor, self.batch_first)).transpose());
        let [first_h, first_c] = first;
        let (first_h, first_c) = (first_h?, first_c?);
        let peepholes = input(7).filter(|_| self.kind == Kind::Lstm).map(rows).transpose()?;
        let (length, batch, width) = x.dim();
        let (dirs, _, hidden) = r.dim();
        let (gates, _) = self.kind.counts();
        let mut sequence = ndarray::Array4::<f32>::zeros((length, dirs, batch, hidden));
        let (mut last_h, mut last_c) =
            (Array3::<f32>::zeros((dirs, batch, hidden)), Array3::<f32>::zeros((dirs, batch, hidden)));
        let flat = x.as_standard_layout();
        let flat = flat.view().into_shape_with_order((length * batch, width))?;
        for (at, direction) in self.directions.iter().enumerate() {
            let bias = |half: usize| {
                let row = biases.as_ref().map(|biases| biases.index_axis(Axis(0), at).to_owned());
                row.map(|row| row.slice_move(s![half * gates * hidden..(half + 1) * gates * hidden]))
            };
            let (of_x, of_h) = (bias(0), bias(1));
            let weights = Weights {
                w: w.index_axis(Axis(0), at),
                r: r.index_axis(Axis(0), at),
                biases: [of_x.as_ref().map(|row| row.view()), of_h.as_ref().map(|row| row.view())],
                peepholes: peepholes.as_ref().map(|rows| rows.row(at)),
            };
            let mut products = flat.dot(&weights.w.t());
            if let Some(bias) = weights.biases[0] {
                products += &bias;
            }
            for sample in 0..batch {
                let own = lengths
                    .as_ref()
                    .and_then(|lengths| lengths.get(sample))
                    .map_or(length, |&own| own.max(0) as usize);
                let own = own.min(length);
                let start = |state: &Option<Array3<f32>>| match state {
                    Some(state) => state.slice(s![at, sample, ..]).to_vec(),
                    None => vec![0.0; hidden],
                };
                let (mut h, mut c) = (start(&first_h), start(&first_c));
                for step in 0..own {
                    let place = if direction.is_reverse { own - 1 - step } else { step };
                    self.step(direction, &weights, products.row(place * batch + sample), &mut h, &mut c);
                    sequence.slice_mut(s![place, at, sample, ..]).assign(&ArrayView1::from(&h));
                }
                last_h.slice_mut(s![at, sample, ..]).assign(&ArrayView1::from(&h));
                last_c.slice_mut(s![at, sample, ..]).assign(&ArrayView1::from(&c));
            }
        }
        if self.batch_first {
            sequence = sequence.permuted_axes([2, 0, 1, 3]);
            last_h = last_h.permuted_axes([1, 0, 2]);
            last_c = last_c.permuted_axes([1, 0, 2]);
        }
        let out = |dims: &[usize], values: Vec<f32>| made(dtype, dims, &values);
        Ok(vec![
            out(sequence.shape(), sequence.iter().copied().collect())?,
            out(last_h.shape(), last_h.iter().copied().collect())?,
            out(last_c.shape(), last_c.iter().copied().collect())?,
        ])
    }
}
