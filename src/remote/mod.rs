//! Files beyond a network: buckets of S3 and what speaks like it, read and written, and web servers, read alone.
//!
//! What is asked for is done when a call returns: the runtime that the protocols need stays in this room. Requests that fail for a
//! while are made again by `object_store`, with growing pauses.

mod environment;
mod fault;
mod place;
mod transfer;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use object_store::aws::AmazonS3ConfigKey;
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{
    ClientConfigKey, ClientOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig,
};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result};
use fault::Asked;
pub use place::{Address, Place};

/// Time between two looks at whether anybody still waits.
const LOOK: Duration = Duration::from_millis(100);
/// How long a server may say nothing in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(60);
/// One object as a listing or a server's answer has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its name below the place, `/` between folders.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// What changes with its content, where the server says so.
    pub etag: Option<String>,
    /// Its version, in a bucket that keeps several.
    pub version: Option<String>,
}

impl Object {
    /// Whether an object that looks like this one has the content of this one.
    pub fn is_certain(&self) -> bool {
        // A weak tag stands for what means the same, not for the same bytes.
        self.etag.as_ref().is_some_and(|etag| !etag.starts_with("W/"))
    }
}

/// A place beyond the network that can be reached.
#[derive(Debug)]
pub struct Remote {
    address: Address,
    store: Arc<dyn ObjectStore>,
    runtime: Runtime,
}

impl Remote {
    /// Gets ready to ask; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Remote`] where the environment says what makes no sense.
    pub fn open(address: &Address) -> Result<Self> {
        static TLS: Once = Once::new();
        // Whoever has chosen before has chosen for the whole process.
        TLS.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        // Ten times more within three minutes, with growing pauses.
        let retry = RetryConfig::default();
        let wrong = |error| fault::error(&error, address, "", Asked::Open);
        let store: Arc<dyn ObjectStore> = match address {
            Address::Bucket { bucket, .. } => {
                let builder = environment::builder(std::env::vars_os(), address)?;
                let mut builder = builder.with_bucket_name(bucket).with_retry(retry);
                // By default a request may take 30 seconds, which large objects exceed.
                for (name, key, value) in [
                    ("AWS_TIMEOUT", ClientConfigKey::Timeout, "1day".to_owned()),
                    ("AWS_READ_TIMEOUT", ClientConfigKey::ReadTimeout, format!("{}s", SILENCE.as_secs())),
                ] {
                    if std::env::var_os(name).is_none() {
                        builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
                    }
                }
                Arc::new(builder.build().map_err(wrong)?)
            }
            Address::Web { url } => {
                let client = ClientOptions::new()
                    .with_allow_http(true)
                    .with_timeout_disabled()
                    .with_read_timeout(SILENCE);
                let builder = HttpBuilder::new().with_url(url).with_client_options(client).with_retry(retry);
                Arc::new(builder.build().map_err(wrong)?)
            }
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| Error::Remote {
            url: address.to_string(),
            problem: format!("this system cannot use its network: {error}"),
            remedy: "copy the files, and give their folder".into(),
        })?;
        Ok(Self { address: address.clone(), store, runtime })
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// All objects, by their names.
    ///
    /// # Errors
    /// [`Error::Remote`], also where `stop` says that nobody waits any more.
    pub fn list(&self, stop: &AtomicBool) -> Result<BTreeMap<String, Object>> {
        let prefix = self.address.prefix();
        let key = self.key("")?;
        let found = self.store.list((!prefix.is_empty()).then_some(&key));
        let found: Vec<ObjectMeta> = self.wait("", Asked::List, stop, found.try_collect())?;
        let below = |meta: ObjectMeta| {
            let name = meta.location.as_ref().strip_prefix(prefix)?;
            let name = if prefix.is_empty() { name } else { name.strip_prefix('/')? }.to_owned();
            (!name.is_empty()).then(|| (name.clone(), object(&name, meta)))
        };
        Ok(found.into_iter().filter_map(below).collect())
    }

    /// What is known of an object without fetching it; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Remote`]
    pub fn head(&self, name: &str, stop: &AtomicBool) -> Result<Option<Object>> {
        let key = self.key(name)?;
        let found = self.wait_for(stop, self.store.head(&key));
        let found = self.there(name, found)?;
        Ok(found.map(|meta| object(name, meta)))
    }

    /// Takes an object away, if it is there.
    ///
    /// # Errors
    /// [`Error::Remote`]
    pub fn remove(&self, name: &str) -> Result<()> {
        let key = self.key(name)?;
        let never = AtomicBool::new(false);
        let done = self.wait_for(&never, self.store.delete(&key));
        self.there(name, done).map(drop)
    }

    /// The full name of an object, as the store has it.
    fn key(&self, name: &str) -> Result<Key> {
        let text = self.address.key(name);
        Key::parse(&text).map_err(|error| Error::Remote {
            url: self.address.join(name).to_string(),
            problem: format!("no object can be asked for by this name: {error}"),
            remedy: "rename it".into(),
        })
    }

    /// Nothing where there is nothing.
    fn there<T>(&self, name: &str, found: Option<object_store::Result<T>>) -> Result<Option<T>> {
        match found {
            Some(Ok(found)) => Ok(Some(found)),
            Some(Err(object_store::Error::NotFound { .. })) => Ok(None),
            Some(Err(error)) => Err(fault::error(&error, &self.address, name, Asked::Get)),
            None => Err(fault::stopped(&self.address, name)),
        }
    }

    fn wait<T>(
        &self,
        name: &str,
        asked: Asked,
        stop: &AtomicBool,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T> {
        match self.wait_for(stop, work) {
            Some(done) => done.map_err(|error| fault::error(&error, &self.address, name, asked)),
            None => Err(fault::stopped(&self.address, name)),
        }
    }

    /// Does `work`, unless `stop` says that nobody waits for it any more.
    fn wait_for<T>(&self, stop: &AtomicBool, work: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async {
            let mut work = std::pin::pin!(work);
            loop {
                if stop.load(Ordering::Relaxed) {
                    return None;
                }
                if let Ok(done) = tokio::time::timeout(LOOK, work.as_mut()).await {
                    return Some(done);
                }
            }
        })
    }
}

fn object(name: &str, meta: ObjectMeta) -> Object {
    Object { name: name.to_owned(), bytes: meta.size, etag: meta.e_tag, version: meta.version }
}
