//! What there is of places beyond a network in a program built without them: a message.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::place::{Address, Halt, Object};

/// A place beyond the network: none can be reached.
#[derive(Debug)]
pub enum Remote {}

impl Remote {
    /// Nothing, and why.
    ///
    /// # Errors
    /// [`Error::Remote`] always.
    pub fn open(address: &Address, _halt: Halt) -> Result<Self> {
        Err(Error::Remote {
            url: address.to_string(),
            problem: "this fourbit was built without buckets and web servers".into(),
            remedy: "build it with the feature remote, which is on by default, or copy the files and give their folder".into(),
        })
    }

    /// Cannot be called, like all below.
    pub fn address(&self) -> &Address {
        match *self {}
    }

    /// # Errors
    /// None.
    pub fn list(&self) -> Result<BTreeMap<String, Object>> {
        match *self {}
    }

    /// # Errors
    /// None.
    pub fn head(&self, _name: &str) -> Result<Option<Object>> {
        match *self {}
    }

    /// # Errors
    /// None.
    pub fn remove(&self, _name: &str) -> Result<()> {
        match *self {}
    }

    /// # Errors
    /// None.
    pub fn get(&self, _name: &str) -> Result<Option<Vec<u8>>> {
        match *self {}
    }

    /// # Errors
    /// None.
    pub fn each(&self, _name: &str, _take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Option<Object>> {
        match *self {}
    }

    /// # Errors
    /// None.
    pub fn fetch(&self, _wanted: &Object, _to: &Path) -> Result<Object> {
        match *self {}
    }

    /// # Errors
    /// None.
    pub fn put(&self, _name: &str, _content: Vec<u8>) -> Result<Object> {
        match *self {}
    }

    /// # Errors
    /// None.
    pub fn send(&self, _from: &Path, _name: &str) -> Result<Object> {
        match *self {}
    }

    /// Whether nobody waits any more.
    pub fn is_halted(&self) -> bool {
        match *self {}
    }

    /// Says so of `name`.
    pub fn halted(&self, _name: &str) -> Error {
        match *self {}
    }
}
