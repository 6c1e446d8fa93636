//! Plays a script to a decoder, and checks what the contract of all decoders says
//! (`src/wire/decoder.rs`).

use crate::meter;
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};
use crate::script::{Act, Script};
use crate::wire::{Decoder, Sniff, Span, Speaker, Told};

/// Memory that any decoder may use.
const MEMORY: usize = 1 << 20;
/// Memory for each byte of input: an exchange of few bytes is kept with its times and names.
const MEMORY_PER_BYTE: usize = 512;
/// Longest text in a [`Told`].
const TEXT: usize = 1100;

/// What is told of a script, and whether the decoder said that it is over.
#[derive(Debug, PartialEq)]
struct Heard {
    told: Vec<Told>,
    over: Option<Known<Protocol>>,
    undecoded: u64,
}

impl Heard {
    /// Everything was understood: no byte was passed over for not knowing what it is.
    fn is_read(&self) -> bool {
        let unread = |t: &Told| matches!(t.status, Known::Unknown(why) if why.contains("captured"));
        self.undecoded == 0 && !self.told.iter().any(unread)
    }
}

/// Any input: nothing panics, everything is bounded, and where nothing is missing any cut of the bytes
/// gives the same.
pub fn decoder(
    data: &[u8],
    sniff: Option<fn(&[u8], &[u8]) -> Sniff>,
    make: impl Fn(&Script<'_>) -> Box<dyn Decoder>,
) {
    let script = Script::parse(data);
    if let Some(sniff) = sniff {
        let [client, server] = script.beginnings();
        sniff(&client, &server);
        sniff(&client, &[]);
        sniff(&[], &server);
    }
    let cut = heard(&script, make(&script), true);
    let is_cut = |act: &Act<'_>| matches!(act, Act::Say { cut, data, .. } if *cut > 0 && data.len() > usize::from(*cut));
    if script.whole && script.steps.iter().any(|s| is_cut(&s.act)) {
        let whole = heard(&script, make(&script), false);
        // One that could not read something goes on by hints, such as how bytes come together.
        if whole.is_read() && cut.is_read() {
            assert_eq!((&whole.told, &whole.over), (&cut.told, &cut.over), "the bytes in one, and cut");
        }
    }
}

fn heard(script: &Script<'_>, mut decoder: Box<dyn Decoder>, cuts: bool) -> Heard {
    let length = script.length();
    let memory = MEMORY + usize::try_from(script.said()).unwrap_or(0) * MEMORY_PER_BYTE;
    let heard = meter::within(memory, || play(script, decoder.as_mut(), cuts));
    assert!(heard.undecoded <= length, "{} undecoded of {length}", heard.undecoded);
    let most = script.said() + script.steps.len() as u64 + 1;
    assert!(heard.told.len() as u64 <= most, "{} told of {most}", heard.told.len());
    for told in &heard.told {
        check(told, script);
    }
    heard
}

fn play(script: &Script<'_>, decoder: &mut dyn Decoder, cuts: bool) -> Heard {
    let mut heard = Heard { told: Vec::new(), over: None, undecoded: 0 };
    let mut offsets = [script.start; 2];
    let (mut last, mut at) = (None, BootNs(0));
    for step in &script.steps {
        let (from, out) = (step.from, &mut heard.told);
        at = step.at;
        let offset = &mut offsets[from as usize];
        match step.act {
            Act::Turn => {
                decoder.turn(from, out);
                last = Some(from);
            }
            Act::Gap(len) => {
                decoder.gap(from, at, *offset, len, out);
                *offset += len;
                last = Some(from);
            }
            Act::Say { data, turn, cut } => {
                if last.replace(from) != Some(from) && turn {
                    decoder.turn(from, out);
                }
                let most = if cuts && cut > 0 { usize::from(cut) } else { data.len().max(1) };
                for piece in data.chunks(most) {
                    decoder.bytes(from, at, *offset, piece, out);
                    *offset += piece.len() as u64;
                    heard.over = decoder.over();
                    if heard.over.is_some() {
                        break;
                    }
                }
            }
        }
        heard.over = decoder.over();
        if heard.over.is_some() {
            // From here on it is asked no more.
            heard.undecoded = heard.undecoded.saturating_add(decoder.take_undecoded());
            return heard;
        }
        heard.undecoded = heard.undecoded.saturating_add(decoder.take_undecoded());
    }
    decoder.end(at, &mut heard.told);
    heard.undecoded = heard.undecoded.saturating_add(decoder.take_undecoded());
    heard
}

/// What holds for everything that is told.
pub fn check(told: &Told, script: &Script<'_>) {
    let texts = [Some(&*told.method), told.target.known().map(|t| &**t), told.status.known().map(|t| &**t)];
    for text in texts.into_iter().flatten() {
        assert!(text.len() <= TEXT, "{} bytes of text", text.len());
        assert!(!text.chars().any(char::is_control), "control characters in {text:?} of {told:?}");
    }
    for span in [Some(told.request), told.response].into_iter().flatten() {
        // 0 says that it is not known.
        assert!(!script.monotonic || span.last.0 == 0 || span.first <= span.last, "{span:?}");
    }
}

/// A request for an upgrade.
pub fn asked(offset: u64) -> Told {
    Told {
        protocol: Protocol::Http1,
        shape: Shape::Unary,
        method: "GET".into(),
        target: Known::Known("/rooms/{id}".into()),
        status: Known::Known("101".into()),
        verdict: Verdict::Ok,
        request: Span { first: BootNs(1), last: BootNs(2), bytes: 100 },
        response: None,
        key: (offset, 0),
        dns: None,
    }
}

/// Who speaks, as a number.
pub fn side(from: Speaker) -> u8 {
    u8::from(from == Speaker::Server)
}
