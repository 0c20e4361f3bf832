//! Devices elsewhere, whether or not this program was built to reach them.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use burn::tensor::Device;

use super::BackendError;
#[cfg(feature = "remote")]
use super::transport;
#[cfg(not(feature = "remote"))]
use super::works;

/// Where both ends of a remote backend look for the server's token: a variable of the environment.
pub const TOKEN: &str = "RECTIFY_TOKEN";

/// Why a device cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no such device.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// Others than this machine could reach it, and nothing tells who may.
    #[error(
        "--listen {0}: other machines reach this address, so a token is needed: a long random text as {TOKEN} in the \
         environment of server and clients, as from `openssl rand -hex 32`; 127.0.0.1 needs none"
    )]
    NoToken(SocketAddr),
    /// Iroh has no choice of addresses.
    #[error("--listen {0}: with a key, over Iroh, a server listens on every address of its machine: give 0.0.0.0:{port}", port = .0.port())]
    EveryAddress(SocketAddr),
    /// The server's key is not there and cannot be made, or is none.
    #[error("--key {}: {cause}", .path.display())]
    Key {
        /// As given.
        path: PathBuf,
        /// What is wrong with it.
        cause: io::Error,
    },
    /// The address is taken or not this machine's.
    #[error("--listen {listen}: {cause}")]
    Listen {
        /// As given.
        listen: SocketAddr,
        /// What the operating system says.
        cause: io::Error,
    },
    /// Serving failed.
    #[error("the server failed: {0}")]
    Failed(String),
}

/// Serves a device to [`open`](super::open)'s `remote:HOST:PORT` elsewhere until the process is told to stop: over
/// WebSocket, which is not encrypted, or, with the file of a `key`, over Iroh, which is. A key that is not there is made.
/// `ready` is told the name by which clients reach it once they can connect. Any but a loopback address needs a token in
/// the variable [`TOKEN`].
///
/// # Errors
///
/// [`ServeError`]: no such device, no token, no key, an address that cannot be listened on.
pub fn serve(backend: &str, listen: SocketAddr, key: Option<&Path>, ready: &dyn Fn(&str)) -> Result<(), ServeError> {
    #[cfg(feature = "remote")]
    return transport::serve(super::open(backend)?, listen, key, ready);
    #[cfg(not(feature = "remote"))]
    {
        let _ = (backend, listen, key, ready);
        Err(BackendError::NotCompiledIn { name: "remote", works: works() }.into())
    }
}

/// The server whose device this process uses, as in `gpu-box:3000`.
pub fn remote_server() -> Option<&'static str> {
    #[cfg(feature = "remote")]
    return transport::opened();
    #[cfg(not(feature = "remote"))]
    None
}

pub(super) fn open(name: &str, address: Option<&str>) -> Result<Device, BackendError> {
    let Some(address) = address.filter(|address| address.contains(':')) else {
        let reason = "the address of `rectify serve` is missing, as in remote:gpu-box:3000".to_owned();
        return Err(BackendError::Index { name: name.to_owned(), reason });
    };
    #[cfg(feature = "remote")]
    return transport::open(address);
    #[cfg(not(feature = "remote"))]
    {
        let _ = address;
        Err(BackendError::NotCompiledIn { name: "remote", works: works() })
    }
}
