//! `fourbit batch`.

mod grammar;
mod left;
mod progress;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::ArgMatches;

use super::common::{Common, Context, CrossCheck, Format};
use super::interrupt::on_signal;
use super::spelling::Spelling;
use crate::api::batch::{self, Batch, Event, Listener as _, Place, Shard, Summary};
use crate::api::program::{data, plain};
use crate::api::{Error, Result};
use crate::cli::arguments::budget::Budget;
use crate::cli::arguments::conversion::Choices;
use crate::options;
use grammar::Words;
use progress::Voice;

/// Convert a whole collection of models
///
/// SOURCE is a folder, an ONNX_HUB_MANIFEST.json, or a list of models with options, as TOML (below) or JSON. OUT gets each model under its
/// path in SOURCE, with its plan and reports beside it; at the top are summary.html, .csv and .json, the times and a manifest.
///
/// Both may be in a bucket, s3://BUCKET/PREFIX; AWS_* variables give keys, region and endpoint. SOURCE may also be a manifest or a list
/// on a web server, https://HOST/PATH.
///
/// Re-run the same command to resume, whatever stopped it: what is done and unchanged is skipped. One bad model never stops the batch.
///
/// A model is poor if an output has an SQNR under 10 dB, if both models choose the same class on less than 80 % of the samples, or if values
/// are no longer finite. It is written, and listed first. A model is unquantized if nothing in it would be quantized. It is not written.
#[derive(Debug, clap::Args)]
#[command(override_usage = "\
fourbit batch [OPTIONS] <SOURCE> <OUT>
       fourbit batch [OPTIONS] --merge <OUT>")]
#[command(after_help = "\
Examples:
  fourbit batch zoo/ small/ --precision w4
  fourbit batch models.toml small/ --timeout 30m --memory-limit 16GB

Also: -v, -q, --json; all options: fourbit batch --help")]
#[command(after_long_help = "\
Examples:
  fourbit batch zoo/ small/ --precision w4
  fourbit batch zoo/ONNX_HUB_MANIFEST.json small/ --timeout 30m --memory-limit 16GB --jobs 4
  fourbit batch models.toml small/ --json
  fourbit batch zoo/ small/ --shard 2/8
  fourbit batch --merge small/
  fourbit batch s3://models/zoo s3://models/small --precision w4

A list:
  [defaults]                        # for what neither the command line nor a model says
  precision = 'w4a8'
  [[model]]                         # one for each model; options of quantize are keys
  path = 'resnet/resnet.onnx'       # relative to the list, as all paths in it
  calibration = 'resnet/calib.npz'
  exclude = ['head*']
  [[model]]
  path = '/models/bert.onnx'
  name = 'text/bert.onnx'           # where it goes in OUT; otherwise as path, or its last part

Exit status:
  0    every model was written, some perhaps poor or with a remark
  1    no model was written and some failed, or an error;
       of a shard, an error only
  2    wrong arguments
  3    some models were not written, since they failed or nothing in them
       would be quantized: the summary says why; of a shard, its part is done,
       and some or all of its models were not written
  130  it was interrupted; re-run the same command to resume")]
