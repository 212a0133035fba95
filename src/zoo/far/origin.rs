//! A source beyond a network: its models, and the fetching of what one of them needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::slots::{Slot, Slots};
use super::{Inputs, search};
use crate::error::{Error, Result};
use crate::onnx::outline;
use crate::place::{Address, Halt, Object, Place};
use crate::remote::Remote;
use crate::samples::Samples;
use crate::zoo::settings::{Grammar, Settings};
use crate::zoo::source::manifest;
use crate::zoo::source::{Entry, Source};
use crate::zoo::{key, store};

/// Models that lie here beside those that are converted: the next one comes while others are at work.
const AHEAD: usize = 1;

/// The source.
#[derive(Debug)]
pub struct Origin {
    remote: Remote,
    /// All that is there, where that can be known.
    listing: Option<BTreeMap<String, Object>>,
    /// Whether digests of models are known from a manifest that names the models.
    is_manifest: bool,
    /// What names of models and of samples in lists begin with.
    base: PathBuf,
    /// Where fetched models lie.
    folder: PathBuf,
    slots: Arc<Slots>,
    keep: bool,
}

/// A model that lies here for now, with all that it needs.
#[derive(Debug)]
pub struct Fetched {
    /// The folder for it alone, in which files have their names below the source.
    pub root: PathBuf,
    /// Its file.
    pub path: PathBuf,
    /// Its options, with the samples that lie here.
    pub settings: Settings,
    /// What it looked like from afar.
    pub inputs: Inputs,
    keep: bool,
    slot: Mutex<Option<Slot>>,
}

impl Fetched {
    /// Lets another model come, though this one stays.
    pub fn make_way(&self) {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Takes it away, as nobody needs it any more.
    pub fn release(&self) {
        if !self.keep {
            // What stays goes with the working folder.
            drop(store::clear(&self.root));
        }
        self.make_way();
    }
}

impl Origin {
    /// Finds the models at `address`. What is fetched is to lie in `folder`, for `jobs` conversions at once, until `halt` is set.
    ///
    /// # Errors
    /// [`Error::Remote`] where it cannot be listed or read, [`Error::Options`] where it is of another kind, damaged, or names no
    /// model.
    pub fn open(
        address: &Address,
        out: &Place,
        grammar: &dyn Grammar,
        folder: &Path,
        (jobs, keep): (usize, bool),
        halt: Halt,
    ) -> Result<(Self, Source)> {
        let last = address.split();
        let ending = last.as_ref().and_then(|(_, name)| Some(name.rsplit_once('.')?.1.to_lowercase()));
        let list = match (ending.as_deref(), last) {
            (Some("toml" | "json"), Some(last)) => Some(last),
            (Some("onnx"), _) => return Err(Source::single(&address.to_string())),
            _ if !address.is_listable() => {
                return Err(Error::options(
                    format!("{address}: a web server does not say what a folder holds"),
                    "give the URL of an ONNX_HUB_MANIFEST.json, or of a list of models as .toml or .json, that lies there",
                ));
            }
            _ => None,
        };
        let base = list.as_ref().map_or(address, |(base, _)| base);
        let remote = Remote::open(base, halt)?;
        let listing = base.is_listable().then(|| remote.list()).transpose()?;
        let root = PathBuf::from(base.to_string());
        let (mut source, is_manifest) = match &list {
            Some((_, name)) => {
                let text = read(&remote, name)?;
                let path = root.join(name);
                let is_manifest =
                    std::str::from_utf8(&text).is_ok_and(|text| manifest::is_manifest(&path, text));
                (Source::parse(&path, text, grammar)?, is_manifest)
            }
            None => {
                let out = out.as_path();
                let inside = out.strip_prefix(&root).ok().and_then(store::name);
                let listing = listing.as_ref();
                let mut source =
                    search::search(&root, listing.unwrap_or(&BTreeMap::new()), inside.as_deref());
                if listing.is_some_and(|listing| listing.contains_key(manifest::NAME)) {
                    let text = read(&remote, manifest::NAME)?;
                    source.describe(&root.join(manifest::NAME), text);
                }
                (source, false)
            }
        };
        if listing.is_none() {
            source.notes.push(
                "a web server does not say what lies beside a model; samples are those that a list or an option names".into(),
            );
        }
        source.root.clone_from(&root);
        for entry in &mut source.entries {
            if entry.problem.is_none() && below(&root, &entry.path).is_none() {
                entry.problem = Some(format!("it does not lie below {}", root.display()));
            }
        }
        let source = source.finish(&address.to_string(), &out.as_path())?;
        let (folder, slots) = (folder.to_owned(), Slots::new(jobs.saturating_add(AHEAD)));
        Ok((Self { remote, listing, is_manifest, base: root, folder, slots, keep }, source))
    }

