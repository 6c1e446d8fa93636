//! PEM files of a CA, and of a certificate for this host that it signed.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Where the files are.
pub struct Pki {
    /// Who signed.
    pub ca: PathBuf,
    /// For `localhost` and `127.0.0.1`.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// New ones below `dir`.
pub fn pki(dir: &Path, name: &str) -> Pki {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let cert = params.signed_by(&key, &ca).unwrap();
    let write = |what: &str, text: String| {
        let path = dir.join(format!("{name}-{what}.pem"));
        fs::write(&path, text).unwrap();
        path
    };
    Pki { ca: write("ca", ca.pem()), cert: write("cert", cert.pem()), key: write("key", key.serialize_pem()) }
}
