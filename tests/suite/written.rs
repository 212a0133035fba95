//! Nothing is lost: what a run reads is never written over, what is no file is never replaced, and whatever ends a run leaves
//! an output whole or none. `KILLS=200` kills that often.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fourbit");
/// A conversion that takes a moment; its validation takes most of it.
const QUICK: [&str; 7] = ["quantize", "model.onnx", "--precision", "w4", "--compensation", "none", "-q"];
/// Kills in each of the ways they are tried, where no number is asked for.
const KILLS: u32 = 3;

/// A folder with a model, samples beside it, and whatever else a test puts there.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/waves_recurrent");
        for name in ["model.onnx", "calibration.npz", "validation.npz"] {
            fs::copy(source.join(name), folder.path().join(name)).expect("a copy");
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Runs, and expects failure with a message that holds `words`, and every file as it was.
    fn refuses(&self, arguments: &[&str], words: &str) {
        let before = self.content();
        let output = self.run(arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(message.contains(words), "{arguments:?}: {words:?} is not in {message:?}");
        assert_eq!(self.content(), before, "{arguments:?}: {message}");
    }

    /// Regular files with what they hold, and other entries by name.
    fn content(&self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.0.path()).expect("the folder");
        let mut found: Vec<(String, Vec<u8>)> = entries
            .map(|entry| {
                let entry = entry.expect("an entry");
                let is_file = entry.file_type().expect("a type").is_file();
                let content = if is_file { fs::read(entry.path()).expect("its content") } else { Vec::new() };
                (entry.file_name().to_string_lossy().into_owned(), content)
            })
            .collect();
        found.sort();
        found
    }
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&QUICK[..], more].concat()
}

#[test]
fn no_output_takes_the_place_of_what_is_read() {
    let desk = Desk::new();
    fs::write(desk.path("layers.toml"), "").expect("it can be written");
    let read = "is read by this run";
    for path in ["model.onnx", "./model.onnx", "validation.npz", "calibration.npz", "layers.toml"] {
        for option in ["-o", "--report", "--plan"] {
            desk.refuses(&with(&[option, path, "--overwrite", "--config", "layers.toml"]), read);
        }
        let sensitivity =
            ["sensitivity", "model.onnx", "--overwrite", "--config", "layers.toml", "--report", path];
        desk.refuses(&sensitivity, read);
    }
    desk.refuses(&with(&["--report", "a.json", "--report", "./a.json"]), "two outputs");
    desk.refuses(&with(&["-o", "a.onnx", "--report", "a.onnx"]), "two outputs");
    desk.refuses(&with(&["-o", "a", "--external-data", "--plan", "a.data"]), "two outputs");
    desk.refuses(&["plan", "model.onnx", "--precision", "w4", "-o", "model.onnx", "--overwrite"], read);
    assert!(desk.run(&["plan", "model.onnx", "--precision", "w4", "-o", "plan.json"]).status.success());
    desk.refuses(&["apply", "model.onnx", "plan.json", "-o", "plan.json", "--overwrite"], read);
    for path in ["report.xml", "report.pdf"] {
        desk.refuses(&with(&["--report", path]), "no report of the kind");
    }
}

#[cfg(unix)]
#[test]
fn links_are_seen_through() {
    let desk = Desk::new();
    std::os::unix::fs::symlink("model.onnx", desk.path("link.onnx")).expect("a link");
    fs::hard_link(desk.path("model.onnx"), desk.path("hard.onnx")).expect("a link");
    fs::hard_link(desk.path("validation.npz"), desk.path("hard.json")).expect("a link");
    std::os::unix::fs::symlink(".", desk.path("here")).expect("a link");
    for path in ["link.onnx", "hard.onnx", "here/model.onnx", "hard.json"] {
        for option in ["-o", "--report", "--plan"] {
            desk.refuses(&with(&[option, path, "--overwrite"]), "is read by this run");
        }
    }
    // A link to something else is replaced, and what it led to stays.
    fs::write(desk.path("other"), "kept").expect("it can be written");
    std::os::unix::fs::symlink("other", desk.path("out.onnx")).expect("a link");
    desk.refuses(&with(&["-o", "out.onnx"]), "--overwrite");
    assert!(desk.run(&with(&["-o", "out.onnx", "--overwrite"])).status.success());
    assert!(!desk.path("out.onnx").is_symlink());
    assert_eq!(fs::read(desk.path("other")).expect("its content"), b"kept");
}

