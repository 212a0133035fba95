//! Content on its way: fetched in pieces to a file or a digest, and sent, in parts where there is much of it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use futures_util::StreamExt as _;
use object_store::{ObjectStoreExt as _, PutResult, WriteMultipart};

use super::fault::{self, Asked};
use super::store::{Remote, object};
use crate::error::{Error, Result};
use crate::files;
use crate::place::Object;

/// Bytes that are sent at once; larger files go in parts of so many.
const PART: u64 = 8 << 20;
/// Parts of one file, of which S3 takes 10000.
const PARTS: u64 = 9000;
/// Parts that are on their way together: each lies in memory.
const TOGETHER: usize = 4;
/// The longest object that is taken into memory.
const MOST: u64 = 256 << 20;
/// How often the fetching of a file is begun, where it breaks off and the server cannot go on from there.
const BEGINNINGS: usize = 3;

impl Remote {
    /// The content of a small object; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Remote`]
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let mut content = Vec::new();
        let found = self.each(name, &mut |piece| {
            content.extend_from_slice(piece);
            match content.len() as u64 > MOST {
                true => Err(Error::Remote {
                    url: self.address.join(name).to_string(),
                    problem: "it is too large for what it should be".into(),
                    remedy: "check the name".into(),
                }),
                false => Ok(()),
            }
        })?;
        Ok(found.map(|_| content))
    }

    /// Hands over the content of an object, piece after piece; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Remote`], or what `take` says.
    pub fn each(&self, name: &str, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Option<Object>> {
        let key = self.key(name)?;
        let answer = self.wait_for(self.store().get(&key));
        let Some(answer) = self.there(name, answer)? else { return Ok(None) };
        let found = object(name, answer.meta.clone());
        let (mut pieces, mut bytes) = (answer.into_stream(), 0u64);
        loop {
            let piece = match self.wait_for(pieces.next()) {
                Some(Some(Ok(piece))) => piece,
                Some(Some(Err(error))) => return Err(fault::error(&error, &self.address, name, Asked::Get)),
                Some(None) => break,
                None => return Err(fault::stopped(&self.address, name)),
            };
            bytes += piece.len() as u64;
            take(&piece)?;
        }
        match bytes == found.bytes {
            true => Ok(Some(found)),
            false => Err(self.changed(name, format!("{bytes} bytes came of {}", found.bytes))),
        }
    }

    /// Fetches `wanted` into a file, which has its name when it is whole. Gives what was fetched.
    ///
    /// # Errors
    /// [`Error::Remote`], also where it has become another since it was listed, and [`Error::Write`].
    pub fn fetch(&self, wanted: &Object, to: &Path) -> Result<Object> {
        let name = wanted.name.as_str();
        let folder = to.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(Error::write(folder))?;
        let mut beginnings = 1;
        let (part, found) = loop {
            let mut part = tempfile::NamedTempFile::new_in(folder).map_err(Error::write(to))?;
            match self.each(name, &mut |piece| part.write_all(piece).map_err(Error::write(to))) {
                Err(Error::Remote { .. }) if beginnings < BEGINNINGS && !self.is_halted() => beginnings += 1,
                found => break (part, found?),
            }
        };
        let found = found.ok_or_else(|| {
            let url = self.address.join(name).to_string();
            let problem = "it is not there any more".into();
            Error::Remote { url, problem, remedy: "start again".into() }
        })?;
        let differ = |one: &Option<String>, other: &Option<String>| {
            one.as_ref().zip(other.as_ref()).is_some_and(|(one, other)| one != other)
        };
        if found.bytes != wanted.bytes || differ(&found.etag, &wanted.etag) {
            return Err(self.changed(name, "it is another than it was a while ago".into()));
        }
        part.persist(to).map_err(|error| Error::write(to)(error.error))?;
        Ok(found)
    }

    /// Keeps `content` under `name`.
    ///
    /// # Errors
    /// [`Error::Remote`]
    pub fn put(&self, name: &str, content: Vec<u8>) -> Result<Object> {
        let (key, bytes) = (self.key(name)?, content.len() as u64);
        let put = self.wait(name, Asked::Put, self.store().put(&key, content.into()))?;
        Ok(kept(name, bytes, put))
    }

    /// Keeps the content of a file under `name`, in parts where there is much of it.
    ///
    /// # Errors
    /// [`Error::Remote`] and [`Error::Read`]: then nothing is kept.
    pub fn send(&self, from: &Path, name: &str) -> Result<Object> {
        let bytes = fs::metadata(from).map_err(Error::read(from))?.len();
        if bytes <= PART {
            return self.put(name, files::read(from)?);
        }
        let key = self.key(name)?;
        let size = PART.max(bytes.div_ceil(PARTS));
        let file = files::open(from)?;
        let upload = self.wait(name, Asked::Put, self.store().put_multipart(&key))?;
        let mut upload =
            WriteMultipart::new_with_chunk_size(upload, usize::try_from(size).unwrap_or(usize::MAX));
        let mut sent = 0;
        loop {
            let mut part = Vec::new();
            let ready = self.wait(name, Asked::Put, upload.wait_for_capacity(TOGETHER));
            let read =
                ready.and_then(|()| (&file).take(size).read_to_end(&mut part).map_err(Error::read(from)));
            if let Err(error) = read {
                // Parts that stay are the store's to clear; what went wrong is told.
                drop(self.wait(name, Asked::Put, upload.abort()));
                return Err(error);
            }
            if part.is_empty() {
                break;
            }
            sent += part.len() as u64;
            // Tasks of the upload need the runtime to begin.
            let _inside = self.runtime.enter();
            upload.put(part.into());
        }
        let put = self.wait(name, Asked::Put, upload.finish())?;
        Ok(kept(name, sent, put))
    }

    fn changed(&self, name: &str, problem: String) -> Error {
        Error::Remote { url: self.address.join(name).to_string(), problem, remedy: "start again".into() }
    }
}

fn kept(name: &str, bytes: u64, put: PutResult) -> Object {
    Object { name: name.to_owned(), bytes, etag: put.e_tag, version: put.version }
}
