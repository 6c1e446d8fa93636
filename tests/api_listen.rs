//! Unix sockets, TLS, and what is refused.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api_common;
#[path = "support/pki.rs"]
mod pki;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use api_common::{LONG, slice, store};
use pki::pki;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use webb::api::Address;
use webb::client::{Client, ClientError, Target, TlsOptions};
use webb::server::{Bound, Limits, Listen, ListenError, ServeError, SocketError, TlsFiles, serve};

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

fn run(bound: Bound) -> Running {
    let store = store(|_| {});
    store.seal(slice(1, 1)).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let limits = Limits { grace: Duration::from_secs(30), ..Limits::default() };
    let task = tokio::spawn(serve(store, bound, limits, async {
        let _ = stopped.await;
    }));
    Running { stop, task }
}

fn unix(path: &Path) -> Listen {
    Listen { address: Address::Unix(path.to_owned()), tls: None, insecure: false }
}

fn at(path: &Path) -> Target {
    Target::Remote(Address::Unix(path.to_owned()), None)
}

fn names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_socket_is_private_answers_and_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("webb/webb.sock");
    let running = run(Bound::bind(&unix(&path)).await.unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(names(path.parent().unwrap()), ["webb.sock"]);

    let mut client = Client::connect(&at(&path)).await.unwrap();
    client.status().await.unwrap();
    let mut slices = client.watch_slices(None).await.unwrap();
    slices.next().await.unwrap().unwrap();

    let second = Bound::bind(&unix(&path)).await.expect_err("is taken");
    assert!(matches!(second, ListenError::Socket(SocketError::Live(_))), "{second}");

    // An open stream ends with a reason and does not hold up the end.
    running.stop.send(()).unwrap();
    let ended = timeout(LONG, slices.next()).await.unwrap().unwrap().expect_err("the server ends");
    assert_eq!(ended.to_string(), "the server said: the server is stopping");
    drop((slices, client));
    timeout(LONG, running.task).await.unwrap().unwrap().unwrap();
    assert!(!path.exists());
    let gone = Client::connect(&at(&path)).await.expect_err("is gone").to_string();
    assert!(
        gone.starts_with("cannot connect to unix:") && gone.contains("start one with `webb agent`"),
        "{gone}"
    );
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_other_files_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let bound = Bound::bind(&unix(&path)).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // What is there at the end is no longer ours: it stays.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    drop(bound);
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    for other in [&path, &link] {
        let refused = Bound::bind(&unix(other)).await.expect_err("is a file");
        assert!(matches!(refused, ListenError::Socket(SocketError::NotASocket(_))), "{refused}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let long = dir.path().join("x".repeat(100));
    let refused = Bound::bind(&unix(&long)).await.expect_err("is too long");
    assert!(matches!(refused, ListenError::Socket(SocketError::TooLong(_))), "{refused}");
    let mut left = names(dir.path());
    left.sort();
    assert_eq!(left, ["link", "s.sock"]);
}

#[tokio::test]
async fn dropping_the_server_cuts_its_connections() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    let running = run(Bound::bind(&unix(&path)).await.unwrap());
    let mut slices = Client::connect(&at(&path)).await.unwrap().watch_slices(None).await.unwrap();
    slices.next().await.unwrap().unwrap();
    running.task.abort();
    let cut = timeout(LONG, slices.next()).await.expect("no hang").expect("an error").expect_err("is cut");
    assert!(matches!(cut, ClientError::Broken(_)), "{cut}");
    assert!(!path.exists());
}

async fn tcp(tls: Option<TlsFiles>, insecure: bool) -> Result<(Running, Address), ListenError> {
    let address = Address::Tcp { host: "127.0.0.1".into(), port: 0 };
    let bound = Bound::bind(&Listen { address, tls, insecure }).await?;
    let address = bound.tcp_address().unwrap().to_string().parse().unwrap();
    Ok((run(bound), address))
}

async fn ask(address: &Address, tls: Option<TlsOptions>) -> Result<String, String> {
    let target = Target::Remote(address.clone(), tls);
    let answer = async { Client::connect(&target).await?.status().await };
    let status = timeout(LONG, answer).await.expect("no hang");
    status.map(|s| s.node).map_err(|e| e.to_string())
}

#[tokio::test]
async fn tls_right_wrong_and_mutual() {
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (pki(dir.path(), "good"), pki(dir.path(), "bad"));
    let files = |client_ca| TlsFiles { cert: good.cert.clone(), key: good.key.clone(), client_ca };
    let trust = |pki: &pki::Pki| TlsOptions { ca: pki.ca.clone(), identity: None, server_name: None };
    let shown = |pki: &pki::Pki| Some((pki.cert.clone(), pki.key.clone()));

    let (server, address) = tcp(Some(files(None)), false).await.unwrap();
    assert_eq!(ask(&address, Some(trust(&good))).await.as_deref(), Ok("node"));
    let named = TlsOptions { server_name: Some("localhost".into()), ..trust(&good) };
    assert_eq!(ask(&address, Some(named)).await.as_deref(), Ok("node"));
    let wrong = ask(&address, Some(trust(&bad))).await.expect_err("is not trusted");
    assert!(wrong.contains("--tls-ca"), "{wrong}");
    let other = TlsOptions { server_name: Some("example.org".into()), ..trust(&good) };
    let wrong = ask(&address, Some(other)).await.expect_err("is another name");
    assert!(wrong.contains("--tls-server-name"), "{wrong}");
    let plain = ask(&address, None).await.expect_err("speaks TLS");
    assert!(plain.starts_with("the connection failed: "), "{plain}");
    server.stop.send(()).unwrap();

    let (server, address) = tcp(Some(files(Some(good.ca.clone()))), false).await.unwrap();
    let mutual = |pki: &pki::Pki| TlsOptions { identity: shown(pki), ..trust(&good) };
    assert_eq!(ask(&address, Some(mutual(&good))).await.as_deref(), Ok("node"));
    let refused = ask(&address, Some(mutual(&bad))).await.expect_err("is signed by another");
    assert!(refused.starts_with("the connection failed: "), "{refused}");
    let refused = ask(&address, Some(trust(&good))).await.expect_err("shows no certificate");
    assert!(refused.starts_with("the connection failed: "), "{refused}");
    assert_eq!(ask(&address, Some(mutual(&good))).await.as_deref(), Ok("node"));
    server.stop.send(()).unwrap();

    let (server, address) = tcp(None, true).await.unwrap();
    assert_eq!(ask(&address, None).await.as_deref(), Ok("node"));
    let wrong = ask(&address, Some(trust(&good))).await.expect_err("speaks no TLS");
    assert!(wrong.contains("does not use TLS"), "{wrong}");
    server.stop.send(()).unwrap();
}

#[tokio::test]
async fn what_is_not_safe_or_not_readable_is_refused_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let good = pki(dir.path(), "good");
    let other = pki(dir.path(), "other");
    let refused = tcp(None, false).await.err().unwrap();
    assert!(refused.to_string().contains("--insecure"), "{refused}");
    let files = |cert: &Path, key: &Path| {
        Some(TlsFiles { cert: cert.to_owned(), key: key.to_owned(), client_ca: None })
    };
    let missing = dir.path().join("missing.pem");
    for (tls, why) in [
        (files(&missing, &good.key), "cannot read"),
        (files(&good.key, &good.key), "holds no certificate"),
        (files(&good.cert, &good.cert), "holds no private key"),
        (files(&good.cert, &other.key), "cannot be used"),
    ] {
        let refused = tcp(tls, false).await.err().unwrap().to_string();
        assert!(refused.contains(why) && refused.lines().count() == 1, "{refused}");
    }
    let unix_tls = Listen {
        address: Address::Unix(dir.path().join("s")),
        tls: files(&good.cert, &good.key),
        insecure: false,
    };
    assert!(matches!(Bound::bind(&unix_tls).await, Err(ListenError::TlsOnUnix(_))));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string().parse().unwrap();
    let busy = Bound::bind(&Listen { address, tls: None, insecure: true }).await.expect_err("is taken");
    assert!(busy.to_string().starts_with("cannot listen on 127.0.0.1:"), "{busy}");

    let address = Address::Tcp { host: "127.0.0.1".into(), port: 1 };
    let tls = TlsOptions { ca: missing, identity: None, server_name: None };
    let error = ask(&address, Some(tls)).await.expect_err("has no CA");
    assert!(error.starts_with("cannot read "), "{error}");
}
