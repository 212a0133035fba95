//! `fourbit completions`.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap_complete::Shell;

use crate::api::{Error, Preset, Result};
use crate::cli::definition;

/// Print a script that completes options in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fourbit completions bash > ~/.local/share/bash-completion/completions/fourbit
  fourbit completions fish > ~/.config/fish/completions/fourbit.fish

All options: fourbit completions --help")]
#[command(after_long_help = "\
Examples:
  fourbit completions bash > ~/.local/share/bash-completion/completions/fourbit
  fourbit completions zsh > ~/.zfunc/_fourbit
  fourbit completions fish > ~/.config/fish/completions/fourbit.fish

Exit status:
  0  printed
  1  an error
  2  wrong arguments")]
pub struct Args {
    /// The shell
    #[arg(value_name = "SHELL", value_enum, ignore_case = true)]
    pub shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// [`Error::Write`], except where the reader has gone away.
pub fn run(args: &Args) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(), "fourbit", &mut script);
    let script = with_presets(args.shell, &String::from_utf8_lossy(&script));
    let mut stdout = io::stdout().lock();
    match stdout.write_all(script.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::write(Path::new("standard output"))(error))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// `script` with presets beside the files that it offers for `--preprocess`: clap has a value's words or files, not both.
pub fn with_presets(shell: Shell, script: &str) -> String {
    let names = Preset::ALL.map(Preset::name).join(" ");
    match shell {
        Shell::Bash => {
            let files = |more: &str| {
                format!("--preprocess)\n                    COMPREPLY=($(compgen -f {more}\"${{cur}}\"))")
            };
            script.replace(&files(""), &files(&format!("-W \"{names}\" -- ")))
        }
        Shell::Fish => {
            let line = |line: &str| match line.contains(" -l preprocess ") {
                true => format!("{line} -a \"{names}\"\n"),
                false => format!("{line}\n"),
            };
            script.lines().map(line).collect()
        }
        _ => script.to_owned(),
    }
}