#[cfg(unix)]
#[test]
fn a_batch_leaves_what_it_reads() {
    let desk = Desk::new();
    fs::create_dir(desk.path("out")).expect("a folder");
    fs::hard_link(desk.path("model.onnx"), desk.path("out/model.onnx")).expect("a link");
    fs::write(desk.path("list.toml"), "[[model]]\npath = \"model.onnx\"\n").expect("it can be written");
    let model = fs::read(desk.path("model.onnx")).expect("the model");
    let batch = |source: &str, out: &str| {
        let output = desk.run(&["batch", source, "-o", out, "--precision", "w4", "--overwrite"]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = batch("list.toml", "out");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("model.onnx in the output folder is a file that this batch reads"), "{said}");
    assert!(fs::read(desk.path("model.onnx")).expect("the model") == model);
    // The list lies where the summary would go.
    let list = "{\"model\": [{\"path\": \"model.onnx\"}]}";
    fs::write(desk.path("summary.json"), list).expect("it can be written");
    let (code, said) = batch("summary.json", ".");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("summary.json is read by this run"), "{said}");
    assert_eq!(fs::read_to_string(desk.path("summary.json")).expect("the list"), list);
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_written_into_and_never_replaced_or_read() {
    use std::os::unix::fs::FileTypeExt as _;
    let desk = Desk::new();
    let made = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(desk.0.path()).output();
        output.is_ok_and(|output| output.status.success())
    };
    assert!(made("mkfifo", &["pipe"]));
    desk.refuses(&with(&["-o", "pipe", "--overwrite"]), "nobody reads");
    let path = desk.path("pipe");
    let reader = thread::spawn(move || fs::read(path).expect("what came"));
    let output = desk.run(&with(&["-o", "pipe"]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(desk.run(&with(&["-o", "file.onnx"])).status.success());
    assert!(reader.join().expect("it ends") == fs::read(desk.path("file.onnx")).expect("the file"));
    assert!(desk.path("pipe").metadata().expect("it is there").file_type().is_fifo());

    // As inputs they are refused at once, and not waited for.
    let begun = Instant::now();
    desk.refuses(&["quantize", "pipe", "--precision", "w4"], "it is a pipe");
    desk.refuses(&with(&["--config", "pipe"]), "it is a pipe");
    fs::rename(desk.path("pipe"), desk.path("pipe.npz")).expect("another name");
    desk.refuses(&with(&["--validation", "pipe.npz"]), "it is a pipe");
    assert!(begun.elapsed() < Duration::from_secs(60));

    let listener = std::os::unix::net::UnixListener::bind(desk.path("socket")).expect("a socket");
    desk.refuses(&with(&["-o", "socket", "--overwrite"]), "it is a socket");
    drop(listener);
    // Whoever may not make devices cannot replace them either.
    if made("mknod", &["null", "c", "1", "3"]) && made("mknod", &["disk", "b", "7", "250"]) {
        let output = desk.run(&with(&["-o", "null", "--overwrite", "--report", "null", "--plan", "null"]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(desk.path("null").metadata().expect("it is there").file_type().is_char_device());
        desk.refuses(&with(&["-o", "disk", "--overwrite"]), "it is a block device");
        desk.refuses(&["quantize", "null", "--precision", "w4"], "it is a device");
    }
    desk.refuses(&with(&["-o", "/dev/full"]), "cannot write /dev/full");
    let output = desk.run(&with(&["-o", "last.onnx", "--report", "/dev/stdout"]));
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"verdict\""));
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing() {
    let desk = Desk::new();
    // Unpacking samples takes room too.
    for name in ["calibration.npz", "validation.npz"] {
        fs::remove_file(desk.path(name)).expect("it is there");
    }
    let before = desk.content();
    let script = format!("trap '' XFSZ; ulimit -f 8; exec {PROGRAM} {} -o out.onnx", QUICK.join(" "));
    let output =
        Command::new("bash").args(["-c", &script]).current_dir(desk.0.path()).output().expect("it starts");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("cannot write out.onnx"), "{message}");
    assert_eq!(desk.content(), before);
}

#[cfg(unix)]
#[test]
fn two_runs_on_one_output_leave_one_of_the_two() {
    for external in [false, true] {
        let desk = Desk::new();
        let arguments = |precision: &'static str, overwrite: bool| {
            let mut all = vec!["quantize", "model.onnx", "-o", "q.onnx", "-q", "--compensation", "none"];
            all.extend(["--precision", precision]);
            all.extend(external.then_some("--external-data"));
            all.extend(overwrite.then_some("--overwrite"));
            all
        };
        let outcomes = ["w4", "w8"].map(|precision| {
            assert!(desk.run(&arguments(precision, true)).status.success());
            desk.content()
        });
        for overwrite in [true, false, true, false] {
            if !overwrite {
                fs::remove_file(desk.path("q.onnx")).expect("it is there");
                drop(fs::remove_file(desk.path("q.onnx.data")));
            }
            let runs = ["w4", "w8"]
                .map(|precision| desk.command(&arguments(precision, overwrite)).spawn().expect("it starts"));
            let ends = runs.map(|run| run.wait_with_output().expect("it ends"));
            let good = ends.iter().filter(|end| end.status.success()).count();
            assert_eq!(good, if overwrite { 2 } else { 1 }, "{ends:?}");
            let content = desk.content();
            assert!(outcomes.contains(&content), "external {external}, overwrite {overwrite}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_run_that_is_ended_leaves_an_output_or_none() {
    let kills = std::env::var("KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    for (signal, code) in [("INT", Some(130)), ("TERM", Some(143)), ("HUP", Some(129)), ("KILL", None)] {
        let desk = Desk::new();
        let arguments =
            with(&["-o", "q.onnx", "--external-data", "--report", "r.json", "--reproducible", "--jobs", "1"]);
        let before = desk.content();
        let begun = Instant::now();
        assert!(desk.run(&arguments).status.success());
        let whole = begun.elapsed();
        let names = ["q.onnx", "q.onnx.data", "r.json"];
        let outputs = names.map(|name| fs::read(desk.path(name)).expect("an output"));
        for kill in 0..kills {
            names.iter().for_each(|name| drop(fs::remove_file(desk.path(name))));
            let run = desk.command(&arguments).spawn().expect("it starts");
            // The last ones come when little is left to do.
            thread::sleep(whole.mul_f64(f64::from(kill + 1) / f64::from(kills)));
            assert!(
                Command::new("kill")
                    .args(["-s", signal, &run.id().to_string()])
                    .status()
                    .expect("kill")
                    .success()
                    || kill + 1 == kills
            );
            let end = run.wait_with_output().expect("it ends");
            let said = String::from_utf8_lossy(&end.stderr).into_owned();
            let there: Vec<bool> = names.iter().map(|name| desk.path(name).exists()).collect();
            for (name, output) in names.iter().zip(&outputs) {
                let found = fs::read(desk.path(name)).unwrap_or_else(|_| output.clone());
                assert!(found == *output, "{signal}: {name} is half written");
            }
            // Of two files, the one that names the other comes last.
            assert!(!there[0] || there[1], "{signal}: a model without its data");
            if signal != "KILL" {
                let left =
                    desk.content().into_iter().filter(|(name, _)| name.starts_with(".fourbit-")).count();
                assert_eq!(left, 0, "{signal}: {said}");
                if end.status.code() == code {
                    assert!(said.contains("interrupted"), "{signal}: {said}");
                    assert!(
                        there[0] || !said.contains("nothing written") || !there.contains(&true),
                        "{said}"
                    );
                } else {
                    // Before there is a handler the signal itself ends the process.
                    assert!(end.status.success() || end.status.code().is_none(), "{signal}: {end:?}");
                }
            }
        }
        names.iter().for_each(|name| drop(fs::remove_file(desk.path(name))));
        assert!(desk.run(&arguments).status.success());
        names.iter().for_each(|name| fs::remove_file(desk.path(name)).expect("an output"));
        assert!(desk.content() == before, "{signal}: the next run takes away what a killed one left");
    }
}

#[cfg(unix)]
#[test]
fn a_hang_up_that_is_ignored_stays_ignored() {
    let desk = Desk::new();
    let script = format!("trap '' HUP; exec {PROGRAM} {} -o q.onnx", QUICK.join(" "));
    let run =
        Command::new("bash").args(["-c", &script]).current_dir(desk.0.path()).spawn().expect("it starts");
    thread::sleep(Duration::from_millis(100));
    assert!(
        Command::new("kill").args(["-s", "HUP", &run.id().to_string()]).status().expect("kill").success()
    );
    assert!(run.wait_with_output().expect("it ends").status.success());
    assert!(desk.path("q.onnx").exists());
}
