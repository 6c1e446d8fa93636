//! What was seen → [`Tls`]: the decision, and the evidence for it in words.

mod evidence;

use super::handed::Proved;
use super::legacy::First;
use super::modern::{Modern, Said};
use super::preamble::Start;
use super::walk::{MISSED, Walk};
use super::{Looking, Sessions, Stage, Watch, names};
use crate::model::{
    Certificate, ClientCert, Confidence, EarlyData, Handshake, Inherits, Known, Resumption, Security, Tls,
};
use crate::wire::Speaker;

const SILENT: &str = "the client has said nothing yet";
const GOING_ON: &str = "the handshake is going on";
const PREAMBLE: &str = "what is said before TLS is going on";
const ADOPTED: &str = "began before webb watched";
const ADOPTED_TLS: &str = "began before webb watched; TLS 1.2 or later by its records";
const PADDED: &str = "records are padded: a Certificate cannot be told from a Finished";
const MAY_BE_PADDED: &str = "the client's first encrypted record may be padded; its next one will tell";
const ODD: &str = "the client's first encrypted record has no known length, and is short for a Certificate";

/// The decision, without words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    pub status: Security,
    pub why: Option<&'static str>,
    pub confidence: Option<Confidence>,
    pub cert: ClientCert,
    pub handshake: Handshake,
    pub alert: Option<u8>,
    pub by_client: bool,
    pub later: bool,
    pub resumed: Option<Resumption>,
    /// What was read: hello, answer, certificates of both sides.
    read: [bool; 4],
}

impl Judgement {
    pub fn of(watch: &Watch) -> Self {
        match &watch.stage {
            Stage::Looking(looking) => before(watch, looking),
            Stage::Tls { walk, .. } => of_walk(walk, watch),
        }
    }

    fn unknown(why: &'static str) -> Self {
        Judgement { why: Some(why), ..Judgement::default() }
    }
}

/// No TLS was seen.
fn before(watch: &Watch, looking: &Looking) -> Judgement {
    if watch.adopted {
        return Judgement::unknown(if watch.are_records() == Some(true) { ADOPTED_TLS } else { ADOPTED });
    }
    if looking.torn {
        return Judgement::unknown(MISSED);
    }
    if !looking.plain {
        return Judgement::unknown(if looking.start.client.is_empty() { SILENT } else { PREAMBLE });
    }
    let mut judgement = Judgement { status: Security::Plaintext, ..Judgement::default() };
    if let Some(Some(code)) = looking.start.alert() {
        (judgement.handshake, judgement.alert) = (Handshake::PlaintextToTls, Some(code));
    }
    judgement
}

impl Start {
    /// The alert (RFC 8446 section 6) that the server says first; `None` while it may still be one.
    pub fn alert(&self) -> Option<Option<u8>> {
        match self.greeting.as_slice() {
            [21, 3, 0..=4, 0, 2, 1 | 2, code, ..] => Some(Some(*code)),
            []
            | [21]
            | [21, 3]
            | [21, 3, 0..=4]
            | [21, 3, 0..=4, 0]
            | [21, 3, 0..=4, 0, 2]
            | [21, 3, 0..=4, 0, 2, 1 | 2] => None,
            _ => Some(None),
        }
    }
}

/// The certificate of `from` that a process handed over, if it is of this handshake.
fn proved<'a>(watch: &'a Watch, modern: &Modern, from: Speaker) -> Option<Proved<'a>> {
    watch.leaves.as_ref()?.proved(from, modern)
}

fn of_walk(walk: &Walk, watch: &Watch) -> Judgement {
    let mut j = Judgement {
        read: [
            walk.hello.is_some(),
            walk.answer.is_some(),
            walk.legacy.certificates[0].is_some(),
            walk.legacy.certificates[1].is_some(),
        ],
        ..Judgement::default()
    };
    let established = match &walk.modern {
        Some(modern) => of_modern(walk, modern, watch, &mut j),
        None => of_legacy(walk, &mut j),
    };
    let (client, server) = (walk.follows(Speaker::Client), walk.follows(Speaker::Server));
    let encrypted = walk.modern.as_ref().and_then(|m| m.alert);
    let early_only = walk.modern.as_ref().is_some_and(|m| m.count == 0);
    if established {
        j.handshake = Handshake::Established;
    } else if let Some(ended) = walk.ended.filter(|e| e.code.is_some() || walk.follows(e.by.other())) {
        // An encrypted one may also close what is established, where the other side is not followed.
        (j.handshake, j.alert, j.by_client) = (Handshake::Failed, ended.code, ended.by == Speaker::Client);
    } else if j.why == Some(REFUSED) {
        (j.handshake, j.by_client) = (Handshake::Failed, true);
    } else if encrypted.is_some() {
        j.handshake = Handshake::Failed;
    } else if walk.alien {
        j.handshake = Handshake::TlsToPlaintext;
    } else if watch.ended && client && server && !(early_only && j.status == Security::Resumed) {
        j.handshake = Handshake::Aborted;
    }
    match j.handshake {
        Handshake::Failed | Handshake::Aborted | Handshake::TlsToPlaintext => {
            (j.status, j.why, j.confidence, j.resumed) = (Security::Failed, None, None, j.resumed);
        }
        Handshake::Open if j.status == Security::Mtls => {
            let why = if server { GOING_ON } else { lost(walk, Speaker::Server) };
            (j.status, j.why, j.confidence) = (Security::Unknown, Some(why), None);
        }
        _ => {}
    }
    j
}

