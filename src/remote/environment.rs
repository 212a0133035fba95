//! What the environment says of buckets, looked at before it is used: `object_store` ends the process on what cannot be sent.

use std::ffi::OsString;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use reqwest::Url;

use crate::error::{Error, Result};
use crate::place::Address;

/// Variables that hold URLs, by what they set.
const URLS: [(AmazonS3ConfigKey, &str); 4] = [
    (AmazonS3ConfigKey::Endpoint, "AWS_ENDPOINT_URL"),
    (AmazonS3ConfigKey::S3Endpoint, "AWS_ENDPOINT_URL_S3"),
    (AmazonS3ConfigKey::MetadataEndpoint, "AWS_METADATA_ENDPOINT"),
    (AmazonS3ConfigKey::ContainerCredentialsFullUri, "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
];

/// What is said by `variables`, of which those count that begin with `AWS_`. Values are not shown: they may be secret.
///
/// # Errors
/// [`Error::Remote`] for a value that makes no sense, with the name of its variable.
pub fn builder(
    variables: impl Iterator<Item = (OsString, OsString)>,
    address: &Address,
) -> Result<AmazonS3Builder> {
    let wrong = |name: &str, problem: &str, remedy: &str| Error::Remote {
        url: address.to_string(),
        problem: format!("{name} {problem}"),
        remedy: remedy.to_owned(),
    };
    let mut builder = AmazonS3Builder::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with("AWS_")) else { continue };
        let Ok(key) = name.to_ascii_lowercase().parse() else { continue };
        let printable = |text: &&str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let Some(value) = value.to_str().filter(printable) else {
            return Err(wrong(
                name,
                "has characters that cannot be sent",
                "set it again, without line breaks and what is not ASCII",
            ));
        };
        builder = builder.with_config(key, value);
    }
    for (key, name) in URLS {
        let Some(value) = builder.get_config_value(&key) else { continue };
        let url = Url::parse(&value).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(url) = url.filter(Url::has_host) else {
            return Err(wrong(name, "is no URL", "write it as https://HOST or http://HOST:PORT"));
        };
        builder = builder.with_config(key, url.as_str().trim_end_matches('/'));
    }
    let region = builder.get_config_value(&AmazonS3ConfigKey::Region).unwrap_or_default();
    match region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        true => Ok(builder),
        false => {
            Err(wrong("AWS_REGION", "is no region", "write it as eu-central-1, or auto where there is none"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(variables: &[(&str, &str)]) -> Result<AmazonS3Builder> {
        let variables = variables.iter().map(|&(name, value)| (name.into(), value.into()));
        builder(variables, &Address::Bucket { bucket: "zoo".into(), prefix: String::new() })
    }

    #[test]
    fn what_is_said_is_taken() {
        let found = built(&[
            ("AWS_ENDPOINT_URL", "http://localhost:9000/"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_UNKNOWN", "\n"),
            ("HOME", "\n"),
        ]);
        let found = found.unwrap();
        let value = |key| found.get_config_value(&key);
        assert_eq!(value(AmazonS3ConfigKey::Endpoint).as_deref(), Some("http://localhost:9000"));
        assert_eq!(value(AmazonS3ConfigKey::Region).as_deref(), Some("eu-central-1"));
    }

    #[test]
    fn what_cannot_be_sent_is_told_unseen() {
        for (name, value) in [
            ("AWS_ENDPOINT_URL", "secret"),
            ("AWS_ENDPOINT_URL", "http://"),
            ("AWS_ENDPOINT_URL", "localhost:9000"),
            ("AWS_ENDPOINT_URL", "http://[::1"),
            ("AWS_ENDPOINT_URL_S3", "ftp://secret"),
            ("AWS_REGION", "secret x/"),
            ("AWS_ACCESS_KEY_ID", "secret\n"),
            ("AWS_SECRET_ACCESS_KEY", "secret\r"),
            ("AWS_SESSION_TOKEN", "secretü"),
        ] {
            let error = built(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("secret"), "{error}");
        }
    }
}
