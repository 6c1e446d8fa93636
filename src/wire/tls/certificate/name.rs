//! Distinguished names as text (RFC 4514).

use std::fmt::Write as _;

use x509_parser::asn1_rs::{Any, Tag, ToDer as _};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::{MAX_NAME, key};
use crate::model::escape_into;

/// Short names of attributes: those of RFC 4514, section 3, and registered ones that certificates use.
const KEYWORDS: [(&[u8], &str); 17] = [
    (b"\x55\x04\x03", "CN"),
    (b"\x55\x04\x04", "SN"),
    (b"\x55\x04\x05", "serialNumber"),
    (b"\x55\x04\x06", "C"),
    (b"\x55\x04\x07", "L"),
    (b"\x55\x04\x08", "ST"),
    (b"\x55\x04\x09", "STREET"),
    (b"\x55\x04\x0a", "O"),
    (b"\x55\x04\x0b", "OU"),
    (b"\x55\x04\x0c", "title"),
    (b"\x55\x04\x0f", "businessCategory"),
    (b"\x55\x04\x11", "postalCode"),
    (b"\x55\x04\x2a", "GN"),
    (b"\x55\x04\x61", "organizationIdentifier"),
    (b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", "UID"),
    (b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", "DC"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", "emailAddress"),
];

/// What is put at the end of a text that was cut.
const CUT: char = '…';

/// Text that stops growing at a limit, between two pieces and not within one.
pub(super) struct Bounded {
    text: String,
    max: usize,
    full: bool,
}

impl Bounded {
    /// At most `max` bytes, the mark of a cut included.
    pub(super) fn new(max: usize) -> Self {
        Bounded { text: String::new(), max: max.saturating_sub(CUT.len_utf8()), full: false }
    }

    /// Appends `piece` as it is, or cuts here.
    pub(super) fn push(&mut self, piece: &str) {
        if self.full {
            return;
        }
        if self.text.len() + piece.len() > self.max {
            self.full = true;
            self.text.push(CUT);
        } else {
            self.text.push_str(piece);
        }
    }

    /// Appends `text` with everything escaped that must not reach a terminal.
    pub(super) fn push_shown(&mut self, text: &str) {
        let mut shown = String::new();
        for c in text.chars() {
            if self.full {
                break;
            }
            shown.clear();
            escape_into(&mut shown, c.encode_utf8(&mut [0; 4]));
            self.push(&shown);
        }
    }

    /// The text.
    pub(super) fn finish(self) -> Box<str> {
        self.text.into()
    }
}

/// The name as in RFC 4514, the most specific part first.
pub(super) fn text(name: &X509Name<'_>) -> Box<str> {
    let mut out = Bounded::new(MAX_NAME);
    let parts: Vec<_> = name.iter_rdn().collect();
    for (i, part) in parts.iter().rev().enumerate() {
        if i > 0 {
            out.push(",");
        }
        // Their order means nothing (section 2.2): backwards too, as OpenSSL shows them.
        let attributes: Vec<_> = part.iter().collect();
        for (j, attribute) in attributes.iter().rev().enumerate() {
            if j > 0 {
                out.push("+");
            }
            push_attribute(&mut out, attribute);
        }
        if out.full {
            break;
        }
    }
    out.finish()
}

/// Section 2.3: by its short name; without one by its identifier, and then the value in hexadecimal.
fn push_attribute(out: &mut Bounded, attribute: &AttributeTypeAndValue<'_>) {
    let kind = attribute.attr_type();
    let value = attribute.attr_value();
    let keyword = KEYWORDS.iter().find(|(oid, _)| *oid == kind.as_bytes()).map(|(_, keyword)| *keyword);
    match (keyword, keyword.and_then(|_| string(value))) {
        (Some(keyword), Some(text)) => {
            out.push(keyword);
            out.push("=");
            push_value(out, &text);
        }
        (Some(keyword), None) => {
            out.push(keyword);
            push_hexadecimal(out, value);
        }
        (None, _) => {
            out.push(&key::oid(kind));
            push_hexadecimal(out, value);
        }
    }
}

/// The text of a value of one of the string types (RFC 5280, section 4.1.2.4); `None` if it is none,
/// or not well-formed. At most as many characters as can be told.
fn string(value: &Any<'_>) -> Option<String> {
    let bytes = value.data;
    let taken = MAX_NAME + 1;
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString => {
            std::str::from_utf8(bytes).ok().map(|text| text.chars().take(taken).collect())
        }
        // Latin-1 is what it is used for.
        Tag::TeletexString => Some(bytes.iter().take(taken).map(|byte| char::from(*byte)).collect()),
        Tag::BmpString => match bytes.as_chunks() {
            (units, []) => {
                let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
                char::decode_utf16(units).take(taken).collect::<Result<_, _>>().ok()
            }
            _ => None,
        },
        Tag::UniversalString => match bytes.as_chunks() {
            (units, []) => {
                units.iter().take(taken).map(|unit| char::from_u32(u32::from_be_bytes(*unit))).collect()
            }
            _ => None,
        },
        _ => None,
    }
}

/// Section 2.4: what stands for itself, what needs a backslash, and everything that must not reach a
/// terminal as the hexadecimal of its bytes.
fn push_value(out: &mut Bounded, text: &str) {
    let mut shown = String::new();
    let mut rest = text.chars().peekable();
    let mut first = true;
    while let Some(c) = rest.next() {
        if out.full {
            break;
        }
        let mut bytes = [0; 4];
        let same: &str = c.encode_utf8(&mut bytes);
        shown.clear();
        escape_into(&mut shown, same);
        let at_an_end = c == ' ' && (first || rest.peek().is_none()) || c == '#' && first;
        if shown != same {
            shown.clear();
            for byte in same.bytes() {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\{byte:02X}");
            }
        } else if at_an_end || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            shown.insert(0, '\\');
        }
        out.push(&shown);
        first = false;
    }
}

/// Section 2.4: `#` and the encoding of the value, head included.
fn push_hexadecimal(out: &mut Bounded, value: &Any<'_>) {
    out.push("=#");
    let encoded = value.to_der_vec().unwrap_or_default();
    let mut shown = String::new();
    for byte in encoded {
        if out.full {
            break;
        }
        shown.clear();
        // Writing to a String cannot fail.
        let _ = write!(shown, "{byte:02X}");
        out.push(&shown);
    }
}
