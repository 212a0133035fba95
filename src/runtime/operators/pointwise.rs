//! Functions of single elements.

use std::fmt;
use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::activation::softplus;
use super::kernel::{Kernel, Known, OutputFact};
use super::numbers::{floats, integers, made};
use super::places::{broadcast, spread};

/// A function of each element, with its parameter.
#[derive(Clone, Copy)]
struct Unary {
    name: &'static str,
    function: fn(f64, f64) -> f64,
    parameter: f64,
}

impl fmt::Debug for Unary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}({})", self.name, self.parameter)
    }
}

/// Celu-12: max(0, x) + min(0, alpha (e^(x / alpha) - 1)).
pub(super) fn celu(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let parameter = f64::from(node.get_attr_opt::<f32>("alpha")?.unwrap_or(1.0));
    let function = |x: f64, alpha: f64| x.max(0.0) + (alpha * (x / alpha).exp_m1()).min(0.0);
    Ok(Some(Arc::new(Unary { name: "Celu", function, parameter })))
}

/// Softplus-22 without overflow.
pub(super) fn soft_plus(_: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    Ok(Some(Arc::new(Unary { name: "Softplus", function: |x, _| softplus(x), parameter: 0.0 })))
}

/// Swish-24: x times the sigmoid of alpha x.
pub(super) fn swish(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let parameter = f64::from(node.get_attr_opt::<f32>("alpha")?.unwrap_or(1.0));
    let function = |x: f64, alpha: f64| x / (1.0 + (-alpha * x).exp());
    Ok(Some(Arc::new(Unary { name: "Swish", function, parameter })))
}

impl Kernel for Unary {
    fn name(&self) -> &'static str {
        self.name
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(x)] = inputs else { bail!("{} takes one input", self.name) };
        Ok(vec![(x.dtype, x.dims.clone())])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(x)] = inputs else { bail!("{} takes one input", self.name) };
        let values: Vec<f64> = floats(x)?.into_iter().map(|x| (self.function)(x, self.parameter)).collect();
        Ok(vec![made(x.datum_type(), x.shape(), &values)?])
    }
}

/// A function of two integers or two other numbers, broadcast.
struct Binary {
    name: &'static str,
    /// Of integers, in a type of so many bits.
    integers: fn(i64, i64, u32) -> TractResult<i64>,
    others: Option<fn(f64, f64) -> f64>,
}

impl fmt::Debug for Binary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// Mod-13: the remainder has the sign of the divisor, or with `fmod` that of the dividend.
pub(super) fn modulo(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    fn rest(x: i64, y: i64) -> TractResult<i64> {
        x.checked_rem(y).with_context(|| format!("{x} has no remainder by {y}"))
    }
    let kernel = match node.get_attr_opt::<i64>("fmod")?.unwrap_or(0) {
        0 => Binary {
            name: "Mod",
            integers: |x, y, _| {
                rest(x, y).map(|rest| if rest == 0 || (rest < 0) == (y < 0) { rest } else { rest + y })
            },
            others: Some(|x, y| {
                let rest = x % y;
                if rest == 0.0 || (rest < 0.0) == (y < 0.0) { rest } else { rest + y }
            }),
        },
        _ => Binary { name: "Mod", integers: |x, y, _| rest(x, y), others: Some(|x, y| x % y) },
    };
    Ok(Some(Arc::new(kernel)))
}

/// BitShift-26: by as many bits as there are, or by fewer than none, nothing but the sign is left.
pub(super) fn bit_shift(node: &NodeProto, _: i64) -> TractResult<Option<Arc<dyn Kernel>>> {
    let kernel = match node.get_attr_opt::<&str>("direction")? {
        Some("LEFT") => Binary {
            name: "BitShift",
            integers: |x, by, bits| Ok(if (0..i64::from(bits)).contains(&by) { x << by } else { 0 }),
            others: None,
        },
        Some("RIGHT") => Binary {
            name: "BitShift",
            integers: |x, by, bits| {
                Ok(if (0..i64::from(bits)).contains(&by) { x >> by } else { x.clamp(-1, 0) })
            },
            others: None,
        },
        other => bail!("direction {other:?} is not known"),
    };
    Ok(Some(Arc::new(kernel)))
}

impl Kernel for Binary {
    fn name(&self) -> &'static str {
        self.name
    }

    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>> {
        let [Some(a), Some(b)] = inputs else { bail!("{} takes two inputs", self.name) };
        Ok(vec![(a.dtype, broadcast(&a.dims, &b.dims)?)])
    }

    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let [Some(a), Some(b)] = inputs else { bail!("{} takes two inputs", self.name) };
        let dtype = a.datum_type();
        let dims = broadcast(a.shape(), b.shape())?;
        let places = spread(a.shape(), &dims).into_iter().zip(spread(b.shape(), &dims));
        if dtype.is_float() {
            let others = self.others.with_context(|| format!("{} takes no {dtype:?}", self.name))?;
            let (x, y) = (floats(a)?, floats(b)?);
            let values: Vec<f64> = places.map(|(i, j)| others(x[i], y[j])).collect();
            return Ok(vec![made(dtype, &dims, &values)?]);
        }
        // Of 64 unsigned bits the upper half would be taken for negative numbers.
        if dtype == DatumType::U64
            && [a, b]
                .into_iter()
                .any(|tensor| integers(tensor).is_ok_and(|all| all.iter().any(|&value| value < 0)))
        {
            bail!("{} of numbers above 2^63", self.name);
        }
        let (x, y) = (integers(a)?, integers(b)?);
        let bits = 8 * dtype.size_of() as u32;
        let values: Vec<i64> =
            places.map(|(i, j)| (self.integers)(x[i], y[j], bits)).collect::<TractResult<_>>()?;
        Ok(vec![made(dtype, &dims, &wrapped(values, dtype))?])
    }
}

/// `values` as they come out of a type of fewer bits.
fn wrapped(mut values: Vec<i64>, dtype: DatumType) -> Vec<i64> {
    let spare = 64 - 8 * dtype.size_of().min(8) as u32;
    if dtype == DatumType::TDim {
        return values;
    }
    for value in &mut values {
        *value = if dtype.is_signed() {
            *value << spare >> spare
        } else {
            ((*value as u64) << spare >> spare) as i64
        };
    }
    values
}
