//! A server of buckets within the test itself.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const KEY: &str = "key";
const SECRET: &str = "a-secret-of-no-worth";

/// The server's storage, with the tags of objects in its listings.
struct Tagged {
    storage: FileSystem,
    root: PathBuf,
    fetched: Arc<Mutex<Vec<String>>>,
    parts: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl S3 for Tagged {
    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let folder = self.root.join(&request.input.bucket);
        let mut found = self.storage.list_objects_v2(request).await?;
        for object in found.output.contents.iter_mut().flatten() {
            let content =
                fs::read(folder.join(object.key.as_deref().unwrap_or_default())).unwrap_or_default();
            object.e_tag = Some(tag(&content));
        }
        Ok(found)
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let path = self.root.join(&request.input.bucket).join(&request.input.key);
        self.fetched.lock().unwrap().push(request.input.key.clone());
        let mut found = self.storage.get_object(request).await?;
        found.output.e_tag = Some(tag(&fs::read(path).unwrap_or_default()));
        Ok(found)
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let path = self.root.join(&request.input.bucket).join(&request.input.key);
        let mut put = self.storage.put_object(request).await?;
        put.output.e_tag = Some(tag(&fs::read(path).unwrap_or_default()));
        Ok(put)
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.parts.fetch_add(1, Ordering::Relaxed);
        self.storage.upload_part(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let path = self.root.join(&request.input.bucket).join(&request.input.key);
        let mut put = self.storage.complete_multipart_upload(request).await?;
        put.output.e_tag = Some(tag(&fs::read(path).unwrap_or_default()));
        Ok(put)
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.storage.head_object(request).await
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.storage.delete_object(request).await
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.storage.delete_objects(request).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.storage.create_multipart_upload(request).await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.storage.abort_multipart_upload(request).await
    }
}

pub fn hexadecimal(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tag(content: &[u8]) -> ETag {
    format!("\"{}\"", hexadecimal(content))
}

/// A server with one bucket, `zoo`, until the tests end.
pub struct Server {
    pub folder: TempDir,
    endpoint: String,
    fetched: Arc<Mutex<Vec<String>>>,
    pub parts: Arc<AtomicUsize>,
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("buckets");
        fs::create_dir_all(root.join("zoo")).expect("a bucket");
        let (fetched, parts) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let storage = FileSystem::new(&root).expect("a storage");
        let tagged = Tagged { storage, root, fetched: Arc::clone(&fetched), parts: Arc::clone(&parts) };
        let mut service = S3ServiceBuilder::new(tagged);
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = service.build().into_shared();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                listener.set_nonblocking(true).expect("a mode");
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                while let Ok((socket, _)) = listener.accept().await {
                    let service = service.clone();
                    tokio::spawn(async move {
                        let server = Builder::new(TokioExecutor::new());
                        // Whoever asks may be killed meanwhile.
                        drop(server.serve_connection(TokioIo::new(socket), service).await);
                    });
                }
            });
        });
        Self { folder, endpoint, fetched, parts }
    }

    pub fn bucket(&self) -> PathBuf {
        self.folder.path().join("buckets/zoo")
    }

    /// What was fetched since this was asked last, but for our own files.
    pub fn fetched(&self) -> Vec<String> {
        let mut fetched = std::mem::take(&mut *self.fetched.lock().unwrap());
        fetched.retain(|name| !name.contains("/.fourbit/") && !name.ends_with("timings.csv"));
        fetched.sort();
        fetched
    }

    pub fn batch(&self, arguments: &[&str]) -> Command {
        let mut command = batch(self.folder.path(), arguments);
        command.envs([
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
        ]);
        command
    }

    pub fn run(&self, arguments: &[&str], code: i32) -> String {
        ended(self.batch(arguments).output().expect("it starts"), code)
    }
}

pub fn batch(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fourbit"));
    command.arg("batch").args(arguments).current_dir(folder).env("TMPDIR", folder);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_uppercase();
        if text.starts_with("AWS_") || text.ends_with("_PROXY") || text.ends_with("_INDEX") {
            command.env_remove(&name);
        }
    }
    command.env_remove("SLURM_ARRAY_TASK_ID");
    command
}

/// What was said, with the exit code `code` and without the secret.
pub fn ended(output: Output, code: i32) -> String {
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).join("\n");
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    said
}
