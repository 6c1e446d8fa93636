//! DNS messages, queries over UDP, and search-list storms: each run is a datagram, of which a gap of
//! the same side that follows was not captured.

use crate::meter;
use crate::model::BootNs;
use crate::play::{check, side};
use crate::script::{Act, Script};
use crate::wire::dns::{Queries, Storms, parse, sniff_datagram, speaker};
use crate::wire::{Record, Told};

/// Any datagrams.
pub fn run(data: &[u8]) {
    let script = Script::parse(data);
    meter::within((1 << 20) + data.len() * 1024, || play(&script));
}

fn play(script: &Script<'_>) {
    let mut queries: Queries<u8> = Queries::new(5_000_000_000, 64);
    let mut storms: Storms<u8> = Storms::default();
    let mut out: Vec<(u8, Told)> = Vec::new();
    let mut undecoded = 0u64;
    for (i, step) in script.steps.iter().enumerate() {
        let Act::Say { data, cut, turn } = step.act else { continue };
        let missing = match script.steps.get(i + 1).map(|s| s.act) {
            Some(Act::Gap(len)) => u32::try_from(len).unwrap_or(u32::MAX / 2),
            _ => 0,
        };
        let len = missing.saturating_add(data.len() as u32);
        sniff_datagram(data);
        speaker(data);
        if let Ok(message) = parse(data) {
            for answer in &message.answers {
                check_name(&answer.name);
                if let Record::Alias(name) = &answer.record {
                    check_name(name);
                }
            }
            if let Some(question) = &message.question {
                check_name(&question.name);
            }
        }
        if turn {
            queries.datagram(cut & 3, step.from, step.at, data, len, &mut out);
        } else {
            queries.multicast(cut & 3, step.at, data, len, &mut out);
        }
        undecoded = undecoded.saturating_add(queries.take_undecoded());
    }
    queries.expire(BootNs(u64::MAX / 2), &mut out);
    queries.end(&mut out);
    assert!(undecoded <= script.length().saturating_add(u64::from(u32::MAX) * script.steps.len() as u64));
    assert!(out.len() <= script.steps.len(), "one exchange for a datagram at most");
    for (owner, told) in &out {
        // The length of a datagram is what the sender says.
        let told = Told { request: Default::default(), response: None, ..told.clone() };
        check(&told, script);
        if let Some(dns) = &told.dns {
            storms.observe(*owner, dns, told.verdict, told.request.first);
            storms.observe(side(crate::wire::Speaker::Server), dns, told.verdict, BootNs(7));
        }
    }
}

fn check_name(name: &str) {
    assert!(name.len() <= 4 * 255 && name.bytes().all(|b| b.is_ascii_graphic()), "{name:?}");
}
