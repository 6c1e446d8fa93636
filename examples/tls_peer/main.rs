//! TLS of rustls, as a server or as a client, for `tests/servers`: what it is told and says is in
//! `tests/servers/stacks.py`.
#![allow(clippy::print_stderr)]

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio_rustls::rustls;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, CommonState, HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig,
    ServerConnection, Stream,
};

type Any<T> = Result<T, Box<dyn Error + Send + Sync>>;

const HELP: &str = "tls_peer serve ADDRESS PORT CERT KEY CA | tls_peer ask CA CERTS < what to do";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["serve", address, port, cert, key, ca] => serve(address, port, cert, key, ca),
        ["ask", ca, certs] => ask(ca, certs),
        _ => Err(HELP.into()),
    };
    if let Err(e) = done {
        eprintln!("tls_peer: {e}");
        std::process::exit(1)
    }
}

fn roots(ca: &str) -> Any<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca)?)?;
    Ok(Arc::new(roots))
}

fn serve(address: &str, port: &str, cert: &str, key: &str, ca: &str) -> Any<()> {
    let port: u16 = port.parse()?;
    let mut threads = Vec::new();
    for ask in 0..3 {
        let builder = ServerConfig::builder();
        let asked = WebPkiClientVerifier::builder(roots(ca)?);
        let builder = match ask {
            0 => builder.with_no_client_auth(),
            1 => builder.with_client_cert_verifier(asked.allow_unauthenticated().build()?),
            _ => builder.with_client_cert_verifier(asked.build()?),
        };
        let chain = vec![CertificateDer::from_pem_file(cert)?];
        let mut config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (config, listener) = (Arc::new(config), TcpListener::bind((address, port + ask))?);
        threads.push(std::thread::spawn(move || {
            for raw in listener.incoming().flatten() {
                let config = config.clone();
                // That it failed is what the client's end says.
                std::thread::spawn(move || answer(raw, config).ok());
            }
        }));
    }
    for thread in threads {
        thread.join().map_err(|_| "a listener ended")?;
    }
    Ok(())
}

/// What both ends can say.
fn known(tls: &CommonState) -> Map<String, Value> {
    let version = match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        Some(ProtocolVersion::TLSv1_2) => "1.2",
        _ => "?",
    };
    let mut map = Map::new();
    map.insert("version".into(), version.into());
    let cipher = tls.negotiated_cipher_suite().map(|s| format!("{:?}", s.suite()));
    map.insert("cipher".into(), cipher.map(|c| c.replace("TLS13_", "TLS_")).into());
    map.insert("resumed".into(), (tls.handshake_kind() == Some(HandshakeKind::Resumed)).into());
    if let Some(group) = tls.negotiated_key_exchange_group() {
        map.insert("group".into(), format!("{:?}", group.name()).into());
    }
    map
}

fn answer(mut raw: TcpStream, config: Arc<ServerConfig>) -> Any<()> {
    raw.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut tls = ServerConnection::new(config)?;
    {
        let mut lines = BufReader::new(Stream::new(&mut tls, &mut raw)).lines();
        while lines.next().ok_or("no request")??.trim() != "" {}
    }
    let mut seen = known(&tls);
    seen.insert("peer".into(), tls.peer_certificates().is_some_and(|c| !c.is_empty()).into());
    let seen = Value::Object(seen);
    let head =
        format!("HTTP/1.1 200 OK\r\nx-seen: {seen}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    let mut stream = Stream::new(&mut tls, &mut raw);
    stream.write_all(head.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}

fn ask(ca: &str, certs: &str) -> Any<()> {
    let mut configs: HashMap<String, Arc<ClientConfig>> = HashMap::new();
    for line in std::io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let [name, address, port, sni, version, cert, session, alpn] = words.as_slice() else {
            return Err("eight words are a handshake".into());
        };
        // Sessions are the configuration's.
        let config = match configs.get(*session) {
            Some(config) => config.clone(),
            None => {
                let config = Arc::new(client(ca, certs, version, cert, alpn)?);
                if *session != "-" {
                    configs.insert((*session).to_owned(), config.clone());
                }
                config
            }
        };
        let mut raw = TcpStream::connect((*address, port.parse()?))?;
        raw.set_read_timeout(Some(Duration::from_secs(20)))?;
        raw.set_nodelay(true)?;
        let mut said = Map::new();
        said.insert("name".into(), (*name).into());
        said.insert("port".into(), raw.local_addr()?.port().into());
        if let Err(e) = once(&mut raw, config, sni, &mut said) {
            said.insert("error".into(), e.to_string().into());
        }
        println!("{}", Value::Object(said));
    }
    Ok(())
}

fn client(ca: &str, certs: &str, version: &str, cert: &str, alpn: &str) -> Any<ClientConfig> {
    let version = if version == "1.2" { &TLS12 } else { &TLS13 };
    let verifier = WebPkiServerVerifier::builder(roots(ca)?).build()?;
    let builder = ClientConfig::builder_with_protocol_versions(&[version]).with_webpki_verifier(verifier);
    let mut config = if cert == "-" {
        builder.with_no_client_auth()
    } else {
        let chain = vec![CertificateDer::from_pem_file(format!("{certs}/{cert}.pem"))?];
        builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(format!("{certs}/{cert}.key"))?)?
    };
    if alpn != "-" {
        config.alpn_protocols = alpn.split(',').map(|p| p.as_bytes().to_vec()).collect();
    }
    Ok(config)
}

fn once(raw: &mut TcpStream, config: Arc<ClientConfig>, sni: &str, said: &mut Map<String, Value>) -> Any<()> {
    let mut tls = ClientConnection::new(config, ServerName::try_from(sni.to_owned())?)?;
    while tls.is_handshaking() {
        tls.complete_io(raw)?;
    }
    said.extend(known(&tls));
    let mut stream = Stream::new(&mut tls, raw);
    stream.write_all(format!("GET / HTTP/1.0\r\nhost: {sni}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let done = stream.read_to_end(&mut answer);
    said.insert("answer".into(), json!(String::from_utf8_lossy(&answer)));
    done?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}
