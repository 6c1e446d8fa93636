//! Path templates.

use crate::meter;
use crate::wire::template::{MAX_LEN, authority, path};

/// Any target.
pub fn run(data: &[u8]) {
    meter::within(64 << 10, || {
        let template = path(data);
        assert!(template.len() <= MAX_LEN);
        assert!(template.starts_with('/') || *template == *"*" || *template == *"{id}", "{template}");
        assert!(!template.chars().any(char::is_control), "{template:?}");
        if !template.ends_with('…') && template.starts_with('/') {
            assert_eq!(path(template.as_bytes()), template, "what is redacted stays as it is");
        }
        if let Some(authority) = authority(data) {
            assert!(authority.bytes().all(|b| b.is_ascii_graphic()));
        }
    });
}
