//! What is made of the command line's definition: pages to read, and words for shells.

pub mod completions;
pub mod man;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
