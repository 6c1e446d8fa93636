//! Captures made in memory and real ones: connections, bytes and losses are told exactly.

mod build;
mod files;
mod real;
mod tcp;

use std::io::Cursor;

use super::*;
use crate::model::{EndId, Outcome};
use crate::track::{EndFact, Moment, SampleFact};

/// What was found, owned.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Fact(Fact),
    /// sent, seq, len, data, turned, at
    Piece(EndId, bool, u32, u32, Vec<u8>, Option<u64>, u64),
    Progress(Option<u32>, Option<u32>),
    /// cookie, sent, len, data
    Datagram(u64, bool, u32, Vec<u8>),
}

fn own(found: Observation<'_>) -> Told {
    match found {
        Observation::Fact(f) => Told::Fact(f),
        Observation::Piece(p) => {
            assert!(p.data.len() <= p.len as usize && !p.in_order);
            Told::Piece(p.id, p.sent, p.seq, p.len, p.data.to_vec(), p.turned.map(|t| t.0), p.at.0)
        }
        Observation::Progress(p) => Told::Progress(p.sent.map(|s| s.0), p.received.map(|r| r.0)),
        Observation::Datagram(d) => {
            assert!(d.data.len() <= d.len as usize);
            Told::Datagram(d.id.cookie, d.sent, d.len, d.data.to_vec())
        }
        Observation::Early(_) => panic!("a capture knows connections from their first packet"),
        Observation::Handed(_) => panic!("a capture knows no processes"),
    }
}

fn read_with(file: &[u8], connections: usize) -> Result<(Vec<Told>, Counts, BootNs), CaptureError> {
    let mut capture = Capture::new(Cursor::new(file), Some(file.len() as u64))?.with_connections(connections);
    let mut told = Vec::new();
    while capture.next(&mut |found| told.push(own(found)))? {}
    assert!(!capture.next(&mut |_| panic!("nothing comes behind the end")).unwrap());
    Ok((told, capture.counts(), capture.last_time()))
}

fn read(file: &[u8]) -> (Vec<Told>, Counts) {
    let (told, counts, _) = read_with(file, 1000).unwrap();
    (told, counts)
}

fn ends(told: &[Told]) -> Vec<&EndFact> {
    told.iter().filter_map(|t| if let Told::Fact(Fact::End(e)) = t { Some(e) } else { None }).collect()
}

fn moments(told: &[Told]) -> Vec<(u64, Moment)> {
    ends(told).iter().map(|e| (e.id.cookie, e.moment)).collect()
}

fn samples(told: &[Told]) -> Vec<&SampleFact> {
    told.iter().filter_map(|t| if let Told::Fact(Fact::Sample(s)) = t { Some(s) } else { None }).collect()
}

/// sent, len of every piece
fn pieces(told: &[Told]) -> Vec<(bool, u32)> {
    told.iter()
        .filter_map(|t| if let Told::Piece(_, s, _, l, ..) = t { Some((*s, *l)) } else { None })
        .collect()
}

fn outcome(told: &[Told]) -> Option<Outcome> {
    let last = *ends(told).last()?;
    match last.moment {
        Moment::Closed(ending) => Some(ending.outcome(last.role)),
        Moment::Failed(outcome) => Some(outcome),
        _ => None,
    }
}
