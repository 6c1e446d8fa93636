//! The certificates of the demo: an authority made at start, one leaf per service, and the mutual
//! TLS made of them. Keys live in memory and pipes only.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::client::ClientConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, SupportedProtocolVersion};

/// Certificates hold for so long: as short-lived as a mesh makes them.
const VALIDITY: Duration = Duration::from_secs(24 * 3600);
/// They start a little in the past, for clocks that are set back while the demo runs.
const BACKDATED: Duration = Duration::from_secs(3600);

/// Why certificates could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// Making a key or signing failed.
    #[error("cannot make the demo's certificates: {0}")]
    Make(#[from] rcgen::Error),
    /// What came through the pipe is not PEM.
    #[error("the demo's certificate is not readable: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// rustls does not take them.
    #[error("the demo's certificate is not usable: {0}")]
    Tls(#[from] rustls::Error),
    /// No client can be verified.
    #[error("the demo's authority is not usable: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// The demo's certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// What one service needs to prove who it is and to check others, as PEM.
#[derive(Serialize, Deserialize)]
pub struct Identity {
    authority: String,
    certificate: String,
    key: String,
}

impl Authority {
    /// A new authority with a new key.
    pub fn new() -> Result<Authority, CertError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "demo-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params);
        let pem = params.self_signed(&key)?.pem();
        Ok(Authority { issuer: Issuer::new(params, key), pem })
    }

    /// A certificate for a service: its DNS name, `localhost`, and its SPIFFE ID
    /// `spiffe://demo/ns/shop/sa/NAME`.
    pub fn issue(&self, service: &str) -> Result<Identity, CertError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![service.to_owned(), "localhost".to_owned()])?;
        let id = format!("spiffe://demo/ns/shop/sa/{service}");
        params.subject_alt_names.push(SanType::URI(id.as_str().try_into()?));
        params.distinguished_name.push(DnType::CommonName, service);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        set_validity(&mut params);
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity { authority: self.pem.clone(), certificate, key: key.serialize_pem() })
    }
}

impl Identity {
    /// The server's side: only clients with a certificate of the same authority get in.
    pub fn server(&self, version: &'static SupportedProtocolVersion) -> Result<Arc<ServerConfig>, CertError> {
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider.clone()).build()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain()?, PrivateKeyDer::from_pem_slice(self.key.as_bytes())?)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// The client's side: presents the certificate, trusts the demo's authority only.
    pub fn client(&self) -> Result<Arc<ClientConfig>, CertError> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(self.chain()?, PrivateKeyDer::from_pem_slice(self.key.as_bytes())?)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, CertError> {
        Ok(vec![CertificateDer::from_pem_slice(self.certificate.as_bytes())?])
    }

    fn roots(&self) -> Result<RootCertStore, CertError> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.as_bytes())?)?;
        Ok(roots)
    }
}

fn set_validity(params: &mut CertificateParams) {
    let epoch = date_time_ymd(1970, 1, 1);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    params.not_before = epoch + now.saturating_sub(BACKDATED);
    params.not_after = epoch + now + VALIDITY;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::version::{TLS12, TLS13};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    /// A client that checks the server and shows no certificate.
    fn anonymous(identity: &Identity) -> Arc<ClientConfig> {
        Arc::new(
            ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(identity.roots().unwrap())
                .with_no_client_auth(),
        )
    }

    /// What each side makes of a handshake and one byte from the server.
    async fn shake(server: Arc<ServerConfig>, client: Arc<ClientConfig>, name: &str) -> (bool, bool) {
        let (a, b) = tokio::io::duplex(1 << 16);
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let accept = async {
            let mut stream = TlsAcceptor::from(server).accept(a).await?;
            stream.write_all(b"x").await?;
            stream.flush().await?;
            let authenticated = stream.get_ref().1.peer_certificates().is_some();
            assert!(authenticated, "the server let in a client without a certificate");
            Ok::<_, std::io::Error>(stream)
        };
        let connect = async {
            let mut stream = TlsConnector::from(client).connect(name, b).await?;
            stream.read_u8().await
        };
        let (accepted, connected) = tokio::join!(accept, connect);
        (accepted.is_ok(), connected.is_ok())
    }

    #[tokio::test]
    async fn both_sides_must_have_a_certificate_of_the_same_authority() {
        let authority = Authority::new().unwrap();
        let (orders, api) = (authority.issue("orders").unwrap(), authority.issue("api").unwrap());
        let stranger = Authority::new().unwrap().issue("api").unwrap();
        for version in [&TLS12, &TLS13] {
            let server = || orders.server(version).unwrap();
            assert_eq!(shake(server(), api.client().unwrap(), "orders").await, (true, true));
            assert_eq!(shake(server(), anonymous(&api), "orders").await, (false, false), "no certificate");
            assert_eq!(shake(server(), api.client().unwrap(), "ledger").await, (false, false), "wrong name");
            let other = stranger.client().unwrap();
            assert_eq!(shake(server(), other, "orders").await, (false, false), "other authority");
        }
        // Trusts the right authority, but shows a certificate of another one.
        let mixed = Identity { authority: api.authority.clone(), ..stranger };
        let server = orders.server(&TLS13).unwrap();
        assert_eq!(shake(server, mixed.client().unwrap(), "orders").await, (false, false));
    }

    #[test]
    fn a_leaf_names_the_service_as_spiffe_does() {
        let identity = Authority::new().unwrap().issue("prices").unwrap();
        let der = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let id = b"spiffe://demo/ns/shop/sa/prices";
        assert!(der.as_ref().windows(id.len()).any(|window| window == id));
    }
}