pub struct Args {
    /// The models: a folder, a manifest or a list, as a path or URL
    #[arg(value_name = "SOURCE", required_unless_present = "merge")]
    pub source: Option<PathBuf>,
    /// The folder for the results, the same as -o
    #[arg(value_name = "OUT", conflicts_with_all = ["output", "merge"],
        required_unless_present_any = ["merge", "output"])]
    pub out: Option<PathBuf>,
    /// The folder for the results, as a path or URL
    #[arg(short, long, value_name = "OUT", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Replace files in OUT that no batch has written
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub overwrite: bool,
    /// Write the summary of a folder in which every shard has done its part
    #[arg(long, value_name = "OUT", conflicts_with_all = ["source", "output"], help_heading = "Shards",
        hide_short_help = true)]
    pub merge: Option<PathBuf>,
    /// Do one of N equal parts [default: as a Slurm, AWS Batch or Kubernetes array says, or everything]
    #[arg(long, value_name = "I/N", help_heading = "Shards", hide_short_help = true)]
    pub shard: Option<Shard>,
    /// Wait this long if another batch holds the lock, as it does for a while after its machine failed
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "0s",
        help_heading = "Shards", hide_short_help = true)]
    pub wait: Duration,
    /// Threads of all conversions together [default: number of CPUs]
    #[arg(long, value_name = "N", help_heading = "Resources", hide_short_help = true)]
    pub threads: Option<NonZeroUsize>,
    /// Give a model up after this time, as in 90s or 1h30m
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, help_heading = "Resources")]
    pub timeout: Option<Duration>,
    /// Memory for all conversions together, as in 16GB; a model that needs more by itself is given up
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Resources")]
    pub memory_limit: Option<u64>,
    /// The folder for files in transit, if SOURCE or OUT is a URL [default: in OUT, or a temporary one]
    #[arg(long, value_name = "DIR", help_heading = "Resources", hide_short_help = true)]
    pub work: Option<PathBuf>,
    /// Keep fetched files in that folder
    #[arg(long, help_heading = "Resources", hide_short_help = true)]
    pub keep_work: bool,
    /// Do not retry models that failed, unless they or their options have changed
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub keep_failures: bool,
    #[command(flatten)]
    pub defaults: Defaults,
}

/// What all conversions have, unless a list says otherwise.
#[derive(Debug, clap::Args)]
pub struct Defaults {
    #[command(flatten)]
    pub choices: Choices,
    #[command(flatten)]
    pub budget: Budget,
    /// Validation samples [default: found beside each model, or held-back calibration samples]
    #[arg(long, value_name = "PATH", help_heading = "Samples")]
    pub validation: Option<PathBuf>,
    #[command(flatten)]
    pub cross_check: CrossCheck,
    /// Put large tensors into files of their own; beyond 2 GB this happens without the option
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub external_data: bool,
}

/// Exit code where some models were converted and some were not.
const SOME: u8 = 3;
/// Exit code of what was interrupted, as shells have it.
const INTERRUPTED: u8 = 130;

fn size(text: &str) -> Result<u64, String> {
    options::Budget::size(text).map_err(|error| error.to_string())
}

