//! `fourbit man`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, Command};
use clap_mangen::Man;

use crate::api::{Error, Result};
use crate::cli::definition;

/// Write manual pages into a folder, one per subcommand
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fourbit man ~/.local/share/man/man1
  fourbit man pages/

All options: fourbit man --help")]
#[command(after_long_help = "\
Examples:
  fourbit man ~/.local/share/man/man1

Exit status:
  0  the pages were written
  1  an error
  2  wrong arguments")]
pub struct Args {
    /// The folder, which is made if it is missing; pages in it are replaced
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// Writes `fourbit.1` and `fourbit-SUBCOMMAND.1`.
///
/// # Errors
/// [`Error::Write`].
pub fn run(args: &Args) -> Result<ExitCode> {
    fs::create_dir_all(&args.folder).map_err(Error::write(&args.folder))?;
    for (name, page) in pages() {
        let path = args.folder.join(name);
        fs::write(&path, page).map_err(Error::write(&path))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The pages with the names of their files; the same for the same program.
pub fn pages() -> Vec<(String, Vec<u8>)> {
    let mut whole = told(definition().disable_help_subcommand(true));
    whole.build();
    let page = |command: &Command, name: String| {
        let man = Man::new(command.clone().display_name(&name)).manual("fourbit");
        let mut text = Vec::new();
        // Nothing fails that is written into memory.
        let _ = man.render(&mut text);
        (format!("{name}.1"), text)
    };
    let parts = whole.get_subcommands().filter(|part| !part.is_hide_set());
    let parts: Vec<_> = parts.map(|part| page(part, format!("fourbit-{}", part.get_name()))).collect();
    [page(&whole, "fourbit".to_owned())].into_iter().chain(parts).collect()
}

/// `whole` with all its texts: clap_mangen leaves a text of one paragraph out where an option is hidden from the short help.
fn told(whole: Command) -> Command {
    let show = |argument: Arg| argument.hide_short_help(false);
    whole.mut_args(show).mut_subcommands(|part| part.mut_args(show))
}
