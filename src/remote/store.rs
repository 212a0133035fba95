//! Requests to a place, made by `object_store`: when a call returns, what it asked for is done, and the runtime that the protocols need
//! stays in this room. Requests that fail for a while are made again, with growing pauses, and more patiently where there was an
//! answer before.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use object_store::aws::AmazonS3ConfigKey;
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig,
};
use tokio::runtime::{Builder, Runtime};

use super::environment;
use super::fault::{self, Asked};
use crate::error::{Error, Result};
use crate::place::{Address, Halt, Object};

/// Time between two looks at whether anybody still waits.
const LOOK: Duration = Duration::from_millis(100);
/// How long a server may say nothing in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(60);
/// Tries after the first one, the pause before the first of them, and how much a pause grows at most, of a request to a place that has
/// answered before: half a minute to two minutes. One that never has is most likely another one than was meant.
const PATIENT: (usize, Duration, f64) = (8, Duration::from_secs(1), 3.0);
const AT_FIRST: (usize, Duration, f64) = (3, Duration::from_millis(300), 2.0);
/// The longest pause, and the longest time for all tries together.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
const LONGEST: Duration = Duration::from_secs(180);

/// A place beyond the network that can be reached.
#[derive(Debug)]
pub struct Remote {
    pub(super) address: Address,
    /// Asked until there was an answer.
    at_first: Arc<dyn ObjectStore>,
    patient: Arc<dyn ObjectStore>,
    answered: AtomicBool,
    halt: Halt,
    pub(super) runtime: Runtime,
}

impl Remote {
    /// Gets ready to ask, as long as `halt` is not set; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Remote`] where the environment says what makes no sense.
    pub fn open(address: &Address, halt: Halt) -> Result<Self> {
        static TLS: Once = Once::new();
        // Whoever has chosen before has chosen for the whole process.
        TLS.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| Error::Remote {
            url: address.to_string(),
            problem: format!("this system cannot use its network: {error}"),
            remedy: "copy the files, and give their folder".into(),
        })?;
        let (at_first, patient) = (store(address, AT_FIRST)?, store(address, PATIENT)?);
        Ok(Self {
            address: address.clone(),
            at_first,
            patient,
            answered: AtomicBool::new(false),
            halt,
            runtime,
        })
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// All objects, by their names.
    ///
    /// # Errors
    /// [`Error::Remote`], also where nobody waits any more.
    pub fn list(&self) -> Result<BTreeMap<String, Object>> {
        let prefix = self.address.prefix();
        let key = self.key("")?;
        let store = self.store();
        let found = store.list((!prefix.is_empty()).then_some(&key));
        let found: Vec<ObjectMeta> = self.wait("", Asked::List, found.try_collect())?;
        let below = |meta: ObjectMeta| {
            let name = meta.location.as_ref().strip_prefix(prefix)?;
            let name = if prefix.is_empty() { name } else { name.strip_prefix('/')? }.to_owned();
            (!name.is_empty()).then(|| (name.clone(), object(&name, meta)))
        };
        Ok(without_folders(found.into_iter().filter_map(below).collect()))
    }

    /// What is known of an object without fetching it; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Remote`]
    pub fn head(&self, name: &str) -> Result<Option<Object>> {
        let key = self.key(name)?;
        let found = self.wait_for(self.store().head(&key));
        let found = self.there(name, found)?;
        Ok(found.map(|meta| object(name, meta)))
    }

    /// Takes an object away, if it is there.
    ///
    /// # Errors
    /// [`Error::Remote`]
    pub fn remove(&self, name: &str) -> Result<()> {
        let key = self.key(name)?;
        let done = self.wait_for(self.store().delete(&key));
        self.there(name, done).map(drop)
    }

    /// The full name of an object, as the store has it.
    pub(super) fn key(&self, name: &str) -> Result<Key> {
        let text = self.address.key(name);
        Key::parse(&text).map_err(|error| Error::Remote {
            url: self.address.join(name).to_string(),
            problem: format!("no object can be asked for by this name: {error}"),
            remedy: "rename it".into(),
        })
    }

    /// Nothing where there is nothing.
    pub(super) fn there<T>(&self, name: &str, found: Option<object_store::Result<T>>) -> Result<Option<T>> {
        match found {
            Some(Ok(found)) => Ok(Some(found)),
            Some(Err(object_store::Error::NotFound { .. })) => Ok(None),
            Some(Err(error)) => Err(fault::error(&error, &self.address, name, Asked::Get)),
            None => Err(fault::stopped(&self.address, name)),
        }
    }

