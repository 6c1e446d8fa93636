//! `webb audit` for people: trouble first.

use super::{Table, arrow};
use crate::export::audit::Audit;
use crate::export::figures::{NONE, count, share};
use crate::export::{security, time};
use crate::model::{BootNs, Certificate, SECURITIES, Security, UtcOffset, escape};
use crate::world::Workload;
use crate::world::security::{
    Between, CertificateRow, ClientRow, FailedRow, MixedRow, Ready, ServerRow, Tally, Top, Validity,
};

/// Rows of each part.
const ROWS: usize = 20;
/// Certificates that end sooner are trouble.
const SOON_DAYS: u64 = 30;

/// The report, each part under its title; a part that has nothing to say is left out. At the end what
/// was looked for and found.
pub fn audit(a: &Audit) -> String {
    let (r, utc) = (&a.report, a.utc);
    let mut out = header(a);
    let parts = [
        ("fell back to plaintext, or protected unequally", mixed(&r.mixed, utc)),
        ("plaintext", plaintext(a)),
        ("failed handshakes", failed(&r.failed, utc)),
        ("weak parameters", weak(a)),
        ("certificates", certificates(&r.certificates, utc)),
        ("if the server required client certificates", readiness(&r.readiness, utc)),
        ("unknown", unknown(a)),
    ];
    for (title, text) in parts {
        if !text.is_empty() {
            out.push_str(&format!("\n{title}\n{text}"));
        }
    }
    out.push_str(&verdict(a));
    out
}

/// What it speaks of, the shares, and what the words mean.
fn header(a: &Audit) -> String {
    let r = &a.report;
    let at = time::date_time(a.utc, a.now).map_or(String::new(), |at| format!(" at {at} UTC"));
    let since = time::date_time(a.utc, a.since).map_or(String::new(), |at| format!(", since {at} UTC"));
    let (node, scope) = (escape(&a.node), escape(&a.scope));
    let mut out = format!("{node} ({scope}){at}: {} connections{since}\n", count(r.connections()));
    let shares: Vec<String> = SECURITIES
        .into_iter()
        .filter(|s| r.share(*s) > 0)
        .map(|s| format!("{} {} {} ({})", s.letter(), s.as_str(), share(r.share(s), r.connections()), count(r.share(s))))
        .collect();
    if !shares.is_empty() {
        out.push_str(&format!("{}\n", shares.join("   ")));
    }
    if a.evicted > 0 {
        out.push_str(&format!("{} older connections were not kept (--history)\n", count(a.evicted)));
    }
    if r.connections() == 0 {
        out.push_str("nothing was said yet that tells: --wait SECONDS collects for a while\n");
    }
    out.push_str(&format!("{}\n", security::MTLS_MEANS));
    out
}

/// `PASS` or what was found of what was looked for; nothing where nothing was looked for.
fn verdict(a: &Audit) -> String {
    if a.fail_on.is_empty() {
        return String::new();
    }
    let found: Vec<String> = a.findings().iter().map(|(c, n)| format!("{c} ({})", count(*n))).collect();
    if found.is_empty() {
        let asked: Vec<String> = a.fail_on.iter().map(ToString::to_string).collect();
        return format!("\nok: nothing of {}\n", asked.join(", "));
    }
    format!("\nFAIL: {}\n", found.join(", "))
}

