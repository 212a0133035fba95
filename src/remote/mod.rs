//! Files beyond a network: buckets of S3 and what speaks like it, read and written, and web servers, read alone. Built with the
//! feature `remote`; without it, a message stands in its place.

#[cfg(feature = "remote")]
mod environment;
#[cfg(feature = "remote")]
mod fault;
#[cfg(feature = "remote")]
mod store;
#[cfg(feature = "remote")]
mod transfer;

#[cfg(not(feature = "remote"))]
mod absent;

#[cfg(not(feature = "remote"))]
pub use absent::Remote;
#[cfg(feature = "remote")]
pub use store::Remote;