    pub(super) fn wait<T>(
        &self,
        name: &str,
        asked: Asked,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T> {
        match self.wait_for(work) {
            Some(done) => done.map_err(|error| fault::error(&error, &self.address, name, asked)),
            None => Err(fault::stopped(&self.address, name)),
        }
    }

    /// Does `work`, unless nobody waits for it any more.
    pub(super) fn wait_for<T: Answer>(&self, work: impl Future<Output = T>) -> Option<T> {
        let done = self.runtime.block_on(async {
            let mut work = std::pin::pin!(work);
            loop {
                if self.halt.is_set() {
                    return None;
                }
                if let Ok(done) = tokio::time::timeout(LOOK, work.as_mut()).await {
                    return Some(done);
                }
            }
        });
        if done.as_ref().is_some_and(Answer::is_answer) {
            self.answered.store(true, Ordering::Relaxed);
        }
        done
    }

    pub(super) fn store(&self) -> &Arc<dyn ObjectStore> {
        if self.answered.load(Ordering::Relaxed) { &self.patient } else { &self.at_first }
    }

    /// Whether nobody waits any more.
    pub fn is_halted(&self) -> bool {
        self.halt.is_set()
    }

    /// Says so of `name`.
    pub fn halted(&self, name: &str) -> Error {
        fault::stopped(&self.address, name)
    }
}

/// What comes of a request.
pub(super) trait Answer {
    /// Whether a server said something.
    fn is_answer(&self) -> bool;
}

impl<T> Answer for object_store::Result<T> {
    fn is_answer(&self) -> bool {
        matches!(self, Ok(_) | Err(object_store::Error::NotFound { .. }))
    }
}

impl<T> Answer for Option<object_store::Result<T>> {
    fn is_answer(&self) -> bool {
        self.as_ref().is_some_and(Answer::is_answer)
    }
}

/// The library's way to `address`, which tries again `(tries, pause, growth)`.
fn store(address: &Address, (tries, pause, growth): (usize, Duration, f64)) -> Result<Arc<dyn ObjectStore>> {
    let backoff = BackoffConfig { init_backoff: pause, max_backoff: LONGEST_PAUSE, base: growth };
    let retry = RetryConfig { backoff, max_retries: tries, retry_timeout: LONGEST };
    let wrong = |error| fault::error(&error, address, "", Asked::Open);
    match address {
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
            Ok(Arc::new(builder.build().map_err(wrong)?))
        }
        Address::Web { url } => {
            let client =
                ClientOptions::new().with_allow_http(true).with_timeout_disabled().with_read_timeout(SILENCE);
            let builder = HttpBuilder::new().with_url(url).with_client_options(client).with_retry(retry);
            Ok(Arc::new(builder.build().map_err(wrong)?))
        }
    }
}

/// The same without empty objects that stand for folders, as some programs make them.
fn without_folders(mut found: BTreeMap<String, Object>) -> BTreeMap<String, Object> {
    let is_folder = |name: &String| {
        let inside = format!("{name}/");
        found.range(inside.clone()..).next().is_some_and(|(next, _)| next.starts_with(&inside))
    };
    let empty = found.iter().filter(|(_, object)| object.bytes == 0).map(|(name, _)| name);
    let folders: Vec<String> = empty.filter(|name| is_folder(name)).cloned().collect();
    folders.iter().for_each(|name| drop(found.remove(name)));
    found
}

pub(super) fn object(name: &str, meta: ObjectMeta) -> Object {
    Object { name: name.to_owned(), bytes: meta.size, etag: meta.e_tag, version: meta.version }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_no_objects() {
        let objects = [("a", 0), ("a-b", 0), ("a/b", 0), ("a/b/c", 1), ("d", 5), ("d/e", 1), ("f", 0)];
        let found = objects.map(|(name, bytes)| {
            (name.to_owned(), Object { name: name.into(), bytes, etag: None, version: None })
        });
        let left = without_folders(found.into());
        assert_eq!(left.keys().collect::<Vec<_>>(), ["a-b", "a/b/c", "d", "d/e", "f"]);
    }
}