/// The client's first encrypted record is an alert.
const REFUSED: &str = "the client refused the server";

fn lost(walk: &Walk, from: Speaker) -> &'static str {
    walk.lost.get(from as usize).copied().flatten().unwrap_or(GOING_ON)
}

/// Fills in what a handshake up to TLS 1.2 says; whether both went on.
fn of_legacy(walk: &Walk, j: &mut Judgement) -> bool {
    let legacy = &walk.legacy;
    match legacy.first {
        None => {
            let from = if walk.follows(Speaker::Client) { Speaker::Server } else { Speaker::Client };
            j.why = Some(lost(walk, from));
            return false;
        }
        Some(First::Certificate) => {
            (j.status, j.cert) = (Security::Mtls, ClientCert::Presented);
            j.confidence = Some(match &legacy.certificates[0] {
                Some(_) => Confidence::IdentityRead,
                None if legacy.verified => Confidence::Confirmed,
                None => Confidence::Seen,
            });
        }
        Some(First::Empty) => (j.status, j.cert) = (Security::Tls, ClientCert::Declined),
        Some(First::KeyExchange) => (j.status, j.cert) = (Security::Tls, ClientCert::NotAsked),
        Some(First::Abbreviated) => {
            (j.status, j.cert) = (Security::Resumed, ClientCert::NotAsked);
            let ticket = walk.hello.as_ref().is_some_and(|h| h.ticket.is_some());
            j.resumed = Some(if ticket { Resumption::Ticket } else { Resumption::SessionId });
        }
    }
    if legacy.renegotiated == Some(true) && j.cert != ClientCert::Presented {
        (j.status, j.cert, j.confidence) = (Security::Mtls, ClientCert::Presented, Some(Confidence::Seen));
        j.resumed = None;
    }
    legacy.done()
}

/// Fills in what a handshake of TLS 1.3 says; whether the server went on.
fn of_modern(walk: &Walk, modern: &Modern, watch: &Watch, j: &mut Judgement) -> bool {
    let said = modern.said();
    let [client, server] = [Speaker::Client, Speaker::Server].map(|from| proved(watch, modern, from));
    (j.read[2], j.read[3]) = (client.is_some(), server.is_some());
    let mut unknown = |why| j.why = Some(why);
    let mut certificate = None;
    match said {
        Said::Nothing if walk.follows(Speaker::Client) => unknown(GOING_ON),
        Said::Nothing => unknown(lost(walk, Speaker::Client)),
        Said::Padded => unknown(PADDED),
        Said::MayBePadded => unknown(MAY_BE_PADDED),
        Said::Odd => unknown(ODD),
        Said::Alert => unknown(REFUSED),
        Said::Finished => (j.status, j.cert) = (Security::Tls, ClientCert::NotAsked),
        Said::Empty => (j.status, j.cert) = (Security::Tls, ClientCert::Declined),
        Said::Certificate { proved: true } => certificate = Some(Confidence::Confirmed),
        Said::Certificate { proved: false } | Said::Pieces => certificate = Some(Confidence::Seen),
    }
    if client.is_some() {
        certificate = Some(Confidence::IdentityRead);
    }
    if walk.answer.as_ref().is_some_and(|a| a.psk) {
        // Nobody is asked for a certificate then (RFC 8446 section 4.3.2).
        (j.resumed, j.cert) = (Some(Resumption::Psk), ClientCert::NotAsked);
        certificate = None;
        // Early data may be all that the client says.
        let early = walk.early && !walk.retried;
        if (said != Said::Nothing || early) && said != Said::Alert {
            (j.status, j.why) = (Security::Resumed, None);
        }
    }
    if certificate.is_some() {
        (j.status, j.why) = (Security::Mtls, None);
        (j.cert, j.confidence) = (ClientCert::Presented, certificate);
    }
    let may = walk.hello.as_ref().is_some_and(|h| h.post_handshake_auth);
    if may && modern.established() {
        if modern.later_heard {
            (j.status, j.cert, j.why) = (Security::Mtls, ClientCert::Presented, None);
            (j.confidence, j.resumed) = (Some(Confidence::Confirmed), None);
        } else if modern.later_empty && j.cert == ClientCert::NotAsked && j.resumed.is_none() {
            j.cert = ClientCert::Declined;
        }
        j.later = !modern.later_heard;
    }
    modern.established()
}

