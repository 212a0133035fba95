//! Written files in many runtimes, each beside the float model that says the same.

mod runtimes;

use std::fs;
use std::path::{Path, PathBuf};

use fourbit::onnx::build::value;
use fourbit::onnx::{Dtype, Model, read, tensor, value_shape, write};
use fourbit::options::{Storage, Target, Wishes};
use fourbit::prepare::prepare;
use fourbit::rewrite::{Dialect, lower};
use fourbit::runtime::Session;
use serde_json::{Value, json};

use super::oracle::{python, run_script};
use super::targets::{converted, model};

/// Models of one operator each, at this opset.
const OPERATORS: &[&str] = &["Conv", "ConvTranspose", "Gather", "Gemm", "MatMul", "LSTM", "GRU", "RNN"];
const OPSET: i64 = 13;
/// Folders of `models` whose files have operators of the standard alone.
const MODELS: &[&str] = &["digits_attention", "shapes_mobile", "shapes_resnet", "waves_recurrent"];

/// Of the largest output, where nothing but the order of additions differs.
const SAME: f64 = 1e-4;
/// dB, where activations are rounded on the way and may fall on a neighbouring code.
const ROUNDED: f64 = 30.0;

/// Runtimes that must agree wherever they take the float model, but for what stands with a form. candle is not among them: of
/// codes it knows UINT8 alone.
const EVERYWHERE: &[&str] =
    &["onnxruntime", "onnxruntime-1.17", "onnxruntime-web", "openvino", "opencv", "rten"];

/// Those that know 4-bit types.
const NEWEST: &[&str] = &["onnxruntime", "onnxruntime-web", "openvino"];

/// A form of files, and where they say the same as the float model.
struct Form {
    target: &'static str,
    precision: &'static str,
    storage: Storage,
    runtimes: &'static [&'static str],
    /// Models and operators that a runtime refuses in this form, or computes otherwise.
    except: &'static [(&'static str, &'static [&'static str])],
}

const FORMS: &[Form] = &[
    Form { target: "portable", precision: "w4", storage: Storage::Bytes, runtimes: EVERYWHERE, except: &[] },
    Form { target: "portable", precision: "w3", storage: Storage::Bytes, runtimes: EVERYWHERE, except: &[] },
    Form {
        target: "portable",
        precision: "w4a8",
        storage: Storage::Bytes,
        runtimes: EVERYWHERE,
        except: &[],
    },
    Form { target: "ort-cpu", precision: "w4", storage: Storage::Cast, runtimes: NEWEST, except: &[] },
    Form { target: "ort-cpu", precision: "w4a8", storage: Storage::Cast, runtimes: NEWEST, except: &[] },
    Form {
        target: "generic",
        precision: "w4",
        storage: Storage::Int8,
        runtimes: EVERYWHERE,
        except: &[
            // Rounds the other factor of such a product to 8 bits as well, unless it is told not to.
            ("onnxruntime", &["Gemm", "MatMul", "digits_attention"]),
        ],
    },
    Form {
        target: "generic",
        precision: "w4a8",
        storage: Storage::Int8,
        runtimes: EVERYWHERE,
        except: &[
            // Its QGemm wants a zero point of as many elements as there are scales.
            ("onnxruntime-1.17", &["Gemm"]),
            // Wants weights of an LSTM as constants, and keeps the pairs in front of them where activations have pairs too.
            ("openvino", &["waves_recurrent"]),
        ],
    },
];

#[test]
fn files_say_the_same_in_every_runtime_that_takes_them() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut models: Vec<(&str, Model)> = Vec::new();
    models.extend(OPERATORS.iter().map(|operator| (*operator, shaped(model(operator, OPSET)))));
    for name in MODELS {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name).join("model.onnx");
        models.push((name, prepare(read(&file).expect("a model"), OPSET).expect("it prepares").0));
    }
    let mut entries = Vec::new();
    for (name, model) in &models {
        write(model, &original(name, folder.path()), false).expect("it can be written");
        entries.extend(FORMS.iter().map(|form| entry(form, name, model, folder.path())));
    }
    let [manifest, commands] = ["manifest.json", "runtimes.json"].map(|name| folder.path().join(name));
    fs::write(&manifest, Value::from(entries).to_string()).expect("it can be written");
    fs::write(&commands, runtimes::commands(&python).to_string()).expect("it can be written");
    let arguments = [&manifest, &commands].map(|path| path.to_string_lossy());
    let Some(output) = run_script("everywhere.py", &arguments.each_ref().map(|it| &**it)) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn original(name: &str, folder: &Path) -> PathBuf {
    folder.join(format!("{name}.onnx"))
}

/// Writes a model in a form, and what it stands for as a float model.
fn entry(form: &Form, name: &str, model: &Model, folder: &Path) -> Value {
    let Form { target, precision, storage, .. } = *form;
    let wishes = Wishes {
        precision: precision.parse().ok(),
        storage: Some(storage),
        matmul_nbits: Some(false),
        ..Wishes::default()
    };
    let options = Target::named(target).and_then(|target| wishes.options(target)).expect("options");
    let (_, shipped) = converted(model, &options);
    let name_of_all = format!("{name} {target} {precision} {}", storage.name());
    let [file, reference] = ["onnx", "reference.onnx"].map(|end| folder.join(format!("{name_of_all}.{end}")));
    write(&shipped, &file, false).expect("it can be written");
    write(&lower(&shipped, Dialect::Folded).expect("a view"), &reference, false).expect("it can be written");
    let excepted =
        |runtime: &str| form.except.iter().any(|(it, names)| *it == runtime && names.contains(&name));
    let runtimes: Vec<_> = form.runtimes.iter().filter(|runtime| !excepted(runtime)).collect();
    let mut entry = json!({
        "name": name_of_all, "file": file, "reference": reference, "runtimes": runtimes,
        "original": original(name, folder),
    });
    match options.activations {
        Some(_) => entry["least_db"] = ROUNDED.into(),
        None => entry["tolerance"] = SAME.into(),
    }
    entry
}

/// The model with the shapes of its outputs, without which OpenCV reads none.
fn shaped(mut model: Model) -> Model {
    let input = model.inputs().next().expect("an input");
    let (dtype, dims) = value_shape(input).expect("a shape");
    let dims: Vec<i64> = dims.into_iter().map(|dim| dim.expect("a size")).collect();
    let (dtype, size) = if dtype == Dtype::Float as i32 { (Dtype::Float, 4) } else { (Dtype::Int64, 8) };
    let zeros = tensor(input.name(), dtype, &dims, vec![0; dims.iter().product::<i64>() as usize * size]);
    let session = Session::new(&model, "float", &[]).expect("it loads");
    for output in session.run(&[zeros]).expect("it runs") {
        let dims: Vec<i64> = output.dims.iter().map(|&dim| dim as i64).collect();
        let all = &mut model.graph_mut().output;
        let found = all.iter_mut().find(|it| it.name() == output.name).expect("the output");
        *found = value(&output.name, Dtype::Float, &dims);
    }
    model
}