/// A part: at most [`ROWS`] lines, and how many more there are.
fn part<T>(titles: &[&'static str], top: &Top<T>, row: impl Fn(&mut Table, &T)) -> String {
    if top.is_empty() {
        return String::new();
    }
    let mut t = Table::new(titles);
    top.rows.iter().take(ROWS).for_each(|r| row(&mut t, r));
    let mut text = t.render();
    let more = top.total().saturating_sub(ROWS as u64);
    if more > 0 {
        text.push_str(&format!("  and {} more\n", count(more)));
    }
    text
}

/// Trouble, something to look into, or neither.
const BAD: &str = "!";
const ASK: &str = "?";
const FINE: &str = " ";

fn edge(e: &Between) -> String {
    format!("{} {} {}:{}", e.client.id.bare(), arrow(e.id.role_known), e.server.id.bare(), e.id.port)
}

fn last(at: BootNs, utc: UtcOffset) -> String {
    time::date_time(utc, at).unwrap_or_else(|| NONE.to_owned())
}

fn seen(tally: &Tally, utc: UtcOffset) -> [String; 2] {
    [count(tally.count), last(tally.seen, utc)]
}

fn plaintext(a: &Audit) -> String {
    part(&["", "EDGE", ">CONNECTIONS", "LAST SEEN (UTC)", "WHY"], &a.report.plaintext, |t, row| {
        let [n, at] = seen(&row.tally, a.utc);
        t.row([BAD.to_owned(), edge(&row.edge), n, at, row.why.to_string()]);
    })
}

fn mixed(top: &Top<MixedRow>, utc: UtcOffset) -> String {
    part(&["", "EDGE", "STATES", "WHAT HAPPENED"], top, |t, row| {
        let states: Vec<String> =
            row.statuses.iter().map(|s| format!("{}{}", s.status.letter(), count(s.tally.count))).collect();
        let was = row.statuses.iter().filter(|s| is_protected(s.status));
        let was = was.max_by_key(|s| s.tally.seen).map_or(Security::Unknown, |s| s.status);
        let happened = if row.fallback {
            format!("fallback: was {} until {}, now P", was.letter(), last(row.protected_until, utc))
        } else {
            "not all connections are protected alike".to_owned()
        };
        let sign = if row.fallback { BAD } else { ASK };
        t.row([sign.to_owned(), edge(&row.edge), states.join(" "), happened]);
    })
}

fn is_protected(status: Security) -> bool {
    !matches!(status, Security::Plaintext | Security::Unknown | Security::Failed)
}

fn failed(top: &Top<FailedRow>, utc: UtcOffset) -> String {
    part(&["", "EDGE", ">HANDSHAKES", "LAST SEEN (UTC)", "REASON"], top, |t, row| {
        let [n, at] = seen(&row.tally, utc);
        let reason = if row.why.has_alert() {
            let by = if row.why.by_client { "client" } else { "server" };
            format!("{}: alert {} by the {by}", row.why.handshake.as_str(), security::alert(row.why.alert))
        } else {
            row.why.handshake.as_str().to_owned()
        };
        t.row([BAD.to_owned(), edge(&row.edge), n, at, reason]);
    })
}

fn weak(a: &Audit) -> String {
    let titles = ["", "EDGE", ">CONNECTIONS", "LAST SEEN (UTC)", "VERSION", "CIPHER", "WEAK"];
    part(&titles, &a.report.weak, |t, row| {
        let [n, at] = seen(&row.tally, a.utc);
        let weak: Vec<&str> = row.weaknesses.iter().map(|(name, _)| *name).collect();
        let version = row.version.map_or_else(|| NONE.to_owned(), security::version);
        let cipher = row.cipher.map_or_else(|| NONE.to_owned(), security::cipher);
        t.row([BAD.to_owned(), edge(&row.edge), n, at, version, cipher, weak.join(" ")]);
    })
}

fn certificates(top: &Top<CertificateRow>, utc: UtcOffset) -> String {
    let titles = ["", "VALID", "UNTIL", "SUBJECT", "IDENTITY", "ISSUER", ">SEEN", "LAST SEEN (UTC)", "OWNER"];
    part(&titles, top, |t, row| {
        let c = &row.certificate;
        let (sign, valid) = match row.validity {
            Validity::Expired(days) => (BAD, format!("expired {days} d ago")),
            Validity::NotYet => (BAD, "not yet".to_owned()),
            Validity::Valid(days) if days < SOON_DAYS => (BAD, format!("expires {days} d")),
            Validity::Valid(days) => (FINE, format!("{days} d")),
        };
        let [n, at] = seen(&row.tally, utc);
        t.row([
            sign.to_owned(),
            valid,
            time::date_unix(c.not_after).unwrap_or_else(|| NONE.to_owned()),
            named(&c.subject),
            named(identity(c)),
            named(&c.issuer),
            n,
            at,
            owners(row),
        ]);
    })
}

fn named(text: &str) -> String {
    if text.is_empty() { NONE.to_owned() } else { text.to_owned() }
}

/// Its SPIFFE id, else its first name.
fn identity(c: &Certificate) -> &str {
    c.spiffe.as_deref().or(c.sans.first().map(|s| &**s)).unwrap_or_default()
}

fn owners(row: &CertificateRow) -> String {
    let name = |w: &Workload| w.id.bare().to_owned();
    let servers = row.servers.rows.iter().map(|(w, port)| format!("{}:{port}", name(w)));
    let clients = row.clients.rows.iter().map(|w| format!("{} (client)", name(w)));
    let mut all: Vec<String> = servers.chain(clients).collect();
    let more = row.servers.more.saturating_add(row.clients.more);
    if more > 0 {
        all.push(format!("{} more", count(more)));
    }
    all.join(", ")
}

fn readiness(top: &Top<ServerRow>, utc: UtcOffset) -> String {
    part(&["", "SERVER", "READY", "CLIENTS THAT ARE NOT"], top, |t, row| {
        let sign = match () {
            () if row.breaks > 0 => BAD,
            () if row.ready < row.clients.total() => ASK,
            () => FINE,
        };
        let not: Vec<String> = row
            .clients
            .rows
            .iter()
            .filter(|c| c.ready != Ready::Ready)
            .take(ROWS)
            .map(|c| not_ready(c, utc))
            .collect();
        t.row([
            sign.to_owned(),
            format!("{}:{}", row.server.id.bare(), row.port),
            format!("{} of {}", count(row.ready), count(row.clients.total())),
            if not.is_empty() { NONE.to_owned() } else { not.join(", ") },
        ]);
    })
}

fn not_ready(c: &ClientRow, utc: UtcOffset) -> String {
    let what = match c.ready {
        Ready::Breaks if c.plaintext.count > 0 => "would break: plaintext",
        Ready::Breaks => "would break: sends no certificate",
        Ready::NotAsked => "was not asked",
        Ready::Unknown | Ready::Ready => return format!("{} (not known)", c.client.id.bare()),
    };
    format!("{} ({what}, last {})", c.client.id.bare(), last(c.without().seen, utc))
}

fn unknown(a: &Audit) -> String {
    part(&["", ">CONNECTIONS", "LAST SEEN (UTC)", "REASON", "EDGES"], &a.report.unknown, |t, row| {
        let [n, at] = seen(&row.tally, a.utc);
        let mut edges: Vec<String> =
            row.edges.rows.iter().map(|(e, n)| format!("{} ({})", edge(e), count(*n))).collect();
        if row.edges.more > 0 {
            edges.push(format!("{} more", count(row.edges.more)));
        }
        t.row([ASK.to_owned(), n, at, row.reason.to_string(), edges.join(", ")]);
    })
}
