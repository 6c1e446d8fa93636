//! Domain names on the wire (RFC 1035 sections 3.1 and 4.1.4): labels and compression pointers.

/// Longest name on the wire, its length bytes and the root included (RFC 1035 section 2.3.4).
const MAX_WIRE: usize = 255;
/// Room for the text of any name: every byte of it may become `\DDD`.
const MAX_TEXT: usize = MAX_WIRE * 4;

/// Most pointers in one name; useful ones have a label before them.
const MAX_JUMPS: u32 = 127;

/// Why a name could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The bytes end before the name does.
    Cut,
    /// It is no name.
    Bad,
}

/// Room in which names are built, used again for every name of a message.
pub(super) struct Scratch([u8; MAX_TEXT]);

impl Scratch {
    pub(super) fn new() -> Self {
        Scratch([0; MAX_TEXT])
    }

    /// Reads the name at `at`: its text, and the position behind it.
    ///
    /// Lower case, no final dot, `.` for the root. Every byte that is not printable ASCII, and a dot
    /// or backslash inside of a label, is written `\DDD` (RFC 1035 section 5.1). A pointer must
    /// point before the labels that it follows, so that no chain of pointers can turn in a circle.
    pub(super) fn read(&mut self, message: &[u8], at: usize) -> Result<(&str, usize), Stop> {
        let mut cursor = at;
        let mut floor = at;
        let mut behind = None;
        let mut jumps = 0;
        let mut wire = 0usize;
        let mut text = Text { room: &mut self.0, len: 0 };
        loop {
            let head = *message.get(cursor).ok_or(Stop::Cut)?;
            match head >> 6 {
                0 if head == 0 => break,
                0 => {
                    let len = usize::from(head);
                    wire += 1 + len;
                    // One more for the root.
                    if wire + 1 > MAX_WIRE {
                        return Err(Stop::Bad);
                    }
                    let label = message.get(cursor + 1..cursor + 1 + len).ok_or(Stop::Cut)?;
                    text.label(label);
                    cursor += 1 + len;
                }
                3 => {
                    let low = *message.get(cursor + 1).ok_or(Stop::Cut)?;
                    let target = usize::from(u16::from_be_bytes([head & 0x3f, low]));
                    jumps += 1;
                    if target >= floor || jumps > MAX_JUMPS {
                        return Err(Stop::Bad);
                    }
                    behind.get_or_insert(cursor + 2);
                    floor = target;
                    cursor = target;
                }
                _ => return Err(Stop::Bad),
            }
        }
        let behind = behind.unwrap_or(cursor + 1);
        Ok((text.finish(), behind))
    }
}

/// The position behind the name at `at`, without reading it.
pub(super) fn skip(message: &[u8], at: usize) -> Result<usize, Stop> {
    let mut cursor = at;
    loop {
        let head = *message.get(cursor).ok_or(Stop::Cut)?;
        match head >> 6 {
            0 if head == 0 => return Ok(cursor + 1),
            0 => cursor += 1 + usize::from(head),
            3 => return if cursor + 1 < message.len() { Ok(cursor + 2) } else { Err(Stop::Cut) },
            _ => return Err(Stop::Bad),
        }
        if cursor - at >= MAX_WIRE {
            return Err(Stop::Bad);
        }
    }
}

/// How each byte of a label is written; 0 where it takes more than one to do so.
static SHOWN: [u8; 256] = {
    let mut shown = [0; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        if byte != b'.' && byte != b'\\' {
            shown[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    shown
};

struct Text<'a> {
    room: &'a mut [u8; MAX_TEXT],
    len: usize,
}

impl<'a> Text<'a> {
    fn label(&mut self, label: &[u8]) {
        if self.len > 0 {
            self.put(b'.');
        }
        let plain = self.room.get_mut(self.len..self.len + label.len());
        let plain = plain.is_some_and(|room| {
            room.iter_mut().zip(label).all(|(to, from)| {
                *to = SHOWN.get(usize::from(*from)).copied().unwrap_or_default();
                *to != 0
            })
        });
        if plain {
            self.len += label.len();
            return;
        }
        for &byte in label {
            match SHOWN.get(usize::from(byte)) {
                Some(&shown @ 1..) => self.put(shown),
                _ => {
                    self.put(b'\\');
                    for digit in [byte / 100, byte / 10 % 10, byte % 10] {
                        self.put(b'0' + digit);
                    }
                }
            }
        }
    }

    fn put(&mut self, byte: u8) {
        if let Some(place) = self.room.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    fn finish(self) -> &'a str {
        let room: &'a [u8] = self.room;
        let text = room.get(..self.len).unwrap_or_default();
        if text.is_empty() { "." } else { std::str::from_utf8(text).unwrap_or_default() }
    }
}
