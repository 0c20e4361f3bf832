//! A device across the network, in a program with the feature `remote`.

mod place;

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use place::{Place, SMALL};
use predicates::str::contains;

const TOKEN: &str = "RECTIFY_TOKEN";

/// `rectify serve`, stopped when it is dropped.
struct Server {
    process: Child,
    /// As clients name it, without `remote:`.
    address: String,
}

impl Server {
    /// Of the processor, with further flags.
    fn start(flags: &str, token: Option<&str>) -> Self {
        Self::of("flex", flags, token)
    }

    fn of(backend: &str, flags: &str, token: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rectify"));
        command.args(["serve", "--backend", backend]).args(flags.split_whitespace()).env_remove(TOKEN);
        command.envs(token.map(|token| (TOKEN, token))).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let said = lines.next().expect("it says something").unwrap();
        let Some((_, address)) = said.rsplit_once("remote:") else {
            panic!("it says how clients reach it, not {said}")
        };
        // What it says is read, so that it never waits for a reader.
        thread::spawn(move || lines.for_each(drop));
        Self { process, address: address.replace("HOST", "127.0.0.1") }
    }

    fn backend(&self) -> String {
        format!("--backend remote:{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Last test losses and accuracies, by run.
fn ends(place: &Place, folder: &str) -> Vec<(String, u64, f64, f64)> {
    let runs = place.results(folder).runs.into_iter();
    runs.map(|run| {
        let last = run.last().unwrap().clone();
        (run.activation, run.seed, last.test_loss.unwrap(), last.test_accuracy.unwrap())
    })
    .collect()
}

#[track_caller]
fn same_to_rounding(a: &[(String, u64, f64, f64)], b: &[(String, u64, f64, f64)]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert_eq!((&a.0, a.1), (&b.0, b.1));
        assert!((a.2 - b.2).abs() < 1e-4 * b.2, "{a:?} {b:?}");
    }
}

#[test]
fn a_device_elsewhere_gives_the_same_numbers_to_two_clients_at_a_time() {
    let place = Place::new();
    let server = Server::start("--listen 127.0.0.1:0", None);
    let models = [
        "--activations relu,tanh,relu:leaky=0.1,relu:heaviside=0.5,relu:bsilu,relu:nelu=0.1,relu:guided,x*sigmoid(x)",
        "--model cnn --activations relu,gelu",
    ];
    thread::scope(|scope| {
        for (number, model) in models.iter().enumerate() {
            let (place, server) = (&place, &server);
            scope.spawn(move || {
                let flags = format!("compare {SMALL} {model} --epochs 2 --seeds 1 --quiet");
                place.run(&format!("{flags} --out far{number} {}", server.backend())).success();
                place.run(&format!("{flags} --out near{number}")).success();
                same_to_rounding(&ends(place, &format!("far{number}")), &ends(place, &format!("near{number}")));
            });
        }
    });
}

#[cfg(feature = "wgpu")]
#[test]
fn a_served_gpu_gives_the_numbers_of_one_that_is_here() {
    let place = Place::new();
    if !place.has_adapter("wgpu") {
        return;
    }
    let server = Server::of("wgpu", "--listen 127.0.0.1:0", None);
    for (number, model) in
        ["--activations relu,tanh,gelu,x*sigmoid(x)", "--model cnn --activations relu"].iter().enumerate()
    {
        let flags = format!("compare {SMALL} {model} --epochs 1 --seeds 1 --quiet");
        place.run(&format!("{flags} --out far{number} {}", server.backend())).success();
        place.run(&format!("{flags} --out near{number} --backend wgpu")).success();
        same_to_rounding(&ends(&place, &format!("far{number}")), &ends(&place, &format!("near{number}")));
    }
}

/// Passes connections on to a server and counts the bytes that clients send.
fn counted(server: &Server) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, sent) = (listener.local_addr().unwrap().to_string(), Arc::new(AtomicUsize::new(0)));
    let (to, count) = (server.address.clone(), sent.clone());
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server, count) = (client.unwrap(), TcpStream::connect(&to).unwrap(), count.clone());
            let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut from_server, &mut to_client));
            thread::spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while let Ok(read @ 1..) = client.read(&mut buffer) {
                    count.fetch_add(read, Ordering::Relaxed);
                    server.write_all(&buffer[..read]).unwrap();
                }
                server.shutdown(Shutdown::Both)
            });
        }
    });
    (address, sent)
}

#[test]
fn the_data_set_is_sent_once_for_all_epochs_and_trainings() {
    let place = Place::new();
    let server = Server::start("--listen 127.0.0.1:0", None);
    let sent = |flags: &str| {
        let (address, sent) = counted(&server);
        let settings = "--dataset mnist --train-size 6000 --batch-size 1000 --hidden 8 --quiet";
        place.run(&format!("compare {settings} {flags} --backend remote:{address}")).success();
        sent.load(Ordering::Relaxed)
    };
    // As it is sent, in f32, most of it to train on.
    let size = 6000 * 28 * 28 * 4;
    let (one, six) =
        (sent("--activations relu --seeds 1 --epochs 1"), sent("--activations relu,tanh --seeds 1 --epochs 3"));
    assert!(one > size / 2, "{one} bytes were sent");
    assert!(six < one + size / 4, "{one} bytes were sent for one epoch and {six} for six");
}

