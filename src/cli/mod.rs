//! The command line: one file a subcommand, each with its arguments and a `run`.

mod apply;
mod arguments;
#[cfg(feature = "batch")]
mod batch;
mod check;
mod common;
mod compare;
mod defaults;
mod hints;
mod inspect;
mod interrupt;
mod manual;
mod plan;
mod progress;
mod quantize;
mod report;
mod samples;
mod sensitivity;
mod spelling;
mod targets;
mod terminal;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::api::program::quieten;
use crate::api::{self, Error, Progress as _, Result};
use common::{Common, Context};
use defaults::Completed;
use spelling::Spelling;

/// Turns a trained float ONNX model into a 4-bit one, and measures what it cost.
#[derive(Debug, Parser)]
#[command(name = "fourbit", version = env!("FOURBIT_VERSION"), arg_required_else_help = true, propagate_version = true)]
#[command(after_help = "\
Examples:
  fourbit quantize net.onnx --calibration calib.npz --validation test.npz
  fourbit quantize net.onnx small.onnx --precision w4

More: fourbit --help, fourbit quantize --help")]
#[command(after_long_help = manual::ENDING)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// Exit code where arguments make no sense, as clap has it.
const WRONG_ARGUMENTS: u8 = 2;

/// Exit code where tract cannot run the model, and what was asked for needs that.
const NOT_RUNNABLE: u8 = 5;

/// Exit code where nothing in the model would be quantized.
const NOTHING_QUANTIZED: u8 = 6;

#[derive(Debug, Subcommand)]
enum Command {
    Quantize(quantize::Args),
    Validate(compare::validate::Args),
    Diff(compare::diff::Args),
    Inspect(inspect::Args),
    Samples(samples::Args),
    Plan(plan::Args),
    Apply(apply::Args),
    Sensitivity(sensitivity::Args),
    Targets(targets::Args),
    Check(check::Args),
    Report(report::Args),
    #[cfg(feature = "batch")]
    Batch(Box<batch::Args>),
    Completions(manual::completions::Args),
    Man(manual::man::Args),
}

/// All of the command line, as clap knows it.
fn definition() -> clap::Command {
    Cli::command()
}

/// The same for a short help: the options that matter in one list, so that it fits on a screen.
fn brief() -> clap::Command {
    fn flat(argument: Arg) -> Arg {
        let is_long = argument.get_id() == "target";
        argument.help_heading(Resettable::Reset).hide_possible_values(is_long)
    }
    definition().mut_args(flat).mut_subcommands(|part| part.mut_args(flat))
}

/// Reads `line`, the program's name first.
///
/// # Errors
/// What clap says of it, which may be the help that was asked for.
fn parsed(line: &[OsString]) -> std::result::Result<(Cli, ArgMatches), clap::Error> {
    let matches = match definition().try_get_matches_from(line) {
        Err(error) if error.kind() == ErrorKind::DisplayHelp && line.iter().any(|word| word == "-h") => {
            brief().try_get_matches_from(line)?
        }
        other => other?,
    };
    Ok((Cli::from_arg_matches(&matches)?, matches))
}

/// Reads the arguments of the process, does what they ask, and gives the exit code.
pub fn main() -> ExitCode {
    exit_code(std::env::args_os().collect(), Vec::new())
}

/// Does what `line` asks, the program's name first, and gives the number of the exit code. `command` is what starts this program once more, as a
/// batch does for each model.
pub fn started(line: Vec<OsString>, command: Vec<OsString>) -> u8 {
    let code = exit_code(line, command);
    (0..=u8::MAX).find(|&number| ExitCode::from(number) == code).unwrap_or(1)
}

