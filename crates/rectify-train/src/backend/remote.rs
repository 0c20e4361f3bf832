//! Devices elsewhere, whether or not this program was built to reach them.

use std::net::SocketAddr;

use burn::tensor::Device;

use super::BackendError;
#[cfg(feature = "remote")]
use super::websocket;
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
    /// The address is taken or not this machine's.
    #[error("--listen {listen}: {cause}")]
    Listen {
        /// As given.
        listen: SocketAddr,
        /// What the operating system says.
        cause: std::io::Error,
    },
    /// Serving failed.
    #[error("the server failed: {0}")]
    Failed(String),
}

/// Serves a device to [`open`]'s `remote:HOST:PORT` elsewhere, over WebSocket, until the process is told to stop. `ready`
/// is told the address once clients can connect. Any but a loopback address needs a token in the variable [`TOKEN`].
///
/// # Errors
///
/// [`ServeError`]: no such device, no token, an address that cannot be listened on.
pub fn serve(backend: &str, listen: SocketAddr, ready: &dyn Fn(SocketAddr)) -> Result<(), ServeError> {
    #[cfg(feature = "remote")]
    return websocket::serve(super::open(backend)?, listen, ready);
    #[cfg(not(feature = "remote"))]
    {
        let _ = (backend, listen, ready);
        Err(BackendError::NotCompiledIn { name: "remote", works: works() }.into())
    }
}

/// The server whose device this process uses, as in `gpu-box:3000`.
pub fn remote_server() -> Option<&'static str> {
    #[cfg(feature = "remote")]
    return websocket::opened();
    #[cfg(not(feature = "remote"))]
    None
}

pub(super) fn open(name: &str, address: Option<&str>) -> Result<Device, BackendError> {
    let Some(address) = address.filter(|address| address.contains(':')) else {
        let reason = "the address of `rectify serve` is missing, as in remote:gpu-box:3000".to_owned();
        return Err(BackendError::Index { name: name.to_owned(), reason });
    };
    #[cfg(feature = "remote")]
    return websocket::open(address);
    #[cfg(not(feature = "remote"))]
    {
        let _ = address;
        Err(BackendError::NotCompiledIn { name: "remote", works: works() })
    }
}
