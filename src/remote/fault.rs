//! What a store says of a failure, in the words of a person who has to do something about it.

use object_store::Error as Fault;

use crate::error::Error;
use crate::place::Address;

/// What was asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To be there.
    Open,
    /// For all that it has.
    List,
    /// For one object.
    Get,
    /// To keep an object.
    Put,
}

/// The longest message of a store, in characters.
const LONGEST: usize = 200;

/// A failure of what was asked about `name`.
pub fn error(fault: &Fault, address: &Address, name: &str, asked: Asked) -> Error {
    let (told, is_bucket) = (told(fault), matches!(address, Address::Bucket { .. }));
    // What comes of listings has its status in words alone.
    let status = |code: u16| told.contains(&format!("status code: {code} "));
    let is_closed = status(401) || status(403);
    let is_refused = matches!(fault, Fault::PermissionDenied { .. } | Fault::Unauthenticated { .. });
    let is_missing = matches!(fault, Fault::NotFound { .. });
    let (problem, remedy) = match (address, asked) {
        (Address::Bucket { .. }, _) if is_refused || is_closed => (
            "access is refused".to_owned(),
            "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and what they give a right to",
        ),
        (Address::Web { .. }, _) if is_refused || is_closed => (
            "access is refused".to_owned(),
            "only what can be read without a password can be had; copy it, and give the copy's folder",
        ),
        (Address::Bucket { bucket, .. }, Asked::List | Asked::Put) if is_missing || status(404) => (
            format!("there is no bucket {bucket}"),
            "make it, or check its name, AWS_ENDPOINT_URL and AWS_REGION",
        ),
        (_, Asked::List) if told.starts_with("Path ") => (
            format!("an object there has a name that cannot be asked for: {told}"),
            "rename or remove it, or give a prefix that it does not lie below",
        ),
        _ if is_missing => ("it is not there".to_owned(), "check the name"),
        (_, Asked::Open) if told.contains("CA certificates") => {
            (told, "install the system's package of them, ca-certificates, or name a file with SSL_CERT_FILE")
        }
        (_, Asked::Open) if is_bucket => (
            told,
            "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL, which say where it is and who asks",
        ),
        _ if is_bucket => (
            told,
            "check the network, AWS_ENDPOINT_URL, AWS_REGION and, without TLS, AWS_ALLOW_HTTP=true; started again, a batch goes on",
        ),
        _ => (told, "check the network and the URL; started again, a batch goes on"),
    };
    Error::Remote { url: address.join(name).to_string(), problem, remedy: remedy.to_owned() }
}

/// Nobody waits any more.
pub fn stopped(address: &Address, name: &str) -> Error {
    let problem = "interrupted".to_owned();
    Error::Remote { url: address.join(name).to_string(), problem, remedy: "start again".into() }
}

/// The innermost cause: what lies around it names times and attempts, which differ. What a server says in more than a line is left
/// out: it may repeat what it was sent.
fn told(fault: &Fault) -> String {
    let mut inner: &dyn std::error::Error = fault;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let text = inner.to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.split('<').next().unwrap_or_default().trim().trim_end_matches(':');
    let line: String = line.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
