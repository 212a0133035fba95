//! Operators that are computed here, as tract sees them: opaque, with the shapes that they say.

use std::fmt::Debug;
use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

/// Elements of an output beyond which a kernel does not run: 8 GB as f64.
const MOST_ELEMENTS: usize = 1 << 30;

/// The element type and dimensions of an output.
pub(super) type OutputFact = (DatumType, Vec<usize>);

/// What is known of an input when the outputs' forms are asked for.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Its element type.
    pub dtype: DatumType,
    /// Its dimensions.
    pub dims: Vec<usize>,
    /// Its value where it is constant.
    pub value: Option<Arc<Tensor>>,
}

/// An operator by its ONNX definition. Inputs are in ONNX's slots, `None` where one is left out.
pub(super) trait Kernel: Debug + Send + Sync + 'static {
    /// The operator's name.
    fn name(&self) -> &'static str;

    /// Input slots whose values decide the outputs' dimensions.
    fn deciding(&self) -> &'static [usize] {
        &[]
    }

    /// The outputs' forms, in ONNX's slots.
    ///
    /// # Errors
    /// Where the inputs do not fit the operator.
    fn facts(&self, inputs: &[Option<Known>]) -> TractResult<Vec<OutputFact>>;

    /// Outputs and axes of theirs whose lengths are known only while the node runs: [`Kernel::facts`] says anything of these.
    fn open(&self, _: &[Option<Known>]) -> Vec<(usize, usize)> {
        Vec::new()
    }

    /// The outputs, in ONNX's slots and of the forms that [`Kernel::facts`] gives.
    ///
    /// # Errors
    /// Where an input cannot be read as what the operator takes.
    fn eval(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>>;
}

/// A kernel and the slots that a node fills.
#[derive(Clone, Debug)]
pub(super) struct Node {
    kernel: Arc<dyn Kernel>,
    /// For each ONNX slot, which of the inputs given fills it.
    slots: Vec<Option<usize>>,
    /// ONNX slots of the outputs that have a name.
    wanted: Vec<usize>,
}

impl Node {
    /// `kernel` with the inputs and outputs that `node` names.
    pub fn new(kernel: Arc<dyn Kernel>, node: &NodeProto) -> Self {
        let mut given = 0..;
        let slots = node.input.iter().map(|name| if name.is_empty() { None } else { given.next() });
        let slots = slots.collect();
        let named = |slot: &usize| node.output.get(*slot).is_some_and(|name| !name.is_empty());
        Self { kernel, slots, wanted: (0..node.output.len()).filter(named).collect() }
    }

