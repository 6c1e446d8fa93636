//! Bounded reads of files that others write: never more than asked for, never through a symbolic
//! link at the last component, never from a pipe or a device that would block.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// At most `limit` bytes of the regular file `path`, which may not be a symbolic link.
pub(super) fn bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    read_to_limit(file, limit)
}

/// A whole JSON file of at most `limit` bytes; `None` when it is absent, unreadable, too large or
/// not JSON.
pub(super) fn json(path: &Path, limit: u64) -> Option<serde_json::Value> {
    let bytes = bounded(path, limit.saturating_add(1)).ok()?;
    if bytes.len() as u64 > limit {
        return None;
    }
    serde_json::from_slice(&bytes).ok()
}

fn read_to_limit(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_at_the_limit_and_at_symbolic_links() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, b"0123456789").unwrap();
        assert_eq!(bounded(&file, 4).unwrap(), b"0123");
        let link = dir.path().join("l");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(bounded(&link, 4).is_err());
        assert!(bounded(dir.path(), 4).is_err(), "a directory is not read");
    }

    #[test]
    fn a_json_file_over_the_limit_is_refused_not_cut() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, b"[1,2]").unwrap();
        assert!(json(&file, 5).is_some());
        assert!(json(&file, 4).is_none());
    }
}
