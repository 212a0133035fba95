//! A Python with onnx and onnxruntime in it: the judges that fourbit did not write itself.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use fourbit::onnx::{Model, write};
use fourbit::plan::Validation;

/// How long another process may take to make the environment, and when its lock counts as left
/// behind.
const PATIENCE: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(200);

/// The interpreter of an environment with `tests/requirements.txt`, made under `target` where it
/// is not there yet; `None`, said aloud, where it cannot be made. With `CI` set that is a failure.
pub fn python() -> Option<PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = PYTHON.get_or_init(|| {
        environment()
            .inspect_err(|problem| {
                assert!(std::env::var_os("CI").is_none(), "no Python to compare with: {problem}");
                eprintln!("SKIPPED: no comparison with onnx and onnxruntime: {problem}");
            })
            .ok()
    });
    made.clone()
}

/// Runs `tests/python/{name}`, if there is a Python for it.
pub fn run_script(name: &str, arguments: &[&str]) -> Option<Output> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name);
    Some(Command::new(python()?).arg(script).args(arguments).output().expect("the interpreter starts"))
}

/// A model before and after, with the largest difference allowed, relative to the largest value.
pub struct Pair {
    pub name: String,
    pub before: Model,
    pub after: Model,
    pub tolerance: f64,
}

/// Has the pairs checked and run side by side, all in one process.
pub fn assert_same(pairs: &[Pair]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |at: usize, which: &str| folder.path().join(format!("{at}-{which}.onnx"));
    let entries: Vec<serde_json::Value> = (0..)
        .zip(pairs)
        .map(|(at, pair)| {
            write(&pair.before, &path(at, "before"), false).expect("the model can be written");
            write(&pair.after, &path(at, "after"), false).expect("the model can be written");
            serde_json::json!({
                "name": pair.name, "tolerance": pair.tolerance,
                "before": path(at, "before"), "after": path(at, "after"),
            })
        })
        .collect();
    assert_agree(entries, folder.path());
}

/// A float model and a quantized one, and the SQNR that all float outputs have at least, in dB.
pub struct Near {
    pub name: String,
    pub float: PathBuf,
    pub quantized: PathBuf,
    pub least_db: f64,
    /// Samples to run instead of random inputs, an archive of NumPy's.
    pub samples: Option<PathBuf>,
    /// The SQNR of outputs that fourbit found on the same samples, in dB.
    pub reported: Vec<(String, f64)>,
    /// Whether the quantized model runs as onnxruntime does by default, layers fused into integers.
    pub fused: bool,
}

/// The SQNR of outputs that fourbit reports, in dB; a thousand where nothing differs.
pub fn reported(validation: &Validation) -> Vec<(String, f64)> {
    let outputs = validation.outputs.iter();
    outputs.map(|output| (output.name.clone(), output.sqnr_db.unwrap_or(1000.0))).collect()
}

/// Has the pairs checked and run side by side, all in one process.
pub fn assert_near(pairs: &[Near]) {
    let entries: Vec<serde_json::Value> = pairs
        .iter()
        .map(|pair| {
            serde_json::json!({
                "name": pair.name, "least_db": pair.least_db,
                "before": pair.float, "after": pair.quantized,
                "samples": pair.samples, "reported": pair.reported, "fused": pair.fused,
            })
        })
        .collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert_agree(entries, folder.path());
}

/// Has `compare_models.py` judge all entries; its list of them goes to `folder`.
fn assert_agree(entries: Vec<serde_json::Value>, folder: &Path) {
    let count = entries.len();
    let manifest = folder.join("manifest.json");
    fs::write(&manifest, serde_json::Value::from(entries).to_string()).expect("the manifest can be written");
    let Some(output) = run_script("compare_models.py", &[&manifest.to_string_lossy()]) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("{count} pairs agree")), "{said}");
}

fn environment() -> Result<PathBuf, String> {
    let python = |folder: &Path| folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let folder = made("python-env", include_str!("../requirements.txt"), |folder| {
        let requirements = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/requirements.txt");
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        run(Command::new(python(folder)).args(["-m", "pip", "install", "--quiet", "-r", requirements]))
    })?;
    Ok(python(&folder))
}

/// The folder of that name under `target`, which `make` fills where it was not made of what is wanted.
pub fn made(
    name: &str,
    wanted: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new("target"));
    let folder = target.join(name);
    let stamp = folder.join("made-of.txt");
    let ready = || fs::read_to_string(&stamp).is_ok_and(|content| content == wanted);
    if ready() {
        return Ok(folder);
    }
    let _lock = Lock::take(&target.join(format!("{name}.lock")))?;
    if !ready() {
        let left = if folder.exists() { fs::remove_dir_all(&folder) } else { Ok(()) };
        left.and_then(|()| fs::create_dir_all(&folder)).map_err(|error| error.to_string())?;
        make(&folder)?;
        fs::write(&stamp, wanted).map_err(|error| error.to_string())?;
    }
    Ok(folder)
}

/// Runs a program that has to end well.
pub fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// A folder that only one process can make.
struct Lock(PathBuf);

impl Lock {
    fn take(path: &Path) -> Result<Self, String> {
        let start = Instant::now();
        loop {
            match fs::create_dir(path) {
                Ok(()) => return Ok(Self(path.to_owned())),
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.to_string()),
                Err(_) if abandoned(path) => drop(fs::remove_dir(path)),
                Err(_) if start.elapsed() > PATIENCE => return Err(format!("{} stays", path.display())),
                Err(_) => std::thread::sleep(POLL),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

fn abandoned(path: &Path) -> bool {
    let made = fs::metadata(path).and_then(|metadata| metadata.modified());
    made.is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age > PATIENCE))
}
