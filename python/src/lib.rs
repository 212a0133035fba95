//! The native module of the Python package: fourbit's face in Python's types. The package `fourbit` around it makes arguments of what people
//! give, and objects of what comes back.

mod calls;
mod choices;
mod failure;
mod models;
mod spool;
mod told;
mod work;

use pyo3::prelude::*;

/// What the package imports.
#[pymodule]
mod _native {
    use super::*;

    #[pymodule_export]
    use super::calls::{
        apply, check, inputs, inspect, main, plan, quantize, sensitivity, targets, validate, version,
    };
    #[pymodule_export]
    use super::spool::Spool;
    #[pymodule_export]
    use super::told::Told;

    #[pymodule_init]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        // The hook of this library alone: each has a standard library of its own.
        fourbit::program::quieten();
        Ok(())
    }
}
