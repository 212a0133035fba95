//! Columns and walks against tract.

mod columns;
mod walk;
