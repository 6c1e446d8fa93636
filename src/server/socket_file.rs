//! A Unix socket at a path: never open to others, never in another's place, removed at the end.
//!
//! The socket is bound inside a new directory of mode 0700 and only then, with mode 0600, moved to
//! its path, so that at no moment somebody else could connect. The directory that holds the path is
//! locked meanwhile, so that two servers cannot replace the same dead socket.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tokio::net::UnixListener;

/// Why there can be no socket at a path.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another server answers there.
    #[error(
        "another server already listens on {}: stop it, or choose another path with --listen unix:PATH",
        .0.display()
    )]
    Live(PathBuf),
    /// Something else lies there.
    #[error("{} is not a socket and is left alone: choose another path with --listen unix:PATH", .0.display())]
    NotASocket(PathBuf),
    /// Longer than the system allows.
    #[error("the path {} is too long for a Unix socket (about 90 bytes at most)", .0.display())]
    TooLong(PathBuf),
    /// Another server is making a socket in the same directory.
    #[error("another process holds a lock on {}: try again", .0.display())]
    Locked(PathBuf),
    /// The system said no.
    #[error("cannot make a socket at {}: {error}; choose another path with --listen unix:PATH", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// The file of a socket that is being listened on; dropping this removes it.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Bytes a path may have: `sun_path` has 108 on Linux and 104 on macOS, less the file's last name
/// in the temporary directory.
const MAX_PATH: usize = 90;

impl SocketFile {
    /// Listens at `path`. Its directory is made, with mode 0700, if it does not exist.
    pub(super) fn bind(path: &Path) -> Result<(UnixListener, SocketFile), SocketError> {
        let io = |error| SocketError::Io { path: path.to_owned(), error };
        let parent = match path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        if path.as_os_str().len() > MAX_PATH {
            return Err(SocketError::TooLong(path.to_owned()));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(io)?;
        let dir = File::open(parent).map_err(io)?;
        flock(&dir, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| SocketError::Locked(parent.to_owned()))?;

        let dead = match fs::symlink_metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) => return Err(io(e)),
            Ok(meta) if !meta.file_type().is_socket() => {
                return Err(SocketError::NotASocket(path.to_owned()));
            }
            Ok(_) => match UnixStream::connect(path) {
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => true,
                Err(e) if e.kind() == io::ErrorKind::NotFound => false,
                // Also a full backlog, or one that this user may not connect to: it is alive.
                _ => return Err(SocketError::Live(path.to_owned())),
            },
        };

        let private = Private::new(parent).map_err(io)?;
        let inside = private.0.join("s");
        let listener = UnixListener::bind(&inside).map_err(io)?;
        fs::set_permissions(&inside, Permissions::from_mode(0o600)).map_err(io)?;
        let identity = identity(&fs::symlink_metadata(&inside).map_err(io)?);
        if dead {
            fs::rename(&inside, path).map_err(io)?;
        } else {
            // Unlike a rename, this fails where something has appeared in the meantime.
            fs::hard_link(&inside, path).map_err(io)?;
        }
        Ok((listener, SocketFile { path: path.to_owned(), identity }))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Only if it is still ours.
        if fs::symlink_metadata(&self.path).is_ok_and(|m| identity(&m) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// A new directory for this user alone, removed with what it holds.
struct Private(PathBuf);

impl Private {
    fn new(parent: &Path) -> io::Result<Private> {
        let pid = std::process::id();
        for n in 0..100 {
            let path = parent.join(format!(".w{pid}-{n}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Private(path)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0.join("s"));
        let _ = fs::remove_dir(&self.0);
    }
}
