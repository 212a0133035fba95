//! Batches whose models, or whose results, are beyond a network.
//!
//! The bucket is one of `s3s-fs`, a server of the protocol of S3 that keeps objects as files, checks signatures and takes uploads in
//! parts: real requests and real refusals, and files that can be looked at and broken behind its back. It needs no other program. Its
//! listings lack the tags that S3, MinIO and Garage have in theirs; `server.rs` adds these, and counts what is fetched.

mod server;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::batch::{same, tree};
use server::{Server, batch, ended, hexadecimal};

/// Three models in `root`, one of them broken, one with samples and one with a side file.
fn zoo(root: &Path) {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    for (from, to) in [
        ("waves_recurrent/model.onnx", "audio ü/waves recurrent.onnx"),
        ("shapes_mobile/model.onnx", "vision/mobile/model.onnx"),
        ("shapes_mobile/test_data_set_0/input_0.pb", "vision/mobile/test_data_set_0/input_0.pb"),
    ] {
        let to = root.join(to);
        fs::create_dir_all(to.parent().expect("a folder")).expect("it can be made");
        fs::copy(models.join(from), to).expect("a copy");
    }
    fs::create_dir_all(root.join("broken")).expect("a folder");
    fs::write(root.join("broken/text.onnx"), b"hello, this is a text\n").expect("it can be written");
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("the file")).expect("JSON")
}

