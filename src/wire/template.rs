//! Request targets (RFC 9112 section 3.2, RFC 9113 `:path`) → path templates: `/orders/{id}`.
//!
//! What names a resource kind stays, what names one resource becomes `{id}`. The decision is made
//! for each segment by its shape alone: in doubt it becomes `{id}`, because a word too few in a
//! table is a smaller harm than a token shown. Query, fragment, scheme, authority with user and
//! password, and matrix parameters (`;jsessionid=`) are never shown.

/// Longest template in bytes, [`MORE`] included.
pub const MAX_LEN: usize = 120;
/// Most segments shown.
pub const MAX_SEGMENTS: usize = 16;
/// Ends a template that was cut at a bound.
const MORE: &[u8] = "/…".as_bytes();
/// Stands for what names one resource.
const ID: &[u8] = b"{id}";
/// Fewer letters than this are too few to tell words from letters drawn at random.
const SHORT: usize = 8;
/// Longest segment that can be words; longer only if dots part it, as a gRPC service does.
const MAX_WORDS: usize = 40;
/// Longest segment that can be words parted by dots.
const MAX_DOTTED: usize = 90;

/// The template of a request target in origin-, absolute- or asterisk-form: printable, at most
/// [`MAX_LEN`] bytes. Any bytes are accepted.
pub fn path(target: &[u8]) -> Box<str> {
    let end = target.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(target.len());
    let path = without_authority(target.get(..end).unwrap_or_default());
    if path == b"*" {
        return "*".into();
    }
    let mut out = Text::new();
    let mut segments = path.split(|b| *b == b'/');
    // What stands before the first slash is empty, or else nothing that this form of target has.
    if segments.next().is_some_and(|s| !s.is_empty()) {
        return str_of(ID);
    }
    let mut shown = 0;
    let mut slash_after = false;
    for segment in segments {
        let segment = before(segment, b';');
        slash_after = segment.is_empty();
        if slash_after {
            continue;
        }
        let mark = out.len;
        let fits = shown < MAX_SEGMENTS && out.push(b"/") && push_segment(&mut out, segment);
        if !fits || out.len + MORE.len() > MAX_LEN {
            out.len = mark;
            out.push(MORE);
            return out.boxed();
        }
        shown += 1;
    }
    if slash_after || shown == 0 {
        out.push(b"/");
    }
    out.boxed()
}

/// The target of CONNECT (RFC 9112 section 3.2.3): host and port; `None` if it is not of that form.
pub fn authority(target: &[u8]) -> Option<Box<str>> {
    let port = target.iter().rposition(|b| *b == b':')?;
    let (host, port) = (target.get(..port)?, target.get(port + 1..)?);
    let host_ok = (1..=MAX_LEN).contains(&host.len())
        && host
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'[' | b']' | b':'));
    let port_ok = (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit);
    (host_ok && port_ok).then(|| str_of(target))
}

/// Drops `scheme://authority` of the absolute form.
fn without_authority(target: &[u8]) -> &[u8] {
    if target.first().is_none_or(|b| matches!(b, b'/' | b'*')) {
        return target;
    }
    let Some(scheme) = target.windows(3).position(|w| w == b"://") else { return target };
    let rest = target.get(scheme + 3..).unwrap_or_default();
    match rest.iter().position(|b| *b == b'/') {
        Some(slash) => rest.get(slash..).unwrap_or_default(),
        None => b"/",
    }
}

fn before(bytes: &[u8], end: u8) -> &[u8] {
    bytes.split(|b| *b == end).next().unwrap_or_default()
}

/// Appends a segment as it may be shown; false if there is no room.
fn push_segment(out: &mut Text, segment: &[u8]) -> bool {
    // The usual ones at once.
    if segment.len() < SHORT && segment.iter().all(u8::is_ascii_lowercase) {
        return out.push(segment);
    }
    if segment.iter().all(u8::is_ascii_digit) {
        return out.push(ID);
    }
    // A method on a resource: `/v1/things/42:cancel` (AIP-136).
    if let Some(colon) = segment.iter().position(|b| *b == b':') {
        let (thing, verb) = segment.split_at(colon);
        if !thing.is_empty() && verb.len() > 3 && is_verb(verb.get(1..).unwrap_or_default()) {
            return push_segment(out, thing) && out.push(verb);
        }
        return out.push(ID);
    }
    if is_words(segment) || segment == ID {
        return out.push(segment);
    }
    match extension(segment) {
        Some(dot) => out.push(ID) && out.push(dot),
        None => out.push(ID),
    }
}

fn is_verb(verb: &[u8]) -> bool {
    verb.len() <= 30 && verb.iter().all(u8::is_ascii_alphabetic) && !is_scrambled(verb)
}

