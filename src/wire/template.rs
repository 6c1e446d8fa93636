//! Path templates. A placeholder until paths have templates: it only drops the query.

/// The path without its query.
pub fn path(path: &[u8]) -> Box<str> {
    let path = path.split(|b| matches!(b, b'?' | b'#')).next().unwrap_or_default();
    String::from_utf8_lossy(path).into()
}
