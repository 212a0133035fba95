//! What the model says of its inputs, and how rows of data become samples of that form.

use std::fmt;

use super::misfit::{Fit, Misfit, shape_text};
use super::{Preprocess, element};
use crate::error::{Error, Result};
use crate::onnx::proto::{tensor_shape_proto::dimension, type_proto};
use crate::onnx::{Dtype, Model};
use crate::options::Preset;

/// One dimension of a model's input.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Dim {
    /// A number.
    Fixed(usize),
    /// A symbol, such as `N`.
    Named(String),
    /// The number 0: nothing, or as some exporters write what they do not know.
    Zero,
    /// Nothing at all.
    Unknown,
}

impl Dim {
    pub(super) fn takes(&self, size: usize) -> bool {
        !matches!(self, Self::Fixed(wanted) if *wanted != size)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(out, "{size}"),
            Self::Zero => out.write_str("0"),
            Self::Named(name) => out.write_str(name),
            Self::Unknown => out.write_str("?"),
        }
    }
}

/// One input that must be fed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Input {
    pub(super) name: String,
    /// ONNX's code of the element type; 0 where the model does not say.
    pub(super) dtype: i32,
    /// `None` where not even the rank is known.
    pub(super) dims: Option<Vec<Dim>>,
    /// The axis along which labels are counted, where it is not the first.
    pub(super) batch_axis: Option<usize>,
}

/// What a model says of an input that must be fed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Its element type as NumPy calls it; as ONNX does where NumPy has none.
    pub element: String,
    /// Its dimensions; `None` where not even their number is known.
    pub dims: Option<Vec<Size>>,
    /// The axis of the batch, where that is known not to be the first.
    pub batch_axis: Option<usize>,
}

/// A dimension of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// A number.
    Fixed(usize),
    /// A symbol, such as `N`: any number.
    Symbol(String),
    /// Any number.
    Open,
}

impl Declared {
    /// The inputs of `model` that must be fed, in their order.
    ///
    /// # Errors
    /// [`Error::Invalid`] where an input is no tensor.
    pub fn all(model: &Model) -> Result<Vec<Self>> {
        let size = |dim: &Dim| match dim {
            Dim::Fixed(size) => Size::Fixed(*size),
            Dim::Named(name) => Size::Symbol(name.clone()),
            Dim::Zero | Dim::Unknown => Size::Open,
        };
        let declared = |input: Input| Self {
            element: element::name(input.dtype),
            dims: input.dims.map(|dims| dims.iter().map(size).collect()),
            batch_axis: input.batch_axis,
            name: input.name,
        };
        Ok(Input::all(model)?.into_iter().map(declared).collect())
    }
}

/// How an array of rows is cut into samples.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cut {
    /// Samples in all.
    pub(super) count: usize,
    /// Rows of the array's first axis that one sample takes.
    pub(super) rows: usize,
    /// Dimensions of one sample.
    pub(super) dims: Vec<i64>,
    /// Labels that one sample takes.
    pub(super) labels: usize,
    /// Labels that belong to the whole array, those of dropped rows among them.
    pub(super) all_labels: usize,
}