/// The extension with its dot, of a name that could be a file's.
fn extension(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().rposition(|b| *b == b'.').filter(|d| *d > 0)?;
    let ext = name.get(dot + 1..)?;
    let letters = ext.iter().filter(|b| b.is_ascii_lowercase()).count();
    let digits = ext.iter().filter(|b| b.is_ascii_digit()).count();
    let plausible = (1..=5).contains(&ext.len()) && letters + digits == ext.len() && digits <= 1;
    let file =
        name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'{' | b'}'));
    (plausible && file && ext.first().is_some_and(u8::is_ascii_lowercase)).then(|| name.get(dot..))?
}

/// Whether a segment consists of words, versions and single digits only.
fn is_words(segment: &[u8]) -> bool {
    // `_search`, `$metadata`, `@types`, `.well-known`: one sign before a word.
    let bare = match segment.split_first() {
        Some((b'_' | b'$' | b'@' | b'.', rest)) if !rest.is_empty() => rest,
        _ => segment,
    };
    if bare == b"." || segment == b"." {
        return true;
    }
    let dotted = bare.contains(&b'.');
    if bare.len() > if dotted { MAX_DOTTED } else { MAX_WORDS } {
        return false;
    }
    let mut words = 0;
    let joined = bare.iter().any(|b| matches!(b, b'-' | b'_'));
    let capitals = bare.iter().any(u8::is_ascii_uppercase);
    for part in bare.split(|b| matches!(b, b'-' | b'_' | b'.' | b'+')) {
        match part {
            [] => {}
            [digit] if digit.is_ascii_digit() => {}
            // Words are joined by signs or by capitals; both at once is base64url.
            part if is_word(part) && !(joined && mixes_cases(part, capitals)) => words += 1,
            _ => return false,
        }
    }
    words > 0
}

/// Whether a capital follows a small letter, or the part begins small where others have capitals.
fn mixes_cases(part: &[u8], capitals: bool) -> bool {
    (capitals && part.first().is_some_and(u8::is_ascii_lowercase))
        || part.windows(2).any(|w| matches!(w, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()))
}

/// A word (`orders`, `listTopics`, `oauth2`) or a version (`v1`, `v2beta1`).
fn is_word(part: &[u8]) -> bool {
    let letters = part.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let (word, rest) = part.split_at(letters);
    if is_version(part) {
        return true;
    }
    // `oauth2` and `utf16`, but not `user123` and not `a1`.
    let tail = rest.is_empty() || (word.len() >= 2 && rest.len() <= 2 && rest.iter().all(u8::is_ascii_digit));
    let hex =
        part.len() >= 8 && part.iter().all(u8::is_ascii_hexdigit) && (part.len() >= 12 || !rest.is_empty());
    tail && !word.is_empty() && !hex && !is_scrambled(word)
}

fn is_version(part: &[u8]) -> bool {
    let Some((b'v' | b'V', rest)) = part.split_first() else { return false };
    let major = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = rest.get(major..).unwrap_or_default();
    let stage = rest.strip_prefix(b"alpha").or_else(|| rest.strip_prefix(b"beta")).unwrap_or(rest);
    (1..=2).contains(&major) && stage.len() <= 2 && stage.iter().all(u8::is_ascii_digit)
}

/// Whether letters look drawn at random, as in base64: too long for a word, cases that change
/// oftener than words begin, or consonants as no language has them.
fn is_scrambled(letters: &[u8]) -> bool {
    if letters.len() > 32 {
        return true;
    }
    if letters.len() < SHORT {
        return false;
    }
    let (mut humps, mut falls, mut capitals, mut run, mut longest_run) =
        (0usize, 0usize, 0usize, 0usize, 0usize);
    let mut last_lower = false;
    let mut last_upper = false;
    for b in letters {
        let upper = b.is_ascii_uppercase();
        capitals += usize::from(upper);
        humps += usize::from(last_lower && upper);
        falls += usize::from(last_upper && !upper);
        run = match b.to_ascii_lowercase() {
            b'a' | b'e' | b'i' | b'o' | b'u' | b'y' => 0,
            // A word begins: `ListTopics` has no run of `stT`.
            _ if last_lower && upper => 1,
            _ => run + 1,
        };
        longest_run = longest_run.max(run);
        (last_lower, last_upper) = (!upper, upper);
    }
    // Camel case begins a word every four letters at most, or has its capitals in runs.
    let changes = humps.max(falls);
    (humps > 0 && changes * 7 >= letters.len() * 2)
        || (capitals * 3 >= letters.len() && changes * 5 > letters.len())
        || longest_run >= 8
        || (longest_run >= 6 && letters.len() >= 16)
}

fn str_of(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}

/// Text of bounded length, built without allocating.
struct Text {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl Text {
    fn new() -> Self {
        Text { bytes: [0; MAX_LEN], len: 0 }
    }

    fn push(&mut self, more: &[u8]) -> bool {
        let Some(room) = self.bytes.get_mut(self.len..self.len + more.len()) else { return false };
        room.copy_from_slice(more);
        self.len += more.len();
        true
    }

    fn boxed(&self) -> Box<str> {
        str_of(self.bytes.get(..self.len).unwrap_or_default())
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