#[test]
fn a_wrong_token_is_refused_and_an_open_address_needs_one() {
    let place = Place::new();
    let server = Server::start("--listen 127.0.0.1:0", Some("right"));
    let train = format!("train {SMALL} --steps 1 --quiet {}", server.backend());
    place.refuses(&train, 2, &["refused the token", TOKEN]);
    let with = |token: &str| {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_rectify"));
        command.args(train.split_whitespace()).current_dir(place.0.path()).env(TOKEN, token);
        command.assert()
    };
    with("wrong").code(2).stderr(contains("refused the token"));
    with("right").success();
    place.refuses("serve --listen 0.0.0.0:0", 2, &["--listen 0.0.0.0:0: ", "a token is needed", TOKEN]);
    place.refuses("train --backend remote", 2, &["remote:gpu-box:3000"]);
    place.refuses("train --backend remote:127.0.0.1:1", 2, &["127.0.0.1:1", "is `rectify serve` running there?"]);
}

#[test]
fn over_iroh_the_server_is_known_by_its_key_and_asks_for_the_token_too() {
    let place = Place::new();
    let key = place.path("server.key");
    let start = || Server::start(&format!("--listen 0.0.0.0:0 --key {}", key.display()), Some("right"));
    let server = start();
    let (id, port) = server.address.split_once("@127.0.0.1:").expect("clients name the server");
    let (id, port) = (id.to_owned(), port.to_owned());
    let train = |flags: &str, token: &str| {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_rectify"));
        let flags = format!("train {SMALL} --epochs 2 --quiet {flags}");
        command.args(flags.split_whitespace()).current_dir(place.0.path()).env(TOKEN, token);
        command.assert()
    };
    train(&format!("--out far {}", server.backend()), "right").success();
    train("--out near", "right").success();
    same_to_rounding(&ends(&place, "far"), &ends(&place, "near"));
    train(&server.backend(), "wrong").code(2).stderr(contains("refused the token"));
    train(&format!("--backend remote:nobody@127.0.0.1:{port}"), "right").code(2).stderr(contains("`nobody`"));
    drop(server);
    // The same key is the same server, and another key is another one, whoever listens where it did.
    assert_eq!(start().address.split_once('@').unwrap().0, id);
    std::fs::remove_file(&key).unwrap();
    let other = Server::start(&format!("--listen 0.0.0.0:{port} --key {}", key.display()), Some("right"));
    assert_ne!(other.address.split_once('@').unwrap().0, id);
    train(&format!("--backend remote:{id}@127.0.0.1:{port}"), "right").code(2).stderr(contains("cannot be reached"));
    place.refuses("serve --listen 0.0.0.0:0 --key server.key", 2, &["a token is needed"]);
    place.refuses("serve --listen 127.0.0.1:0 --key server.key", 2, &["give 0.0.0.0:0"]);
    let mut folder = assert_cmd::Command::new(env!("CARGO_BIN_EXE_rectify"));
    folder.args(["serve", "--listen", "0.0.0.0:0", "--key", "digits"]).current_dir(place.0.path()).env(TOKEN, "right");
    folder.assert().code(2).stderr(contains("--key digits: "));
}

#[test]
fn garbage_on_the_port_does_not_end_the_server() {
    let place = Place::new();
    let server = Server::start("--listen 127.0.0.1:0", None);
    let upgrade = "GET /session HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    // A proper connection, and then a message that says nothing: binary, masked with zeros, 100 bytes.
    let frame = [&[0x82, 0x80 | 100, 0, 0, 0, 0][..], &[0xC1; 100]].concat();
    let greeted = [upgrade.as_bytes(), &frame].concat();
    for garbage in [&[0u8; 1000][..], &[255; 70_000], b"\r\n", upgrade.as_bytes(), &greeted] {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        // The server may have closed it already.
        let _ = stream.write_all(garbage);
        let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
        let _ = stream.read(&mut [0; 100]);
    }
    place.run(&format!("train {SMALL} --steps 1 --quiet {}", server.backend())).success();
}

#[test]
fn a_server_that_dies_is_told_and_the_training_goes_on_when_it_is_back() {
    let place = Place::new();
    let settings = "--dataset digits --hidden 8 --batch-size 16 --activation tanh --steps 4000 --quiet";
    place.run(&format!("train {settings} --out near")).success();

    let server = Server::start("--listen 127.0.0.1:0", None);
    let (address, backend) = (server.address.clone(), server.backend());
    let mut client = Command::new(env!("CARGO_BIN_EXE_rectify"));
    client.arg("train").args(settings.split_whitespace()).args(backend.split_whitespace()).args(["--out", "far"]);
    client.current_dir(place.0.path()).env("RECTIFY_SAVE_SECONDS", "0.05").stderr(Stdio::piped()).stdout(Stdio::null());
    let client = client.spawn().unwrap();
    let began = Instant::now();
    while !place.path("far/runs/tanh-seed0/state").exists() {
        assert!(began.elapsed() < Duration::from_secs(120), "no state was saved");
        thread::sleep(Duration::from_millis(5));
    }
    drop(server);
    let ended = client.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("the connection to") && said.contains("--resume"), "{said}");

    let _server = Server::start(&format!("--listen {address}"), None);
    place.run("train --resume far --quiet").success();
    same_to_rounding(&ends(&place, "far"), &ends(&place, "near"));
}
