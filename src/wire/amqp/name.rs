//! Names of queues, exchanges and routing keys as they are shown: what looks like an id is `{id}`.

use crate::model::Known;

/// Prefixes behind which brokers put an id of their own making.
const MADE: [&str; 3] = ["amq.gen-", "amq.rabbitmq.reply-to.", "amq_"];

const NOT_CAPTURED: &str = "the name was not captured";

/// A name, or exchange and routing key as `exchange/key`. The default exchange has no name: what is
/// sent to it is shown by its key, which is the queue's name.
pub(super) fn target(names: Option<(&[u8], Option<&[u8]>)>) -> Known<Box<str>> {
    let Some((name, key)) = names else { return Known::Unknown(NOT_CAPTURED) };
    let mut text = String::with_capacity(name.len() + key.map_or(0, <[u8]>::len) + 1);
    let mut printable = show(name, &mut text).is_some();
    if let Some(key) = key.filter(|key| !key.is_empty()) {
        if !text.is_empty() {
            text.push('/');
        }
        printable &= show(key, &mut text).is_some();
    }
    match printable {
        false => Known::Unknown("not a printable name"),
        true if text.is_empty() => Known::Absent,
        true => Known::Known(text.into()),
    }
}

/// Appends a name with its ids left out; `None`: it cannot be printed.
fn show(name: &[u8], text: &mut String) -> Option<()> {
    let name = std::str::from_utf8(name).ok()?;
    if name.chars().any(char::is_control) {
        return None;
    }
    if let Some(made) = MADE.iter().find(|made| name.starts_with(**made)) {
        text.extend([made, "{id}"]);
        return Some(());
    }
    for part in name.split_inclusive(['.', '/', ':']) {
        let word = part.trim_end_matches(['.', '/', ':']);
        match is_id(word) {
            true => text.extend(["{id}", part.get(word.len()..).unwrap_or_default()]),
            false => text.push_str(part),
        }
    }
    Some(())
}

/// A number, a UUID or another long run of hexadecimal digits, or a long word with many digits.
fn is_id(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let number = digits > 0 && digits == word.len();
    let hex = word.len() >= 12 && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    number || (hex && digits > 0) || (word.len() >= 20 && digits >= 4)
}
