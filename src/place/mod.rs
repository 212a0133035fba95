//! Where files are: a path, or an address beyond a network. Plain data: nothing is asked here.

mod object;

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::{Error, Result};
pub use object::{Halt, Object};

/// A file or folder, here or elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Near(PathBuf),
    /// Beyond the network.
    Far(Address),
}

/// A file or folder beyond a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// In a bucket.
    Bucket {
        /// The bucket.
        bucket: String,
        /// The names of objects begin with this; no `/` at either end.
        prefix: String,
    },
    /// On a web server, which cannot say what it has.
    Web {
        /// The URL; no `/` at its end.
        url: String,
    },
}

impl Place {
    /// Reads a path or URL.
    ///
    /// # Errors
    /// [`Error::Options`] for a URL of an unknown kind, or with more in it than a place.
    pub fn parse(path: &Path) -> Result<Self> {
        let Some((scheme, rest)) = path.to_str().and_then(|text| text.split_once("://")) else {
            return Ok(Self::Near(path.to_owned()));
        };
        let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match scheme.to_ascii_lowercase().as_str() {
            "s3" => bucket(rest).map(Self::Far),
            scheme @ ("http" | "https") => web(scheme, rest).map(Self::Far),
            "file" => file(rest).map(Self::Near),
            _ if is_scheme => Err(Error::options(
                format!("{scheme}:// is not known"),
                "give a path, or a URL that begins with s3://, https://, http:// or file:///",
            )),
            _ => Ok(Self::Near(path.to_owned())),
        }
    }

