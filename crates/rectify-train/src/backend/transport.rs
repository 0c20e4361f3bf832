//! A device elsewhere: served by `rectify serve`, named `remote:HOST:PORT`, through Burn's own remote backend.
//!
//! Over WebSocket, which is not encrypted, or over Iroh, which is, between the two machines alone: without relays and
//! without looking anything up, but for a UPnP search for routers, which Burn has no setting to leave out. The token that
//! a server may ask for is in the environment, [`TOKEN`], where no list of processes and no record of an experiment shows
//! it.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
    path::Path,
    sync::OnceLock,
    time::Duration,
};

use burn::{
    backend::DispatchDevice,
    remote::{ConnectError, EndpointId, IrohHost, IrohRelays, RemoteHost},
    server::{IrohIdentity, IrohTransport, RemoteServer, TokenAuthorizer, WebSocketTransport},
    tensor::Device,
};

use super::{BackendError, ServeError, TOKEN};

/// The server whose device was opened first, for what is to be said when it is lost.
static OPENED: OnceLock<String> = OnceLock::new();
/// A server that does not answer within it is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to the server at an address, as in `gpu-box:3000`, or `ID@gpu-box:3000` over Iroh.
pub(super) fn open(address: &str) -> Result<Device, BackendError> {
    let unreachable = |reason: String| BackendError::Remote { address: address.to_owned(), reason };
    let (id, place) = match address.split_once('@') {
        Some((id, place)) => (Some(id), place),
        None => (None, address),
    };
    let found: Vec<SocketAddr> = place.to_socket_addrs().map_err(|error| unreachable(error.to_string()))?.collect();
    let host = match id {
        None => {
            // First by itself: what is not there is told at once and by the operating system's own words.
            reach(&found).map_err(|error| unreachable(format!("{error}; is `rectify serve` running there?")))?;
            RemoteHost::websocket(&format!("ws://{place}"))
        }
        Some(id) => {
            let id: EndpointId =
                id.parse().map_err(|error| unreachable(format!("`{id}` is no server's name: {error}")))?;
            let server = IrohHost::new(id).with_relays(IrohRelays::Disabled);
            RemoteHost::iroh(found.into_iter().fold(server, IrohHost::with_address))
        }
    };
    let host = match token() {
        Some(token) => host.with_credential(token.as_str()),
        None => host,
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

/// That of the environment, on either side; an empty one is none.
fn token() -> Option<String> {
    std::env::var(TOKEN).ok().filter(|token| !token.is_empty())
}

/// Whether one of a machine's addresses answers.
fn reach(addresses: &[SocketAddr]) -> io::Result<()> {
    let mut failed = io::Error::other("the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(address, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The server whose device is used by this process.
pub(super) fn opened() -> Option<&'static str> {
    OPENED.get().map(String::as_str)
}

/// Whether a device is elsewhere.
pub(super) fn is_remote(device: &Device) -> bool {
    matches!(device.clone().without_autodiff().as_dispatch(), DispatchDevice::Remote(_))
}

/// Serves a device until the process is told to stop, over Iroh where there is a `key` file. `ready` is told the name by
/// which clients reach it once they can connect.
pub(super) fn serve(
    device: Device,
    listen: SocketAddr,
    key: Option<&Path>,
    ready: &dyn Fn(&str),
) -> Result<(), ServeError> {
    let failed = |error: &dyn ToString| ServeError::Failed(error.to_string());
    let mut server = RemoteServer::new([device]);
    match token() {
        Some(token) => {
            let authorizer = TokenAuthorizer::new(token.as_str()).map_err(|error| failed(&error))?;
            server = server.with_authorizer(authorizer);
        }
        None if listen.ip().is_loopback() => {}
        None => return Err(ServeError::NoToken(listen)),
    }
    let taken = |cause| ServeError::Listen { listen, cause };
    let host = |bound: SocketAddr| match bound.ip().is_unspecified() {
        true => format!("HOST:{}", bound.port()),
        false => bound.to_string(),
    };
    let served = match key {
        None => {
            let listener = TcpListener::bind(listen).map_err(taken)?;
            ready(&format!("remote:{}", host(listener.local_addr().map_err(taken)?)));
            server.serve(WebSocketTransport::from_listener(listener))
        }
        Some(_) if !listen.ip().is_unspecified() => return Err(ServeError::EveryAddress(listen)),
        Some(path) => {
            let identity =
                IrohIdentity::load_or_create(path).map_err(|cause| ServeError::Key { path: path.to_owned(), cause })?;
            // Iroh binds the port itself; this says whether it is free, and finds one for 0.
            let bound = UdpSocket::bind(listen).and_then(|socket| socket.local_addr()).map_err(taken)?;
            let transport = IrohTransport::new(identity).with_relays(IrohRelays::Disabled).with_port(bound.port());
            ready(&format!("remote:{}@{}", transport.id(), host(bound)));
            server.serve(transport)
        }
    };
    served.map_err(|error| failed(&error))
}