    /// Bytes of a model as far as they are known from afar, the same for whoever looks.
    pub fn bytes(&self, entry: &Entry) -> Option<u64> {
        let name = below(&self.base, &entry.path)?;
        match &self.listing {
            Some(listing) => {
                listing.get(&name)?;
                // Large tensors mostly lie in a file whose name is the model's and more.
                let all = listing.range(name.clone()..).take_while(|(other, _)| other.starts_with(&name));
                let beside = all.filter(|(other, _)| !other[name.len()..].contains('/'));
                Some(beside.map(|(_, object)| object.bytes).fold(0, u64::saturating_add))
            }
            None => entry.manifest.as_ref()?.get("metadata")?.get("model_bytes")?.as_u64(),
        }
    }

    /// What is asked for beside the model: as long as this and what was fetched are the same, so is the result.
    ///
    /// # Errors
    /// [`Error::Read`] where samples of this machine cannot be read.
    pub fn asked(&self, settings: &Settings, stop: &AtomicBool) -> Result<String> {
        key::asked(settings, &|path| below(&self.base, path), stop)
    }

    /// What a model is made of as it looks now, with side files of these names.
    ///
    /// # Errors
    /// [`Error::Remote`]
    pub fn objects(&self, entry: &Entry, settings: &Settings, sides: &[String]) -> Result<Vec<Object>> {
        let Some(model) = below(&self.base, &entry.path) else { return Ok(Vec::new()) };
        let folder = model.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let given: Vec<String> = settings.paths().filter_map(|(_, path)| below(&self.base, &path)).collect();
        let mut names: BTreeSet<&String> = given.iter().chain(sides).collect();
        names.insert(&model);
        let Some(listing) = &self.listing else {
            let found = names.into_iter().map(|name| self.remote.head(name));
            return Ok(found.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect());
        };
        let inside = |name: &String| {
            given
                .iter()
                .any(|folder| name.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/')))
        };
        let beside = |name: &String| name.strip_prefix(&folder).is_some_and(Samples::belongs);
        let wanted = |name: &&String| names.contains(name) || inside(name) || beside(name);
        Ok(listing.iter().filter(|(name, _)| wanted(name)).map(|(_, object)| object.clone()).collect())
    }

    /// The folder for what is fetched of a model: one model may be asked for more than once, under different names.
    pub fn place(&self, entry: &Entry) -> PathBuf {
        self.folder.join(store::hexadecimal(Sha256::new_with_prefix(&entry.name)))
    }

    /// Fetches a model and what it needs, when there is a place for it.
    ///
    /// # Errors
    /// [`Error::Remote`], also where nobody waits any more, and [`Error::Write`].
    pub fn fetch(&self, entry: &Entry, settings: &Settings, stop: &AtomicBool) -> Result<Fetched> {
        self.look_for(settings)?;
        let model = below(&self.base, &entry.path).unwrap_or_default();
        let Some(slot) = self.slots.take(&|| self.remote.is_halted()) else {
            return Err(self.remote.halted(&model));
        };
        let root = self.place(entry);
        store::empty(&root)?;
        let here = |path: &Path| below(&self.base, path).map(|name| root.join(name));
        let mut fetched = Fetched {
            path: root.join(&model),
            settings: settings.moved(&here),
            inputs: Inputs { asked: self.asked(settings, stop)?, sides: Vec::new(), objects: Vec::new() },
            root: root.clone(),
            keep: self.keep,
            slot: Mutex::new(Some(slot)),
        };
        let filled = self.fill(&mut fetched, entry, settings, &model, stop);
        filled.inspect_err(|_| fetched.release())?;
        Ok(fetched)
    }

    /// Tells of samples beyond the network that are not there.
    fn look_for(&self, settings: &Settings) -> Result<()> {
        for (option, path) in settings.paths().filter(|(_, path)| path.starts_with(&self.base)) {
            let wrong = |problem: &str| Error::Remote {
                url: path.display().to_string(),
                problem: format!("{option}: {problem}"),
                remedy: "check the name".into(),
            };
            let Some(name) = below(&self.base, &path) else {
                return Err(wrong(&format!("it does not lie below {}", self.base.display())));
            };
            let inside = format!("{name}/");
            let is_there = match &self.listing {
                Some(listing) => {
                    listing.contains_key(&name)
                        || listing
                            .range(inside.clone()..)
                            .next()
                            .is_some_and(|(next, _)| next.starts_with(&inside))
                }
                None => self.remote.head(&name)?.is_some(),
            };
            if !is_there {
                return Err(wrong("it is not there"));
            }
        }
        Ok(())
    }

    fn fill(
        &self,
        fetched: &mut Fetched,
        entry: &Entry,
        settings: &Settings,
        model: &str,
        stop: &AtomicBool,
    ) -> Result<()> {
        let wanted = match &self.listing {
            Some(listing) => listing.get(model).cloned(),
            None => self.remote.head(model)?,
        };
        let wanted = wanted.ok_or_else(|| missing(&self.remote, model))?;
        let first = self.remote.fetch(&wanted, &fetched.path)?;
        self.confirm(entry, model, &fetched.path, stop)?;
        // A damaged model is told when it is read.
        let sides = outline(&fetched.path).map(|outline| outline.side_files).unwrap_or_default();
        let name = |side: &PathBuf| store::name(side.strip_prefix(&fetched.root).ok()?);
        fetched.inputs.sides = sides.iter().filter_map(name).collect();
        for object in self.objects(entry, settings, &fetched.inputs.sides)? {
            if object.name == first.name {
                fetched.inputs.objects.push(listed(&first, object));
            } else {
                let found = self.remote.fetch(&object, &fetched.root.join(&object.name))?;
                fetched.inputs.objects.push(listed(&found, object));
            }
        }
        Ok(())
    }

    /// Compares a model with the digest that a manifest has of it.
    fn confirm(&self, entry: &Entry, model: &str, path: &Path, stop: &AtomicBool) -> Result<()> {
        let metadata =
            entry.manifest.as_ref().filter(|_| self.is_manifest).and_then(|row| row.get("metadata"));
        let said = metadata.and_then(|metadata| metadata.get("model_sha")).and_then(Value::as_str);
        let is_digest = |text: &&str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some(said) = said.filter(is_digest) else { return Ok(()) };
        let found = store::digest(path, stop)?.sha256;
        match found.eq_ignore_ascii_case(said) {
            true => Ok(()),
            false => Err(Error::Remote {
                url: self.remote.address().join(model).to_string(),
                problem: format!("its SHA-256 is {found}, and model_sha in the manifest is {said}"),
                remedy: "one of the two is of another version, or damaged".into(),
            }),
        }
    }
}

/// The object as a listing has it, if it can be told from others by that: so it is compared the next time.
fn listed(fetched: &Object, listed: Object) -> Object {
    match fetched.etag == listed.etag && fetched.bytes == listed.bytes {
        true => listed,
        false => Object { etag: None, ..listed },
    }
}

fn read(remote: &Remote, name: &str) -> Result<Vec<u8>> {
    remote.get(name)?.ok_or_else(|| missing(remote, name))
}

fn missing(remote: &Remote, name: &str) -> Error {
    Error::Remote {
        url: remote.address().join(name).to_string(),
        problem: "it is not there".into(),
        remedy: "check the name".into(),
    }
}

/// The name of `path` below `base`.
fn below(base: &Path, path: &Path) -> Option<String> {
    store::name(path.strip_prefix(base).ok()?)
}
