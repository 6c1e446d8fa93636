//! `webb audit` for people: trouble first.

use super::{Table, arrow, place};
use crate::export::audit::Audit;
use crate::export::figures::{NONE, count, share};
use crate::export::{security, time};
use crate::model::{BootNs, Certificate, Security, UtcOffset, Validity, escape};
use crate::world::security::{
    Between, CertificateRow, ClientRow, FailedRow, HIDDEN, MixedRow, READ_HIDDEN, Ready, ServerRow, Tally,
    Top,
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
        ("certificates", certificates(a)),
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
    let shares: Vec<String> = ORDER
        .into_iter()
        .filter(|s| r.share(*s) > 0)
        .map(|s| {
            format!(
                "{} {} {} ({})",
                s.letter(),
                s.as_str(),
                share(r.share(s), r.connections()),
                count(r.share(s))
            )
        })
        .collect();
    if !shares.is_empty() {
        out.push_str(&format!("{}\n", shares.join("   ")));
    }
    if r.silent > 0 {
        out.push_str(&format!("{} more said nothing that tells\n", count(r.silent)));
    }
    if a.evicted > 0 {
        out.push_str(&format!("{} older connections were not kept (--history)\n", count(a.evicted)));
    }
    if r.connections() == 0 {
        out.push_str(
            "no connection said anything that tells: a live audit collects longer with --wait SECONDS\n",
        );
    }
    out.push_str(&format!("{}\n", security::mtls_means()));
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
        let unknown = a.report.share(Security::Unknown);
        let but = if unknown > 0 {
            format!("; of {} connections it is not known", count(unknown))
        } else {
            String::new()
        };
        return format!("\nok: nothing of {}{but}\n", asked.join(", "));
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

/// In the order of the shares: what protects first, what is not known last.
const ORDER: [Security; 8] = [
    Security::Mtls,
    Security::Tls,
    Security::Resumed,
    Security::Implied,
    Security::Tunnel,
    Security::Plaintext,
    Security::Failed,
    Security::Unknown,
];

/// Trouble, something to look into, or neither.
const BAD: &str = "!";
const ASK: &str = "?";
const FINE: &str = " ";

fn edge(e: &Between) -> String {
    let (arrow, server) = (arrow(e.id.role_known), place(&e.server, e.id.port));
    format!("{} {arrow} {server}", e.client.id.bare())
}

fn last(at: BootNs, utc: UtcOffset) -> String {
    time::date_time(utc, at).unwrap_or_else(|| NONE.to_owned())
}

fn seen(tally: &Tally, utc: UtcOffset) -> [String; 2] {
    [count(tally.count), last(tally.seen, utc)]
}

fn plaintext(a: &Audit) -> String {
    let titles = ["", "EDGE", ">CONNECTIONS", "FIRST SEEN (UTC)", "LAST SEEN (UTC)", "WHY"];
    part(&titles, &a.report.plaintext, |t, row| {
        let [n, at] = seen(&row.tally, a.utc);
        let first = last(row.tally.first, a.utc);
        let around = Some(row.around.to_string()).filter(|a| !a.is_empty());
        let why: Vec<String> = around.into_iter().chain([row.why.to_string()]).collect();
        t.row([BAD.to_owned(), edge(&row.edge), n, first, at, why.join("; ")]);
    })
}

fn mixed(top: &Top<MixedRow>, utc: UtcOffset) -> String {
    part(&["", "EDGE", "STATES", "WHAT HAPPENED"], top, |t, row| {
        let states: Vec<String> =
            row.statuses.iter().map(|s| format!("{}{}", s.status.letter(), count(s.tally.count))).collect();
        let (sign, mut happened) = match row.fallback {
            Some(now) => {
                let (was, until) = (row.was.letter(), last(row.protected_until, utc));
                (BAD, format!("fallback: was {was} until {until}, now {}", now.letter()))
            }
            None => (ASK, "not all connections are protected alike".to_owned()),
        };
        for s in row.statuses.iter().filter(|s| !s.around.is_empty()) {
            happened += &format!("; {}: {}", s.status.letter(), s.around);
        }
        t.row([sign.to_owned(), edge(&row.edge), states.join(" "), happened]);
    })
}

fn failed(top: &Top<FailedRow>, utc: UtcOffset) -> String {
    part(&["", "EDGE", ">HANDSHAKES", "LAST SEEN (UTC)", "REASON"], top, |t, row| {
        let [n, at] = seen(&row.tally, utc);
        t.row([BAD.to_owned(), edge(&row.edge), n, at, security::failure(row.why)]);
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

/// With those that are missing, and why.
fn certificates(a: &Audit) -> String {
    let (r, utc) = (&a.report, a.utc);
    let titles = ["", "VALID", "UNTIL", "SUBJECT", "IDENTITY", "ISSUER", ">SEEN", "LAST SEEN (UTC)", "OWNER"];
    let text = part(&titles, &r.certificates, |t, row| {
        let c = &row.certificate;
        let (sign, valid) = match row.validity {
            Validity::Expired(_) | Validity::NotYet => (BAD, row.validity.to_string()),
            Validity::Valid(days) if days < SOON_DAYS => (BAD, row.validity.to_string()),
            Validity::Valid(_) if time::date_unix(c.not_after).is_none() => (FINE, "no end".to_owned()),
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
    });
    if r.hidden == 0 {
        return text;
    }
    let advice = if a.identities_offered { format!("; {READ_HIDDEN}") } else { String::new() };
    let plural = if r.hidden == 1 { "" } else { "s" };
    format!("{text}   of {} handshake{plural} none: {HIDDEN}{advice}\n", count(r.hidden))
}

fn named(text: &str) -> String {
    if text.is_empty() { NONE.to_owned() } else { text.to_owned() }
}

/// Its SPIFFE id, else its first name.
fn identity(c: &Certificate) -> &str {
    c.spiffe.as_deref().or(c.sans.first().map(|s| &**s)).unwrap_or_default()
}

fn owners(row: &CertificateRow) -> String {
    let servers = row.servers.rows.iter().map(|h| place(&h.workload, h.edge.port));
    let clients = row.clients.rows.iter().map(|h| format!("{} (client)", h.workload.id.bare()));
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
            place(&row.server, row.port),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::audit::Check;
    use crate::export::samples;
    use crate::wire::tls::names;

    fn of(report: crate::world::security::Report, fail_on: Vec<Check>) -> Audit {
        Audit {
            node: "node-1".to_owned(),
            scope: "demo".to_owned(),
            since: BootNs(1),
            now: BootNs(304_000_000_000),
            utc: samples::UTC,
            evicted: 3,
            identities_offered: true,
            report,
            fail_on,
        }
    }

    #[test]
    fn trouble_comes_first_and_each_part_has_its_reason() {
        let fail_on = vec![Check::Expires { days: 30 }, Check::Plaintext, Check::Weak];
        assert_eq!(
            audit(&of(samples::report(names::weakness_names, 100), fail_on)),
            "\
node-1 (demo) at 2024-02-29 12:40:00 UTC: 9 connections, since 2024-02-29 12:34:56 UTC
M mtls 11.1% (1)   R resumed 11.1% (1)   P plaintext 11.1% (1)   F failed 33.3% (3)   ? unknown 33.3% (3)
1 more said nothing that tells
3 older connections were not kept (--history)
mtls: the client presented a certificate and the server continued; trust is the server's decision and not visible

fell back to plaintext, or protected unequally
   EDGE                         STATES          WHAT HAPPENED
!  shop/web → api.service:8080  ?1 P1 M1 R1 F3  fallback: was M until 2024-02-29 12:35:01, now P; M: after PROXY, istio

plaintext
   EDGE                         CONNECTIONS  FIRST SEEN (UTC)     LAST SEEN (UTC)      WHY
!  shop/web → api.service:8080            1  2024-02-29 12:34:57  2024-02-29 12:35:01  neither side offered TLS

failed handshakes
   EDGE                         HANDSHAKES  LAST SEEN (UTC)      REASON
!  shop/web → api.service:8080           1  2024-02-29 12:35:01  failed: alert encrypted by the client
!  shop/web → api.service:8080           1  2024-02-29 12:35:01  failed: alert certificate_required by the server
!  shop/web → api.service:8080           1  2024-02-29 12:35:01  tls-to-plaintext

weak parameters
   EDGE                         CONNECTIONS  LAST SEEN (UTC)      VERSION  CIPHER                        WEAK
!  shop/web → api.service:8080            1  2024-02-29 12:35:01  TLS 1.2  TLS_RSA_WITH_AES_128_CBC_SHA  no-forward-secrecy not-aead small-server-key

certificates
   VALID        UNTIL       SUBJECT        IDENTITY                      ISSUER      SEEN  LAST SEEN (UTC)      OWNER
!  expires 5 d  2024-03-06  CN=web         spiffe://demo/ns/shop/sa/api  CN=demo-ca     1  2024-02-29 12:35:01  shop/web (client)
!  expires 5 d  2024-03-06  CN=api,O=shop  spiffe://demo/ns/shop/sa/api  CN=demo-ca     1  2024-02-29 12:35:01  api.service:8080
   no end       -           -              -                             -              6  2024-02-29 12:35:01  api.service:8080, shop/web (client)

if the server required client certificates
   SERVER            READY   CLIENTS THAT ARE NOT
!  api.service:8080  0 of 1  shop/web (would break: plaintext, last 2024-02-29 12:35:01)

unknown
   CONNECTIONS  LAST SEEN (UTC)      REASON                         EDGES
?            1  2024-02-29 12:35:01  it is older than webb          shop/web → api.service:8080 (1)
?            1  2024-02-29 12:40:00  nobody looked at what it says  192.0.2.7 ↔ api.service:8080 (1)
?            1  2024-02-29 12:40:00  not decided yet                unknown 0000000000000001 ↔ unknown 0000000000000002 (1)

FAIL: plaintext (1), expires:30d (2), weak (1)
"
        );
    }

    /// The samples' certificates end within the sixth day.
    #[test]
    fn the_day_on_which_a_certificate_expired_is_today() {
        let at = |seconds| {
            audit(&of(samples::connections_report(names::weakness_names, 100, seconds), Vec::new()))
        };
        let day = at(304 + 6 * 86_400);
        assert!(day.contains("!  expired today  ") && !day.contains("0 d"), "{day}");
        let later = at(304 + 8 * 86_400);
        assert!(later.contains("!  expired 2 d  "), "{later}");
    }

    #[test]
    fn certificates_that_are_hidden_are_explained() {
        let hidden = crate::world::security::Report { hidden: 12, ..Default::default() };
        let mut a = of(hidden, Vec::new());
        let title = "\ncertificates\n   of 12 handshakes none: TLS 1.3 hides them on the wire";
        let said = audit(&a);
        let flag = "; --tls-identities reads them where processes have them\n";
        assert!(said.contains(&format!("{title}{flag}")), "{said}");
        a.identities_offered = false;
        assert!(audit(&a).contains(&format!("{title}\n")), "{}", audit(&a));
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert_eq!(
            audit(&of(Default::default(), vec![Check::Plaintext, Check::Expired])),
            "\
node-1 (demo) at 2024-02-29 12:40:00 UTC: 0 connections, since 2024-02-29 12:34:56 UTC
3 older connections were not kept (--history)
no connection said anything that tells: a live audit collects longer with --wait SECONDS
mtls: the client presented a certificate and the server continued; trust is the server's decision and not visible

ok: nothing of plaintext, expired
"
        );
    }
}
