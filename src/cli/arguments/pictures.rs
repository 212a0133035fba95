//! The arguments that say how pictures become inputs.

use std::path::PathBuf;

use clap::Args;

use crate::api::Result;

/// How stored pixels become the input.
#[derive(Debug, Default, Args)]
pub struct Pictures {
    /// How pictures become the input (TOML)
    #[arg(long, value_name = "FILE", help_heading = "Pictures")]
    pub preprocess: Option<PathBuf>,
}

impl Pictures {
    /// The preprocessing asked for, if any.
    ///
    /// # Errors
    /// None yet.
    pub fn preprocessing(&self) -> Result<Option<PathBuf>> {
        Ok(self.preprocess.clone())
    }
}
