//! Certificates and keys of the server.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use tonic::transport::{Certificate, Identity, ServerTlsConfig};

/// Where the PEM files of a server are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, own certificate first.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who signs the certificates of viewers; with it, a viewer must show one.
    pub client_ca: Option<PathBuf>,
}

/// A PEM file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// It cannot be read.
    #[error("cannot read {}: {error}; --tls-cert, --tls-key and --tls-client-ca name PEM files", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It holds something else.
    #[error(
        "{} holds no {what} in PEM form; --tls-cert, --tls-key and --tls-client-ca name PEM files",
        path.display()
    )]
    NoPem {
        /// Which file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
}

impl TlsFiles {
    /// Reads the files.
    pub(super) fn read(&self) -> Result<ServerTlsConfig, TlsFileError> {
        let cert = read(&self.cert, "certificate", "-----BEGIN CERTIFICATE-----")?;
        let key = read(&self.key, "private key", "PRIVATE KEY-----")?;
        let mut config = ServerTlsConfig::new().identity(Identity::from_pem(cert, key));
        if let Some(ca) = &self.client_ca {
            let ca = read(ca, "certificate", "-----BEGIN CERTIFICATE-----")?;
            config = config.client_ca_root(Certificate::from_pem(ca));
        }
        Ok(config)
    }
}

fn read(path: &Path, what: &'static str, mark: &str) -> Result<String, TlsFileError> {
    let path = path.to_owned();
    match std::fs::read_to_string(&path) {
        Ok(text) if text.contains(mark) => Ok(text),
        Ok(_) => Err(TlsFileError::NoPem { path, what }),
        Err(error) => Err(TlsFileError::Read { path, error }),
    }
}

/// The innermost cause, which says most.
pub(super) fn deepest(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
