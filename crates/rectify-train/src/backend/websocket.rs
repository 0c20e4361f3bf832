//! A device elsewhere: served by `rectify serve`, named `remote:HOST:PORT`, through Burn's own remote backend.
//!
//! Over WebSocket, which is not encrypted. The token that a server may ask for is in the environment, [`TOKEN`], where no
//! list of processes and no record of an experiment shows it.

use std::{
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    sync::OnceLock,
    time::Duration,
};

use burn::{
    backend::DispatchDevice,
    remote::{ConnectError, RemoteHost},
    server::{RemoteServer, TokenAuthorizer, WebSocketTransport},
    tensor::Device,
};

use super::{BackendError, ServeError, TOKEN};

/// The server whose device was opened first, for what is to be said when it is lost.
static OPENED: OnceLock<String> = OnceLock::new();
/// A server that does not answer within it is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to the server at an address, as in `gpu-box:3000`.
pub(super) fn open(address: &str) -> Result<Device, BackendError> {
    let unreachable = |reason: String| BackendError::Remote { address: address.to_owned(), reason };
    // First by itself: what is not there is told at once and by the operating system's own words.
    let mut addresses = address.to_socket_addrs().map_err(|error| unreachable(error.to_string()))?;
    let reached = addresses.try_fold(None, |_, address| match TcpStream::connect_timeout(&address, PATIENCE) {
        Ok(_) => Err(()),
        Err(error) => Ok(Some(error)),
    });
    if let Ok(error) = reached {
        let error = error.map_or("the name has no address".to_owned(), |error| error.to_string());
        return Err(unreachable(format!("{error}; is `rectify serve` running there?")));
    }
    let host = RemoteHost::websocket(&format!("ws://{address}"));
    let host = match std::env::var(TOKEN) {
        Ok(token) => host.with_credential(token.as_str()),
        Err(_) => host,
    };
    let device = Device::remote_options(&host).init().map_err(|error| {
        unreachable(match error {
            ConnectError::Unauthorized => {
                format!("the server refused the token; {TOKEN} in the environment is to be the server's")
            }
            error => error.to_string(),
        })
    })?;
    OPENED.get_or_init(|| address.to_owned());
    Ok(device)
}

/// The server whose device is used by this process.
pub(super) fn opened() -> Option<&'static str> {
    OPENED.get().map(String::as_str)
}

/// Whether a device is elsewhere.
pub(super) fn is_remote(device: &Device) -> bool {
    matches!(device.clone().without_autodiff().as_dispatch(), DispatchDevice::Remote(_))
}

/// Serves a device until the process is told to stop. `ready` is told the address once clients can connect.
pub(super) fn serve(device: Device, listen: SocketAddr, ready: &dyn Fn(SocketAddr)) -> Result<(), ServeError> {
    let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
    let mut server = RemoteServer::new([device]);
    match token {
        Some(token) => {
            let authorizer =
                TokenAuthorizer::new(token.as_str()).map_err(|error| ServeError::Failed(error.to_string()))?;
            server = server.with_authorizer(authorizer);
        }
        None if listen.ip().is_loopback() => {}
        None => return Err(ServeError::NoToken(listen)),
    }
    let listener = TcpListener::bind(listen).map_err(|cause| ServeError::Listen { listen, cause })?;
    ready(listener.local_addr().unwrap_or(listen));
    server.serve(WebSocketTransport::from_listener(listener)).map_err(|error| ServeError::Failed(error.to_string()))
}
