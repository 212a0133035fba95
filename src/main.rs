//! The `fourbit` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    fourbit::cli::main()
}