impl Input {
    /// The model's inputs in their order, those with an initializer left out.
    pub(super) fn all(model: &Model) -> Result<Vec<Self>> {
        let inputs: Vec<Self> = model
            .inputs()
            .map(|value| {
                let tensor = match value.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
                    Some(type_proto::Value::TensorType(tensor)) => tensor,
                    _ => {
                        let problem = "it is no tensor, and only tensors can be fed";
                        return Err(Error::invalid(format!("input {}", value.name()), problem));
                    }
                };
                let dim = |value: &Option<dimension::Value>| match value {
                    Some(dimension::Value::DimValue(size)) if *size > 0 => {
                        usize::try_from(*size).map_or(Dim::Unknown, Dim::Fixed)
                    }
                    Some(dimension::Value::DimValue(0)) => Dim::Zero,
                    Some(dimension::Value::DimParam(name)) if !name.is_empty() => Dim::Named(name.clone()),
                    _ => Dim::Unknown,
                };
                let dims: Option<Vec<Dim>> = tensor
                    .shape
                    .as_ref()
                    .map(|shape| shape.dim.iter().map(|size| dim(&size.value)).collect());
                Ok(Self {
                    batch_axis: batch_axis(model, dims.as_deref().unwrap_or(&[])),
                    name: value.name().to_owned(),
                    // NumPy has no BFLOAT16, and FLOAT holds all of its values.
                    dtype: match tensor.elem_type() {
                        code if code == Dtype::Bfloat16 as i32 => Dtype::Float as i32,
                        code => code,
                    },
                    dims,
                })
            })
            .collect::<Result<_>>()?;
        match inputs.is_empty() {
            true => Err(Error::invalid("graph", "the model has no inputs to feed")),
            false => Ok(inputs),
        }
    }

    /// The dimensions with symbols by their names: `[N, 3, 32, 32]`.
    pub(super) fn shape(&self) -> String {
        self.dims.as_deref().map_or_else(|| "any shape".into(), shape_text)
    }

    /// Whether a tensor of this shape can be fed.
    pub(super) fn takes(&self, shape: &[usize]) -> bool {
        self.dims.as_ref().is_none_or(|dims| {
            dims.len() == shape.len() && dims.iter().zip(shape).all(|(dim, &size)| dim.takes(size))
        })
    }

    /// The rows that one sample takes from an array of the input's own rank.
    fn batch(&self) -> usize {
        match self.dims.as_deref() {
            Some([Dim::Fixed(batch), ..]) => *batch,
            _ => 1,
        }
    }

    /// How an array of `shape` is cut: an array with one axis more than the input is fed row by
    /// row; one of the same rank in runs of as many rows as the first dimension says, one where
    /// that is open. What is left over is dropped.
    pub(super) fn cut(&self, shape: &[usize]) -> Fit<Cut> {
        let wrong = || {
            let stack = self.dims.as_ref().map(|dims| {
                let stack: Vec<String> =
                    std::iter::once("samples".into()).chain(dims.iter().map(Dim::to_string)).collect();
                format!(", or samples of it stacked: {}", shape_text(&stack))
            });
            let expected = format!("the shape of input {}, {}", self.name, self.shape());
            Misfit::new(expected + &stack.unwrap_or_default(), shape_text(shape))
        };
        let Some((&total, row)) = shape.split_first() else { return Err(wrong()) };
        let stacked = self.dims.as_ref().is_none_or(|dims| dims.len() == row.len());
        let (rows, sample) = match stacked {
            true => (1, row.to_vec()),
            false => (self.batch(), [&[self.batch()], row].concat()),
        };
        if !self.takes(&sample) {
            return Err(wrong());
        }
        let axis = self.batch_axis.unwrap_or(0);
        let open = !matches!(self.dims.as_deref(), Some([Dim::Fixed(_), ..]));
        if !stacked && axis > 0 && open {
            let expected = format!(
                "samples of input {} stacked along a new first axis, since its batch is axis {axis}",
                self.name
            );
            return Err(Misfit::new(expected, shape_text(shape)));
        }
        let labels = sample.get(axis).copied().unwrap_or(1);
        let count = total / rows.max(1);
        if count == 0 {
            return Err(Misfit::new(
                format!("at least {rows} rows, one batch of input {} {}", self.name, self.shape()),
                shape_text(shape),
            ));
        }
        let dims = sample.iter().map(|&size| i64::try_from(size)).collect::<Result<_, _>>();
        let all_labels = if stacked || axis > 0 { count.checked_mul(labels) } else { Some(total) };
        match (dims, all_labels) {
            (Ok(dims), Some(all_labels)) => Ok(Cut { count, rows, dims, labels, all_labels }),
            _ => Err(wrong()),
        }
    }

    /// As [`Input::cut`] for `count` pictures; an input of unknown rank gets them one by one with
    /// a batch axis.
    pub(super) fn cut_pictures(&self, count: usize, picture: [usize; 3]) -> Fit<Cut> {
        let [a, b, c] = picture;
        match self.dims {
            Some(_) => self.cut(&[count, a, b, c]),
            None => self.cut(&[count, 1, a, b, c]),
        }
    }

    /// Pictures that one sample takes.
    #[cfg(feature = "pictures")]
    pub(super) fn pictures(&self) -> usize {
        match self.dims.as_deref() {
            Some(dims) if dims.len() == 4 => self.batch(),
            _ => 1,
        }
    }

    /// Refuses data of another element type than the input's.
    pub(super) fn check_type(&self, found: Dtype) -> Fit<()> {
        if self.dtype == 0 || self.dtype == found as i32 {
            return Ok(());
        }
        let wanted = element::name(self.dtype);
        let hint = match found {
            Dtype::Uint8 => {
                format!("pixels become the input with `.preprocess` {}, or a file", Preset::names())
            }
            _ => format!("convert it with .astype(\"{wanted}\")"),
        };
        let expected = format!("{wanted} for input {}", self.name);
        Err(Misfit::new(expected, format!("{}; {hint}", element::name(found as i32))))
    }
}