#[test]
fn a_batch_from_bucket_to_bucket_is_a_local_one() {
    let server = Server::start();
    zoo(&server.bucket().join("models"));
    let local = server.folder.path().join("local");
    let models = server.bucket().join("models");
    server.run(&[&models.to_string_lossy(), "-o", "local", "--precision", "w4", "-q"], 3);
    let far = ["s3://zoo/models", "-o", "s3://zoo/small", "--precision", "w4", "-q", "--jobs", "1"];
    // Killed when the first result is there, and later ones are not.
    let mut child =
        server.batch(&far).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let begun = Instant::now();
    while !server.bucket().join("small/vision/mobile/model.plan.json").exists() {
        assert!(begun.elapsed() < Duration::from_secs(30) && child.try_wait().expect("a status").is_none());
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("a status");
    assert!(!server.bucket().join("small/summary.json").exists());
    server.run(&far, 3);
    let out = server.bucket().join("small");
    same(&local, &out);

    // Nothing is fetched to find out that nothing is to be done.
    server.fetched();
    let kept = [&far[..], &["--keep-failures"]].concat();
    server.run(&kept, 3);
    assert!(server.fetched().is_empty());
    // Another content is another model, another date is not; a result that was changed is made again.
    fs::copy(models.join("audio ü/waves recurrent.onnx"), models.join("broken/text.onnx")).expect("a copy");
    fs::write(out.join("vision/mobile/model.onnx"), b"changed").expect("it can be written");
    server.run(&far, 0);
    let fetched = server.fetched();
    assert!(!fetched.contains(&"models/audio ü/waves recurrent.onnx".to_owned()), "{fetched:?}");
    assert_eq!(fetched.len(), 3, "{fetched:?}");
    server.run(&[&models.to_string_lossy(), "-o", "local", "--precision", "w4", "-q"], 0);
    same(&local, &out);

    // Parts of it come together as the whole.
    for shard in ["1/2", "2/2"] {
        server.run(
            &["s3://zoo/models", "-o", "s3://zoo/parts", "--precision", "w4", "-q", "--shard", shard],
            0,
        );
    }
    server.run(&["--merge", "s3://zoo/parts"], 0);
    same(&local, &server.bucket().join("parts"));
    fs::remove_file(server.bucket().join("parts/vision/mobile/model.onnx")).expect("it can be removed");
    let said = server.run(&["--merge", "s3://zoo/parts"], 1);
    assert!(said.contains("vision/mobile/model.onnx"), "{said}");
}

#[test]
fn one_end_may_be_here() {
    let server = Server::start();
    let models = server.bucket().join("models");
    zoo(&models);
    fs::remove_dir_all(models.join("broken")).expect("it can be removed");
    // Large enough to go in parts: a name takes room in the file and does not change what is quantized.
    let mut large = fs::read(models.join("audio ü/waves recurrent.onnx")).expect("the model");
    // Field 6 of a model, its documentation.
    let text = vec![b'x'; 9 << 20];
    large.push(0x32);
    let mut length = text.len();
    while length > 0x7f {
        large.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    large.push(length as u8);
    large.extend(text);
    fs::write(models.join("large.onnx"), large).expect("it can be written");
    let path = models.to_string_lossy();
    server.run(&[&path, "-o", "local", "--precision", "w4", "-q"], 0);
    server.run(&[&path, "-o", "s3://zoo/up", "--precision", "w4", "-q", "--work", "work"], 0);
    assert!(server.parts.load(Ordering::Relaxed) >= 2);
    server.run(&["s3://zoo/models/", "-o", "down", "--precision", "w4", "-q", "--keep-work"], 0);
    let local = server.folder.path().join("local");
    same(&local, &server.bucket().join("up"));
    let down = server.folder.path().join("down");
    let kept = down.join(".fourbit/work");
    assert!(tree(&kept).len() == 4, "{:?}", tree(&kept).keys());
    fs::remove_dir_all(kept).expect("it can be removed");
    same(&local, &down);
    assert_eq!(fs::read_dir(server.folder.path().join("work")).expect("the folder").count(), 1, "the lock");

    // A list names samples with itself in the bucket; a result that lost what was seen of it is compared by its content.
    fs::write(
        server.bucket().join("list.toml"),
        "[defaults]\nprecision = 'w4'\n[[model]]\npath = 'models/vision/mobile/model.onnx'\n\
         calibration = 'models/vision/mobile'\n[[model]]\npath = '/etc/hosts.onnx'\n[[model]]\npath = 'gone.onnx'\n",
    )
    .expect("it can be written");
    let list = ["s3://zoo/list.toml", "-o", "s3://zoo/listed", "-q"];
    server.run(&list, 3);
    let listed = server.bucket().join("listed");
    let rows = fs::read_to_string(listed.join("summary.csv")).expect("the table");
    assert!(
        rows.contains("does not lie below s3://zoo") && rows.contains("gone.onnx,failed,it is not there"),
        "{rows}"
    );
    let report = json(&listed.join("models/vision/mobile/model.report.json"));
    assert_eq!(report["calibration"]["samples"], 1, "{report}");
    fs::remove_dir_all(listed.join(".fourbit/seen")).expect("it can be removed");
    let said = server.run(&[&list[..3], &["--format", "json"]].concat(), 3);
    assert!(said.contains("\"skipped\"") && !said.contains("\"finished\""), "{said}");
}

#[test]
fn what_cannot_be_reached_is_told() {
    let server = Server::start();
    zoo(&server.bucket());
    let far = ["s3://zoo", "-o", "out", "--precision", "w4"];
    let told = |arguments: &[&str], set: &[(&str, &str)], words: &[&str]| {
        let mut command = server.batch(arguments);
        let said = ended(command.envs(set.iter().copied()).output().expect("it starts"), 1);
        assert!(words.iter().all(|word| said.contains(word)), "{arguments:?} {set:?}: {said}");
    };
    // Nobody listens where somebody did.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("an address");
    let nowhere = format!("http://{free}");
    thread::scope(|scope| {
        scope.spawn(|| {
            told(
                &["s3://zoo", "-o", "other"],
                &[("AWS_ENDPOINT_URL", &nowhere)],
                &["s3://zoo", "refused", "AWS_ENDPOINT_URL"],
            )
        });
        let manifest = format!("{nowhere}/ONNX_HUB_MANIFEST.json");
        scope.spawn(move || told(&[&manifest, "-o", "third"], &[], &[&manifest, "refused"]));
        for (name, value) in [("AWS_SECRET_ACCESS_KEY", "wrong"), ("AWS_ACCESS_KEY_ID", "nobody")] {
            told(&far, &[(name, value)], &["s3://zoo", "access is refused", "AWS_ACCESS_KEY_ID"]);
        }
        told(&far, &[("AWS_ALLOW_HTTP", "false")], &["s3://zoo", "AWS_ALLOW_HTTP"]);
        told(&far, &[("AWS_ENDPOINT_URL", "no URL")], &["s3://zoo", "AWS_ENDPOINT_URL"]);
        told(&["s3://none/models", "-o", "out"], &[], &["no bucket none"]);
        told(&["s3://zoo/vision", "-o", "s3://none/out"], &[], &["no bucket none"]);
        told(&["s3://zoo/nothing", "-o", "out"], &[], &["no models in s3://zoo/nothing"]);
        told(&["s3://zoo/list.toml", "-o", "out"], &[], &["s3://zoo/list.toml: it is not there"]);
        told(&["s3://zoo/vision/mobile/model.onnx", "-o", "out"], &[], &["single model"]);
        told(&["s3://zoo", "-o", "s3://zoo/"], &[], &["both the source and the output"]);
        told(&["s3://zoo", "-o", "out", "--work", "s3://zoo/work"], &[], &["--work s3://zoo/work", "folder"]);
        told(&["https://localhost/models", "-o", "out"], &[], &["web server", "ONNX_HUB_MANIFEST.json"]);
        told(
            &["s3://zoo", "-o", "https://localhost/out"],
            &[],
            &["https://localhost/out", "only gives files"],
        );
        told(&["gs://zoo", "-o", "out"], &[], &["gs://", "s3://"]);
        told(&["--merge", "s3://zoo"], &[], &["no shard", "--shard"]);
    });
}

#[test]
fn one_model_may_be_asked_for_in_several_ways() {
    let server = Server::start();
    zoo(&server.bucket());
    let mut list = String::new();
    for at in 0..6 {
        let precision = ["w4", "w8"][at % 2];
        list += &format!(
            "[[model]]\npath = 'vision/mobile/model.onnx'\nname = 'n{at}.onnx'\ncalibration = 'vision/mobile'\nprecision = '{precision}'\n"
        );
    }
    fs::write(server.bucket().join("list.toml"), list).expect("it can be written");
    let path = server.bucket().join("list.toml");
    server.run(&[&path.to_string_lossy(), "-o", "local", "-q"], 0);
    server.run(&["s3://zoo/list.toml", "-o", "far", "-q", "--jobs", "3"], 0);
    same(&server.folder.path().join("local"), &server.folder.path().join("far"));
    // Samples that are not there are told as models are.
    let lost = "[[model]]\npath = 'vision/mobile/model.onnx'\nprecision = 'w4'\n";
    for (calibration, word) in
        [("gone.npz", "calibration: it is not there"), ("../x", "does not lie below s3://zoo")]
    {
        fs::write(&path, format!("{lost}calibration = '{calibration}'\n")).expect("it can be written");
        server.run(&["s3://zoo/list.toml", "-o", "lost", "-q"], 1);
        let rows = fs::read_to_string(server.folder.path().join("lost/summary.csv")).expect("the table");
        assert!(rows.contains(word), "{rows}");
    }
}

/// A server of files, ended when this is dropped.
struct Web(Child);

impl Drop for Web {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_manifest_on_a_web_server_is_a_source() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("zoo of models");
    zoo(&root);
    let sum = |name: &str| hexadecimal(&fs::read(root.join(name)).expect("the model"));
    let (waves, mobile) = ("audio ü/waves recurrent.onnx", "vision/mobile/model.onnx");
    let row =
        |name: &str, sum: String| serde_json::json!({"model_path": name, "metadata": {"model_sha": sum}});
    let rows = |mobile_sum: String| {
        let rows = [row(waves, sum(waves)), row(mobile, mobile_sum), row("gone.onnx", String::new())];
        fs::write(root.join("ONNX_HUB_MANIFEST.json"), Value::from(rows.to_vec()).to_string())
            .expect("the manifest");
    };
    rows(sum(waves));
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("an address");
    let mut python = Command::new("python3");
    python
        .args(["-m", "http.server", "--bind", "127.0.0.1", &free.port().to_string()])
        .current_dir(folder.path());
    let Ok(server) = python.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        assert!(std::env::var_os("CI").is_none(), "no Python");
        return eprintln!("SKIPPED: no Python for a web server");
    };
    let _server = Web(server);
    let begun = Instant::now();
    while std::net::TcpStream::connect(free).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not come up");
        thread::sleep(Duration::from_millis(20));
    }
    let url = format!("http://{free}/zoo%20of%20models/ONNX_HUB_MANIFEST.json");
    let arguments = [url.as_str(), "-o", "out", "--precision", "w4", "-q"];
    let run = || ended(batch(folder.path(), &arguments).output().expect("it starts"), 3);
    run();
    let table = || fs::read_to_string(folder.path().join("out/summary.csv")).expect("the table");
    assert!(
        table().contains("model_sha") && table().contains("gone.onnx,failed,it is not there"),
        "{}",
        table()
    );
    rows(sum(mobile));
    run();
    assert!(!table().contains("model_sha") && table().matches("converted").count() == 2, "{}", table());
    // A model that cannot be had for a while takes nothing with it; what was converted before it comes back as it was.
    let out = folder.path().join("out");
    let before = tree(&out);
    fs::rename(root.join(mobile), root.join("away")).expect("it can be moved");
    run();
    assert!(table().contains(&format!("{mobile},failed,it is not there")), "{}", table());
    for name in [mobile, "vision/mobile/model.report.json"] {
        assert!(fs::read(out.join(name)).ok() == before.get(Path::new(name)).cloned(), "{name}");
    }
    let merged = ended(batch(folder.path(), &["--merge", "out", "-q"]).output().expect("it starts"), 3);
    assert!(table().contains(&format!("{mobile},failed,it is not there")), "{merged}");
    fs::rename(root.join("away"), root.join(mobile)).expect("it can be moved");
    run();
    same(&out, &{
        let kept = folder.path().join("kept");
        for (name, content) in &before {
            let path = kept.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
            fs::write(path, content).expect("it can be written");
        }
        kept
    });
    // As from a folder; the samples beside a model are not seen from afar.
    fs::remove_dir_all(root.join("vision/mobile/test_data_set_0")).expect("it can be removed");
    let local = ["zoo of models/ONNX_HUB_MANIFEST.json", "-o", "local", "--precision", "w4", "-q"];
    ended(batch(folder.path(), &local).output().expect("it starts"), 3);
    for name in [waves, mobile, "vision/mobile/model.report.json"] {
        let read = |out: &str| fs::read(folder.path().join(out).join(name)).expect("a result");
        assert!(read("out") == read("local"), "{name}");
    }
}