fn exit_code(line: Vec<OsString>, command: Vec<OsString>) -> ExitCode {
    quieten();
    let folder = std::env::current_dir().unwrap_or_default();
    let Completed { line, from } = match defaults::completed(line, &folder) {
        Ok(completed) => completed,
        Err(problem) => {
            common::warn(&format!("error: {problem}"));
            return ExitCode::from(WRONG_ARGUMENTS);
        }
    };
    let (cli, matches) = match parsed(&line) {
        Ok(parsed) => parsed,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(WRONG_ARGUMENTS);
            match hints::answer(&error, &line) {
                Some(words) => common::warn(&format!("error: {words}")),
                None => common::refuse(&hints::plain(error), &Spelling::default()),
            }
            return ExitCode::from(code);
        }
    };
    match run(&cli, &matches, from.as_deref(), command) {
        Ok(code) => code,
        Err(error) => {
            common::complain(&error, cli.spelling(&matches).as_ref());
            match (&error, error.kind()) {
                (Error::NotRunnable { .. }, _) => ExitCode::from(NOT_RUNNABLE),
                (_, api::ErrorKind::NothingQuantized) => ExitCode::from(NOTHING_QUANTIZED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

impl Cli {
    /// How errors are told. Those of a conversion in a batch stay in the library's words, as the batch itself tells them.
    fn spelling(&self, matches: &ArgMatches) -> Option<Spelling> {
        let is_one_of_many = matches!(&self.command, Command::Quantize(args) if args.supervised);
        (!is_one_of_many).then(|| Spelling::of(matches.subcommand_name()))
    }
}

/// `defaults` is the file that gave options of the line, `command` what starts this program.
fn run(cli: &Cli, matches: &ArgMatches, defaults: Option<&Path>, command: Vec<OsString>) -> Result<ExitCode> {
    let context = Context::new(&cli.common, Spelling::of(matches.subcommand_name()), command)?;
    if let Some(path) = defaults {
        context.progress.note(&format!("defaults from {}", path.display()));
    }
    #[cfg(feature = "batch")]
    let alone = !matches!(cli.command, Command::Batch(_));
    #[cfg(not(feature = "batch"))]
    let alone = true;
    // A batch ends its conversions first.
    if alone {
        interrupt::end_cleanly();
    }
    match &cli.command {
        Command::Quantize(args) => quantize::run(args, matches.subcommand_matches("quantize"), &context),
        Command::Validate(args) => compare::validate::run(args, &context),
        Command::Inspect(args) => inspect::run(args, &context),
        Command::Samples(args) => samples::run(args, &context),
        Command::Plan(args) => plan::run(args, &context),
        Command::Apply(args) => apply::run(args, &context),
        Command::Sensitivity(args) => {
            sensitivity::run(args, matches.subcommand_matches("sensitivity"), &context)
        }
        Command::Targets(args) => targets::run(args, &context),
        Command::Diff(args) => compare::diff::run(args, &context),
        Command::Check(args) => check::run(args, &context),
        Command::Report(args) => report::run(args, &context),
        #[cfg(feature = "batch")]
        Command::Batch(args) => batch::run(args, matches.subcommand_matches("batch"), &cli.common, &context),
        Command::Completions(args) => manual::completions::run(args),
        Command::Man(args) => manual::man::run(args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{CodeType, DUAL_THRESHOLD, Edges, Granularity, Keys, Options, Spelling};

    fn parse(line: &str) -> std::result::Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    fn options(line: &str) -> Options {
        match parse(line).unwrap().command {
            Command::Quantize(args) => args.conversion.choices.options().unwrap(),
            Command::Plan(args) => args.conversion.choices.options().unwrap(),
            Command::Sensitivity(args) => args.choices.options().unwrap(),
            _ => panic!("{line}"),
        }
    }

    #[test]
    fn the_commands_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_has_examples_and_exit_status() {
        let mut command = Cli::command();
        command.build();
        for part in command.get_subcommands_mut().filter(|part| part.get_name() != "help") {
            let help = part.render_long_help().to_string();
            assert!(help.contains("Examples:") && help.contains("Exit status:"), "{help}");
            assert!(help.contains("--format") && help.contains("--jobs"), "{help}");
        }
    }

    #[test]
    fn precision_sets_and_widths_override() {
        assert_eq!(options("fourbit quantize m.onnx"), Options::default());
        let w8 = options("fourbit quantize m.onnx --activations float --precision w8a8");
        assert_eq!((w8.weights, w8.activations), (Some(CodeType::Int8), None));
        assert_eq!(
            options("fourbit sensitivity m.onnx --precision w8"),
            options("fourbit plan m.onnx --precision w8")
        );
        let mixed = options("fourbit plan m.onnx --precision w4 --weights uint4 --activations int8");
        assert_eq!((mixed.weights, mixed.activations), (Some(CodeType::Uint4), Some(CodeType::Int8)));
        let float = options("fourbit plan m.onnx --weights float");
        assert_eq!((float.weights, float.activations), (None, Some(CodeType::Uint8)));
    }

    #[test]
    fn the_rest_of_the_options() {
        let found = options(
            "fourbit quantize m.onnx --granularity tensor --include a* --include b --exclude c \
             --op-types Conv,Gemm --min-elements 99 --no-bias-correction",
        );
        assert_eq!(found.granularity, Granularity::Tensor);
        assert_eq!(found.include, ["a*", "b"]);
        assert_eq!(found.exclude, ["c"]);
        assert_eq!(found.op_types, ["Conv", "Gemm"]);
        assert_eq!((found.min_elements, found.bias_correction), (99, false));
    }

    #[test]
    fn forms_of_weights_and_activations() {
        let found = options("fourbit plan m.onnx --precision w4a4 --granularity block:32");
        assert_eq!((found.activations, found.granularity), (Some(CodeType::Uint4), Granularity::Block(32)));
        assert_eq!((found.edges, found.edges()), (None, Some(Edges::Eight)));
        assert_eq!(options("fourbit plan m.onnx").edges(), None);
        assert!(!found.matmul_nbits && options("fourbit sensitivity --matmul-nbits m.onnx").matmul_nbits);
        let asked = options(
            "fourbit plan --target ort-cpu --precision w4 --matmul-nbits=false --symmetric-weights m.onnx",
        );
        assert!(!asked.matmul_nbits && asked.symmetric_weights);
        let float = options("fourbit plan m.onnx --activations int4 --edges float");
        assert_eq!((float.activations, float.edges()), (Some(CodeType::Int4), Some(Edges::Float)));

        let keys = |line: &str| options(&format!("fourbit plan m.onnx {line}")).dual.keys;
        assert_eq!(keys(""), Keys::None);
        assert_eq!(keys("--dual auto"), Keys::Above(DUAL_THRESHOLD));
        assert_eq!(keys("--dual all"), Keys::All);
        assert_eq!(keys("--dual-threshold 0.5"), Keys::Above(0.5));
        assert_eq!(keys("--dual auto --dual-budget 5%"), Keys::Share(0.05));
        let dual =
            options("fourbit plan m.onnx --dual-layers a* --dual-layers b --dual-spelling branches").dual;
        assert_eq!((dual.keys, dual.layers.len(), dual.spelling), (Keys::None, 2, Spelling::Branches));
    }

    #[test]
    fn values_may_be_in_any_case() {
        let found = options(
            "fourbit quantize m.onnx --precision W4A4 --target ORT-CPU --weights UINT4 --granularity Block:16 \
             --edges FLOAT --compensation None --scales MIN-MAX --opset KEEP --matmul-nbits=FALSE --dual AUTO",
        );
        let plain = options(
            "fourbit quantize m.onnx --precision w4a4 --target ort-cpu --weights uint4 --granularity block:16 \
             --edges float --compensation none --scales min-max --opset keep --matmul-nbits=false --dual auto",
        );
        assert_eq!(found, plain);
        assert_eq!(
            options("fourbit plan m.onnx --precision int4"),
            options("fourbit plan m.onnx --precision w4")
        );
        assert_eq!(
            options("fourbit plan m.onnx --precision int8"),
            options("fourbit plan m.onnx --precision w8a8")
        );
    }

    #[test]
    fn former_names_of_options_are_understood() {
        for (line, before) in [
            ("quantize m.onnx --max-samples 9", "quantize m.onnx --samples 9"),
            ("sensitivity m.onnx --max-samples 9", "sensitivity m.onnx --samples 9"),
            ("validate m.onnx q.onnx --validation v.npz", "validate m.onnx q.onnx --samples v.npz"),
            ("validate m.onnx q.onnx --max-samples 9", "validate m.onnx q.onnx --count 9"),
        ] {
            let [now, before] =
                [line, before].map(|line| format!("{:?}", parse(&format!("fourbit {line}")).unwrap()));
            assert_eq!(now, before, "{line}");
        }
    }

    #[test]
    fn an_output_may_stand_behind_the_model() {
        let output = |line: &str| match parse(line).unwrap().command {
            Command::Quantize(args) => (args.conversion.output, args.conversion.out),
            Command::Plan(args) => (args.conversion.output, args.conversion.out),
            Command::Apply(args) => (args.output, args.out),
            #[cfg(feature = "batch")]
            Command::Batch(args) => (args.output, args.out),
            _ => panic!("{line}"),
        };
        for (line, name) in [
            ("fourbit quantize m.onnx q.onnx", "q.onnx"),
            ("fourbit plan m.onnx p.json", "p.json"),
            ("fourbit apply m.onnx p.json q.onnx", "q.onnx"),
            #[cfg(feature = "batch")]
            ("fourbit batch zoo small", "small"),
        ] {
            assert_eq!(output(line), (None, Some(name.into())), "{line}");
            let error = parse(&format!("{line} -o {name}")).unwrap_err();
            assert!(error.to_string().contains("cannot be used with"), "{line}: {error}");
        }
        let error = parse("fourbit quantize m.onnx calib.npz").unwrap_err().to_string();
        assert!(error.contains("--calibration"), "{error}");
    }

    #[test]
    fn json_is_a_word_for_a_format() {
        let format = |line: &str| parse(line).unwrap().common.format();
        assert_eq!(format("fourbit inspect m.onnx --json"), common::Format::Json);
        assert_eq!(format("fourbit --json inspect m.onnx"), common::Format::Json);
        assert_eq!(format("fourbit inspect m.onnx --format JSON"), common::Format::Json);
        assert_eq!(format("fourbit inspect m.onnx"), common::Format::Text);
        assert_eq!(parse("fourbit inspect m.onnx --json --format json").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn wrong_arguments_are_usage_errors() {
        for line in [
            "fourbit",
            "fourbit quantize",
            "fourbit quantize m.onnx --precision w7",
            "fourbit quantize m.onnx --jobs 0",
            "fourbit quantize m.onnx --max-samples 0",
            "fourbit quantize m.onnx -q -v",
            "fourbit quantize m.onnx --granularity block:0",
            "fourbit quantize m.onnx --granularity kernel",
            "fourbit quantize m.onnx --edges 2",
            "fourbit quantize m.onnx --dual-threshold NaN",
            "fourbit quantize m.onnx --dual-threshold -0.1",
            "fourbit quantize m.onnx --dual-threshold 1 --dual-budget 5%",
            "fourbit quantize m.onnx --dual-budget 105%",
            "fourbit validate m.onnx",
            "fourbit validate m.onnx q.onnx --min-agreement 0.98",
            "fourbit validate m.onnx q.onnx --max-drop -1",
            "fourbit sensitivity m.onnx --measure 7",
            "fourbit sensitivity m.onnx --layers 0",
            "fourbit sensitivity m.onnx -o out.onnx",
            "fourbit apply m.onnx plan.json --first x",
            "fourbit unknown",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
        assert_eq!(parse("fourbit --version").unwrap_err().exit_code(), 0);
        assert_eq!(parse("fourbit plan --help").unwrap_err().exit_code(), 0);
    }
}