    /// The path or URL as one, for joining and comparing.
    pub fn as_path(&self) -> PathBuf {
        match self {
            Self::Near(path) => path.clone(),
            Self::Far(address) => PathBuf::from(address.to_string()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Near(path) => path.display().fmt(formatter),
            Self::Far(address) => address.fmt(formatter),
        }
    }
}

fn bucket(rest: &str) -> Result<Address> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if bucket.is_empty() || !bucket.bytes().all(sound) {
        // What stands before an @ may be a password.
        let shown = bucket.rsplit('@').next().unwrap_or_default();
        return Err(Error::options(
            format!("s3://{shown}: no bucket has such a name"),
            "write s3://BUCKET/PREFIX, and give keys and the endpoint by AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and \
             AWS_ENDPOINT_URL",
        ));
    }
    let prefix = prefix.trim_matches('/');
    if prefix.split('/').any(|part| matches!(part, "." | "..") || part.is_empty() && !prefix.is_empty()) {
        return Err(Error::options(
            format!("s3://{rest}: {prefix:?} has empty parts, or . or .."),
            "write the prefix as names of objects begin, as in s3://bucket/models/vision",
        ));
    }
    Ok(Address::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

fn web(scheme: &str, rest: &str) -> Result<Address> {
    let wrong = |problem: &str, remedy: &str| {
        // Neither a password before an @ nor a key behind a ? is shown.
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        Error::options(format!("{scheme}://{host}: {problem}"), remedy)
    };
    let url = Url::parse(&format!("{scheme}://{rest}"))
        .map_err(|error| wrong(&format!("no URL: {error}"), "write it as https://HOST/PATH"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "names and passwords in URLs are not used",
            "copy the files, and give the copy's folder",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(
            "what stands behind ? or # in URLs is not used, as it does not hold for other files beside that one",
            "give a URL without it",
        ));
    }
    Ok(Address::Web { url: url.as_str().trim_end_matches('/').to_owned() })
}

fn file(rest: &str) -> Result<PathBuf> {
    let path = Url::parse(&format!("file://{rest}")).ok().and_then(|url| url.to_file_path().ok());
    path.ok_or_else(|| {
        Error::options(
            format!("file://{rest}: no file of this machine"),
            "write file:/// and then the path from the root, or the path alone",
        )
    })
}

impl Address {
    /// What the names of objects below it begin with, as the store has them.
    pub fn prefix(&self) -> &str {
        match self {
            Self::Bucket { prefix, .. } => prefix,
            Self::Web { .. } => "",
        }
    }

    /// The store's name of the object `name` below it.
    pub fn key(&self, name: &str) -> String {
        match (self.prefix(), name) {
            (prefix, "") => prefix.to_owned(),
            ("", name) => name.to_owned(),
            (prefix, name) => format!("{prefix}/{name}"),
        }
    }

    /// Whether it can say what it has.
    pub fn is_listable(&self) -> bool {
        matches!(self, Self::Bucket { .. })
    }

    /// Something below it.
    pub fn join(&self, name: &str) -> Self {
        match self {
            Self::Bucket { bucket, .. } => Self::Bucket { bucket: bucket.clone(), prefix: self.key(name) },
            Self::Web { url } if name.is_empty() => Self::Web { url: url.clone() },
            Self::Web { url } => Self::Web { url: format!("{url}/{name}") },
        }
    }

    /// Its folder, and its name there; `None` for a whole bucket or server.
    pub fn split(&self) -> Option<(Self, String)> {
        match self {
            Self::Bucket { prefix, .. } if prefix.is_empty() => None,
            Self::Bucket { bucket, prefix } => {
                let (folder, name) = prefix.rsplit_once('/').unwrap_or(("", prefix));
                Some((Self::Bucket { bucket: bucket.clone(), prefix: folder.to_owned() }, name.to_owned()))
            }
            Self::Web { url } => {
                let (folder, name) = url.rsplit_once('/')?;
                let name = percent_decode_str(name).decode_utf8().ok()?.into_owned();
                (!folder.ends_with('/')).then(|| (Self::Web { url: folder.to_owned() }, name))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(formatter, "s3://{bucket}"),
            Self::Bucket { bucket, prefix } => write!(formatter, "s3://{bucket}/{prefix}"),
            Self::Web { url } => formatter.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Place> {
        Place::parse(Path::new(text))
    }

    #[test]
    fn paths_and_urls_are_told_apart() {
        for path in ["zoo", "/a/b", "a:b", "s3:/x", "", "a b://c"] {
            assert_eq!(parse(path).unwrap(), Place::Near(path.into()), "{path}");
        }
        assert_eq!(parse("file:///a%20b/c").unwrap(), Place::Near("/a b/c".into()));
        for (text, shown) in [
            ("s3://zoo", "s3://zoo"),
            ("s3://zoo/", "s3://zoo"),
            ("s3://zoo/a b/ü#?/", "s3://zoo/a b/ü#?"),
            ("http://host:90/a/ONNX_HUB_MANIFEST.json", "http://host:90/a/ONNX_HUB_MANIFEST.json"),
            ("https://host", "https://host"),
            ("S3://Zoo/A", "s3://Zoo/A"),
            ("HTTP://host/A", "http://host/A"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn secrets_and_nonsense_are_refused_unseen() {
        for text in [
            "s3://key:secret@zoo/a",
            "https://me:secret@host/a",
            "https://host/a?token=secret",
            "https://host/a#secret",
            "s3://",
            "s3://zoo/a//b",
            "s3://zoo/../b",
            "gs://zoo",
            "http://",
            "file://host/a",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret") && error.contains("; "), "{error}");
        }
    }

    #[test]
    fn addresses_have_folders() {
        let far = |text: &str| match parse(text).unwrap() {
            Place::Far(address) => address,
            Place::Near(_) => unreachable!("{text} is far"),
        };
        let split = |text: &str| far(text).split().map(|(folder, name)| (folder.to_string(), name));
        assert_eq!(split("s3://zoo/a/m.json"), Some(("s3://zoo/a".into(), "m.json".into())));
        assert_eq!(split("s3://zoo/m.json"), Some(("s3://zoo".into(), "m.json".into())));
        assert_eq!(split("s3://zoo"), None);
        assert_eq!(split("http://host/a/m%20.json"), Some(("http://host/a".into(), "m .json".into())));
        assert_eq!(split("http://host/m.json"), Some(("http://host".into(), "m.json".into())));
        assert_eq!(split("http://host"), None);
        assert_eq!(far("s3://zoo").join("a/b").to_string(), "s3://zoo/a/b");
        assert_eq!(far("s3://zoo/a").key("b"), "a/b");
    }
}