/// Converts all models, or brings shards together.
///
/// # Errors
/// Where the source or the output folder cannot be used at all. What is wrong with a model is told in its row.
pub fn run(
    args: &Args,
    matches: Option<&ArgMatches>,
    common: &Common,
    context: &Context,
) -> Result<ExitCode> {
    let voice = Voice::new(common, context.spelling.clone());
    if let Some(out) = &args.merge {
        let out = Place::parse(out)?;
        let summary = batch::merge(&out)?;
        let page = written(&out, &summary, context)?;
        return ended(&summary, false, common, context, (&voice, Some(&page), None));
    }
    let (Some(source), Some(out)) = (&args.source, args.output.as_ref().or(args.out.as_ref())) else {
        return Err(Error::options("the source or the output folder is missing", "pass SOURCE OUT"));
    };
    let asked = match args.shard {
        Some(shard) => Some(shard),
        None => Shard::from_environment(&|name| std::env::var(name).ok())?,
    };
    let shard = asked.unwrap_or(Shard::WHOLE);
    if let Some(work) = &args.work
        && let Place::Far(address) = Place::parse(work)?
    {
        return Err(Error::options(
            format!("--work {address}: what is fetched has to lie on this machine"),
            "give a folder",
        ));
    }
    let (program, program_arguments) = match context.command.split_first() {
        Some((program, arguments)) => (program.into(), arguments.to_vec()),
        None => {
            let own = std::env::current_exe().map_err(Error::read(Path::new("the program itself")))?;
            (own, Vec::new())
        }
    };
    let words = Words::new();
    let all = || thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or_else(all, usize::from);
    let batch = Batch {
        source: Place::parse(source)?,
        out: Place::parse(out)?,
        work: args.work.clone(),
        keep_work: args.keep_work,
        settings: words.given(matches)?,
        overwrite: args.overwrite,
        keep_failures: args.keep_failures,
        shard,
        wait: args.wait,
        jobs: common.jobs.map_or(threads, usize::from),
        threads,
        timeout: args.timeout,
        memory_limit: args.memory_limit,
        program,
        program_arguments,
    };
    // Told before the first model and not by each of them.
    args.defaults.choices.options()?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    // Without a handler an interrupt ends the batch, and its conversions notice.
    on_signal(move |_| flag.store(true, Ordering::Relaxed));
    let begun = Instant::now();
    let found = batch::run(&batch, &words, &voice, &stop);
    voice.end();
    let Some(summary) = found? else {
        voice.hear(&Event::Note { message: "interrupted; started again, it goes on from here" });
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let mut page = None;
    if shard.is_whole() {
        page = Some(written(&batch.out, &summary, context)?);
    } else {
        let merge = format!("fourbit batch --merge {}", batch.out);
        let message = format!("shard {shard} is done; when all are, {merge} writes the summary");
        voice.hear(&Event::Note { message: &message });
    }
    ended(&summary, asked.is_some(), common, context, (&voice, page.as_deref(), Some(begun.elapsed())))
}

/// The page of a batch.
const PAGE: &str = "summary.html";

/// Writes the summaries: flags stand for settings in what people read. Says where the page is.
fn written(out: &Place, summary: &Summary, context: &Context) -> Result<String> {
    let files = [
        ("timings.html", batch::timings(summary)),
        (PAGE, context.spelling.spelled(&batch::page(&spelled(summary, &context.spelling))).into_owned()),
        ("summary.csv", batch::csv(summary)),
        ("summary.json", data::summary(summary)),
    ];
    batch::reports(out, &files)?;
    Ok(match out {
        Place::Near(folder) => folder.join(PAGE).display().to_string(),
        Place::Far(address) => format!("{address}/{PAGE}"),
    })
}

/// `summary` with remarks in which flags stand for settings: a table cuts and wraps them, which would part what is to be replaced.
fn spelled(summary: &Summary, spelling: &Spelling) -> Summary {
    let mut told = summary.clone();
    for reason in told.rows.iter_mut().filter_map(|row| row.reason.as_mut()) {
        *reason = spelling.spelled(reason).into_owned();
    }
    told
}

/// The figures, where the page is, how long it took, and the exit code. What starts shards tries those again that end in an error, so that models that cannot be
/// converted are none.
fn ended(
    summary: &Summary,
    is_shard: bool,
    common: &Common,
    context: &Context,
    (voice, page, time): (&Voice, Option<&str>, Option<Duration>),
) -> Result<ExitCode> {
    let totals = summary.totals();
    match common.format() {
        Format::Text => {
            let text = |style| {
                let closing = plain::closing(page, time.map(|time| time.as_secs_f64()), style);
                plain::summary(&spelled(summary, &context.spelling), style) + &closing
            };
            context.print(text, String::new)?;
        }
        Format::Json => voice.summary(totals),
    }
    Ok(match (totals.converted, totals.failed) {
        (_, 0) if totals.unquantized == 0 => ExitCode::SUCCESS,
        (0, 1..) if !is_shard => ExitCode::FAILURE,
        _ => ExitCode::from(SOME),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Row, Status};

    #[test]
    fn remarks_are_spelled_before_they_are_cut_and_wrapped() {
        let reason = "only 2 of 9 weight tensors, 11 % of the parameters, were quantized (see `.include`), and the others stay float: \
                      `fourbit::inspect` lists all tensors";
        let row = Row {
            model: "m.onnx".into(),
            status: Status::Remarked,
            reason: Some(reason.into()),
            bytes_before: None,
            written: None,
        };
        let found = Summary {
            tool: "fourbit".into(),
            options: Vec::new(),
            rows: vec![row],
            before: 0,
            times: Vec::new(),
        };
        let told = spelled(&found, &Spelling::of(Some("batch")));
        assert!(data::summary(&found).contains("`fourbit::inspect`"));
        for width in [None, Some(60), Some(80), Some(100)] {
            let text = plain::summary(&told, crate::api::TextStyle { width, ..Default::default() });
            assert!(!text.contains('`') && !text.contains("::"), "{text}");
        }
        let text = told.rows[0].reason.as_deref().unwrap();
        assert!(text.contains("--include") && text.ends_with("fourbit inspect lists all tensors"), "{text}");
    }
}