/// Sets the axis that a preprocess file says, for all inputs that have it.
pub(super) fn set_batch_axis(inputs: &mut [Input], preprocess: &Preprocess) -> Result<()> {
    let Some(axis) = preprocess.batch_axis() else { return Ok(()) };
    let rank = |input: &Input| input.dims.as_ref().map_or(usize::MAX, Vec::len);
    if inputs.iter().all(|input| rank(input) <= axis) {
        let expected = "an axis that an input has, counted from 0";
        return Err(Error::samples(preprocess.path(), "batch_axis", expected, axis.to_string()));
    }
    for input in inputs.iter_mut().filter(|input| rank(input) > axis) {
        input.batch_axis = Some(axis);
    }
    Ok(())
}

/// The axis of an input of these dimensions that is the first of the first output, where that is another than the first: known by
/// its name, or by its size where only one has that.
fn batch_axis(model: &Model, dims: &[Dim]) -> Option<usize> {
    let (_, output) = crate::onnx::value_shape(model.graph().output.first()?)?;
    let name = match model.graph().output.first()?.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => match &tensor.shape.as_ref()?.dim.first()?.value {
            Some(dimension::Value::DimParam(name)) if !name.is_empty() => Some(name.as_str()),
            _ => None,
        },
        _ => None,
    };
    // A vector of scores has no batch.
    let size = output
        .first()
        .copied()
        .flatten()
        .filter(|_| output.len() > 1)
        .and_then(|size| usize::try_from(size).ok());
    let is = |dim: &Dim| match dim {
        Dim::Named(own) => name == Some(own),
        Dim::Fixed(own) => size == Some(*own),
        Dim::Zero | Dim::Unknown => false,
    };
    let mut axes = dims.iter().enumerate().filter(|(_, dim)| is(dim)).map(|(axis, _)| axis);
    match (axes.next(), axes.next()) {
        (Some(axis @ 1..), None) => Some(axis),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(dims: Option<&[i64]>) -> Input {
        let dim = |&size: &i64| match size {
            -1 => Dim::Named("N".into()),
            0 => Dim::Unknown,
            size => Dim::Fixed(size as usize),
        };
        let dims = dims.map(|dims| dims.iter().map(dim).collect());
        Input { name: "x".into(), dtype: Dtype::Float as i32, dims, batch_axis: None }
    }

    fn cut(dims: Option<&[i64]>, shape: &[usize]) -> Option<(usize, usize, Vec<i64>, usize, usize)> {
        input(dims).cut(shape).ok().map(|cut| (cut.count, cut.rows, cut.dims, cut.labels, cut.all_labels))
    }

    #[test]
    fn an_axis_more_is_a_stack_of_samples() {
        assert_eq!(cut(Some(&[-1, 3]), &[7, 1, 3]), Some((7, 1, vec![1, 3], 1, 7)));
        assert_eq!(cut(Some(&[-1, 3]), &[7, 4, 3]), Some((7, 1, vec![4, 3], 4, 28)));
        assert_eq!(cut(Some(&[]), &[7]), Some((7, 1, vec![], 1, 7)));
        assert_eq!(cut(None, &[7, 5, 2]), Some((7, 1, vec![5, 2], 5, 35)));
    }

    #[test]
    fn the_same_rank_is_cut_into_batches() {
        assert_eq!(cut(Some(&[-1, 3]), &[7, 3]), Some((7, 1, vec![1, 3], 1, 7)));
        assert_eq!(cut(Some(&[0, 3]), &[7, 3]), Some((7, 1, vec![1, 3], 1, 7)));
        assert_eq!(cut(Some(&[3, 3]), &[7, 3]), Some((2, 3, vec![3, 3], 3, 7)));
        assert_eq!(cut(Some(&[8, 3]), &[7, 3]), None);
    }

    #[test]
    fn a_batch_that_is_not_first_counts_the_labels() {
        let second = Input { batch_axis: Some(1), ..input(Some(&[-1, 2, 3])) };
        let cut = second.cut(&[7, 5, 2, 3]).unwrap();
        assert_eq!((cut.count, cut.labels, cut.all_labels), (7, 2, 14));
        assert!(format!("{:?}", second.cut(&[7, 2, 3]).unwrap_err()).contains("new first axis"));
        let whole = Input { batch_axis: Some(1), ..input(Some(&[7, 2, 3])) };
        let cut = whole.cut(&[7, 2, 3]).unwrap();
        assert_eq!((cut.count, cut.labels, cut.all_labels), (1, 2, 2));
    }

    #[test]
    fn the_batch_is_found_by_the_name_or_size_that_the_output_has() {
        use crate::onnx::build::GraphBuilder;
        let found = |input: &[i64], output: &[i64]| {
            let mut graph = GraphBuilder::new(21);
            let x = graph.input("x", input);
            let y = graph.node("Relu", &[&x], &[]);
            graph.output(&y);
            let mut model = graph.model();
            model.graph_mut().output = vec![crate::onnx::build::value(&y, Dtype::Float, output)];
            Input::all(&model).unwrap()[0].batch_axis
        };
        assert_eq!(found(&[28, 1, 28], &[1, 10]), Some(1));
        assert_eq!(found(&[1, 3, 8], &[1, 10]), None);
        assert_eq!(found(&[28, 1, 1], &[1, 10]), None);
        assert_eq!(found(&[28, 2, 8], &[5, 10]), None);
    }

    #[test]
    fn a_misfit_shows_both_shapes_with_symbols_by_name() {
        for shape in [&[7, 4][..], &[7], &[], &[1, 1, 1, 3], &[7, 1, 4]] {
            let text = format!("{:?}", input(Some(&[-1, 3])).cut(shape).unwrap_err());
            assert!(text.contains("[N, 3]") && text.contains(&shape_text(shape)), "{text}");
        }
    }

    #[test]
    fn types_must_agree() {
        let text = format!("{:?}", input(None).check_type(Dtype::Uint8).unwrap_err());
        assert!(
            text.contains("float32")
                && text.contains("uint8; pixels become the input with `.preprocess` imagenet"),
            "{text}"
        );
        let text = format!("{:?}", input(None).check_type(Dtype::Double).unwrap_err());
        assert!(text.contains("float64; convert it with .astype"), "{text}");
    }
}