    fn count(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    fn inputs(&self, given: &[Known]) -> Vec<Option<Known>> {
        self.slots.iter().map(|slot| slot.and_then(|at| given.get(at).cloned())).collect()
    }

    /// Axes of the outputs wanted whose lengths are not known.
    fn open(&self, given: &[Known]) -> Vec<(usize, usize)> {
        let open = self.kernel.open(&self.inputs(given)).into_iter();
        let place = |slot| self.wanted.iter().position(|&wanted| wanted == slot);
        open.filter_map(|(slot, axis)| Some((place(slot)?, axis))).collect()
    }

    fn facts(&self, given: &[Known]) -> TractResult<Vec<OutputFact>> {
        let inputs = self.inputs(given);
        let facts = self.kernel.facts(&inputs)?;
        if let Some((_, dims)) = facts.iter().find(|(_, dims)| !is_held(dims)) {
            bail!("{}: a value of {dims:?} is too large to run", self.name());
        }
        self.wanted
            .iter()
            .map(|&slot| {
                facts.get(slot).cloned().with_context(|| format!("{} has no output {slot}", self.name()))
            })
            .collect()
    }

    /// Positions among the inputs given of those that decide dimensions.
    fn deciding(&self) -> Vec<usize> {
        let slots = self.kernel.deciding().iter();
        slots.filter_map(|&slot| self.slots.get(slot).copied().flatten()).collect()
    }
}

impl Expansion for Node {
    fn name(&self) -> StaticName {
        self.kernel.name().into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.wanted.len())
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, self.count())?;
        check_output_arity(outputs, self.wanted.len())?;
        let deciding = self.deciding();
        solver.given_all(inputs.iter().map(|input| &input.datum_type), move |solver, dtypes| {
            let deciding = deciding.clone();
            solver.given_all(inputs.iter().map(|input| &input.shape), move |solver, shapes| {
                let concrete: Option<Vec<Vec<usize>>> = shapes
                    .iter()
                    .map(|shape| shape.iter().map(|dim| dim.to_usize().ok()).collect())
                    .collect();
                let Some(shapes) = concrete else { return Ok(()) };
                let known: Vec<Known> = dtypes
                    .iter()
                    .zip(shapes)
                    .map(|(&dtype, dims)| Known { dtype, dims, value: None })
                    .collect();
                let places = deciding.clone();
                solver.given_all(deciding.iter().map(|&at| &inputs[at].value), move |solver, values| {
                    let mut known = known.clone();
                    for (&at, value) in places.iter().zip(values) {
                        known[at].value = Some(value);
                    }
                    let open = self.open(&known);
                    for (at, (output, (dtype, dims))) in outputs.iter().zip(self.facts(&known)?).enumerate() {
                        solver.equals(&output.datum_type, dtype)?;
                        solver.equals(&output.rank, dims.len() as i64)?;
                        for (axis, dim) in
                            dims.iter().enumerate().filter(|&(axis, _)| !open.contains(&(at, axis)))
                        {
                            solver.equals(&output.shape[axis], dim.to_dim())?;
                        }
                    }
                    Ok(())
                })
            })
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let known: Vec<Known> = inputs
            .iter()
            .map(|&input| {
                let fact = model.outlet_fact(input)?;
                let dims = fact
                    .shape
                    .as_concrete()
                    .with_context(|| format!("{prefix}: an input of unknown dimensions"))?;
                Ok(Known { dtype: fact.datum_type, dims: dims.to_vec(), value: fact.konst.clone() })
            })
            .collect::<TractResult<_>>()?;
        let deciding = self.deciding();
        if deciding.iter().any(|&at| known[at].value.is_none()) {
            bail!("{prefix}: an input that decides dimensions is not constant");
        }
        let mut facts: Vec<(DatumType, TVec<TDim>)> = self
            .facts(&known)?
            .into_iter()
            .map(|(dtype, dims)| (dtype, dims.iter().map(|dim| dim.to_dim()).collect()))
            .collect();
        for (at, axis) in self.open(&known) {
            facts[at].1[axis] = model.symbols.new_with_prefix("length").to_dim();
        }
        model.wire_node(prefix, Computed { node: Arc::new(self.clone()), facts: Arc::new(facts) }, inputs)
    }
}

/// Whether memory can hold a value of `dims` while it is computed. A failed allocation would end the process.
fn is_held(dims: &[usize]) -> bool {
    let count = dims.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim));
    count.is_some_and(|count| count <= MOST_ELEMENTS)
}

/// A kernel in a typed graph. Two are equal only if they are one.
#[derive(Clone, Debug)]
struct Computed {
    node: Arc<Node>,
    facts: Arc<Vec<(DatumType, TVec<TDim>)>>,
}

impl PartialEq for Computed {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.node, &other.node) && Arc::ptr_eq(&self.facts, &other.facts)
    }
}

impl Eq for Computed {}

impl Op for Computed {
    fn name(&self) -> StaticName {
        self.node.kernel.name().into()
    }

    op_as_typed_op!();
}

impl EvalOp for Computed {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let given: Vec<Option<&Tensor>> = self
            .node
            .slots
            .iter()
            .map(|slot| slot.and_then(|at| inputs.get(at).map(|value| &**value)))
            .collect();
        let made = self.node.kernel.eval(&given)?;
        let mut made: Vec<Option<Tensor>> = made.into_iter().map(Some).collect();
        self.node
            .wanted
            .iter()
            .map(|&slot| {
                let value = made.get_mut(slot).and_then(Option::take);
                value
                    .map(IntoTValue::into_tvalue)
                    .with_context(|| format!("{} made no output {slot}", self.name()))
            })
            .collect()
    }
}

impl TypedOp for Computed {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.facts.iter().map(|(dtype, dims)| dtype.fact(&**dims)).collect())
    }

    as_op!();
}
