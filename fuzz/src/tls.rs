//! TLS handshakes on TCP: nothing panics, memory is bounded as `Watch` says, what it tells fits
//! together, and where nothing is missing any cut of the bytes tells the same.

use crate::meter;
use crate::model::{BootNs, Security, Tls};
use crate::script::{Act, Script};
use crate::wire::Speaker;
use crate::wire::tls::{Handed, Watch};

/// In flight, and what is told of it: names, certificates, evidence, while they are copied.
const MEMORY: usize = 192 * 1024;

/// Any input.
pub fn run(data: &[u8]) {
    let script = Script::parse(data);
    let cut = meter::within(MEMORY, || heard(&script, true));
    if script.whole {
        let whole = meter::within(MEMORY, || heard(&script, false));
        assert_eq!(whole, cut, "the bytes in one, and cut");
    }
}

fn heard(script: &Script<'_>, cuts: bool) -> Tls {
    let mut watch = Watch::new(script.adopted);
    let mut offsets = [script.start; 2];
    let mut last = None;
    for step in &script.steps {
        let me = usize::from(step.from == Speaker::Server);
        match step.act {
            // A process hands over a certificate of the other side.
            Act::Say { data: [0xce, before @ ..], .. } if before.len() >= 8 => {
                hand(&mut watch, step.from, before)
            }
            Act::Say { data, turn, cut } => {
                if turn && last.replace(step.from) != Some(step.from) {
                    watch.turn(step.from);
                }
                // With the other way to begin nobody says what was acknowledged.
                let acked = if script.other { 0 } else { offsets[1 - me] };
                let size = if cuts && cut > 0 { usize::from(cut) } else { data.len() };
                for part in data.chunks(size.max(1)) {
                    watch.bytes(step.from, step.at, offsets[me], acked, part);
                    offsets[me] += part.len() as u64;
                }
            }
            Act::Gap(len) => {
                watch.gap(step.from, step.at, offsets[me], len);
                offsets[me] += len;
            }
            Act::Turn => watch.turn(step.from),
        }
        holds(&mut watch);
    }
    watch.end(BootNs(u64::MAX));
    assert!(watch.is_settled());
    holds(&mut watch);
    watch.verdict()
}

fn hand(watch: &mut Watch, from: Speaker, data: &[u8]) {
    let (Some(before), Some(der)) = (data.first_chunk::<8>(), data.get(8..)) else { return };
    watch.handed(from, &Handed { before: Some(*before).filter(|b| b[0] < 0xc0), len: der.len() as u32, der });
}

fn holds(watch: &mut Watch) {
    watch.take_changed();
    assert!(!watch.take_changed());
    let _ = watch.resumption();
    let tls = watch.verdict();
    assert_eq!(tls.unknown.is_some(), tls.status == Security::Unknown);
    assert_eq!(tls.confidence.is_some(), tls.status == Security::Mtls);
    assert_eq!(tls.inherits.is_some(), tls.status == Security::Resumed);
    assert!(tls.evidence.len() <= 24);
    let names = tls.alpn_offered.iter().chain(&tls.sni).chain(&tls.alpn).chain(&tls.evidence);
    for name in names {
        assert!(!name.chars().any(char::is_control), "{name:?}");
    }
}