/// All that is known.
pub(super) fn tls(watch: &Watch) -> Tls {
    let j = watch.judge();
    let mut tls = Tls {
        status: j.status,
        unknown: j.why.filter(|_| j.status == Security::Unknown).map(Into::into),
        confidence: j.confidence,
        inherits: (j.status == Security::Resumed).then_some(Inherits::Unknown),
        client_cert: j.cert,
        may_authenticate_later: j.later,
        resumed: j.resumed,
        handshake: j.handshake,
        alert: j.alert,
        alert_by_client: j.by_client,
        ..Tls::default()
    };
    match &watch.stage {
        Stage::Looking(_) if watch.adopted => {}
        Stage::Looking(looking) => evidence::of_looking(looking, &j, &mut tls.evidence),
        Stage::Tls { walk, after } => {
            tls.after = after.map(Into::into);
            said(walk, &mut tls);
            tls.mesh = names::mesh(tls.sni.as_deref(), &tls.alpn_offered, 0).map(|seen| seen.mesh);
            evidence::of_walk(walk, &j, &mut tls);
            if let Some(modern) = walk.modern.as_ref().filter(|_| j.resumed.is_none()) {
                tls.client = handed(watch, modern, Speaker::Client, &mut tls.evidence);
                tls.server = handed(watch, modern, Speaker::Server, &mut tls.evidence);
            }
        }
    }
    tls
}

fn handed(
    watch: &Watch,
    modern: &Modern,
    from: Speaker,
    evidence: &mut Vec<Box<str>>,
) -> Option<Box<Certificate>> {
    let proved = proved(watch, modern, from)?;
    evidence.push(proved.evidence(from));
    Some(Box::new(proved.certificate.clone()))
}

/// What both sides said of themselves.
fn said(walk: &Walk, tls: &mut Tls) {
    if let Some(hello) = &walk.hello {
        tls.sni = hello.server_name.known().cloned();
        tls.alpn_offered = hello.protocols.known().cloned().unwrap_or_default();
        tls.ech = hello.encrypted;
    }
    tls.retried = walk.retried;
    if let Some(answer) = &walk.answer {
        (tls.version, tls.cipher) = (Some(answer.version), Some(answer.cipher));
        tls.group = answer.group.or(walk.legacy.group);
        tls.alpn = answer.alpn.clone();
        let announced = walk.early || walk.hello.as_ref().is_some_and(|h| h.early_data);
        if announced && answer.is_13() {
            let accepted = answer.psk && !walk.retried;
            tls.early_data = Some(if accepted { EarlyData::Accepted } else { EarlyData::Rejected });
        }
    }
    let [client, server] = &walk.legacy.certificates;
    (tls.client, tls.server) = (client.clone(), server.clone());
}

/// What links it to others.
pub(super) fn sessions(walk: &Walk) -> Option<Sessions> {
    let (answer, hello) = (walk.answer.as_ref()?, walk.hello.as_ref()?);
    let mut sessions = Sessions::default();
    if let Some(modern) = &walk.modern {
        sessions.identity = hello.identity.filter(|_| answer.psk);
        let before = modern.server.get(..usize::from(modern.server_count)).unwrap_or(&modern.server);
        let after = modern.after.get(..usize::from(modern.after_count)).unwrap_or(&modern.after);
        sessions.tickets = before.iter().chain(after).copied().collect();
        return Some(sessions);
    }
    sessions.issued.extend(walk.legacy.ticket);
    if walk.is_abbreviated() {
        sessions.used = hello.ticket.or(hello.session_id);
    } else if let Some(id) = answer.session_id {
        sessions.issued.push(id);
    }
    Some(sessions)
}

/// Whether a hello's name was read.
pub(super) fn name(known: &Known<Box<str>>) -> Option<&str> {
    known.known().map(|name| &**name)
}
