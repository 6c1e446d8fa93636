//! One JSON object per line, with stable names: `docs/json.md` documents every field.
//!
//! What is not known is absent, or `null` beside a reason where that is told apart. Text from outside stays as it is for the program that
//! reads it; what could steer a terminal is written in JSON's own escapes.

mod asked;
mod audit;
mod connection;
mod counters;
mod edge;
mod event;
mod request;
mod status;
mod tls;
mod top;
mod workload;

pub use audit::{AuditJson, audit};
pub use connection::{ConnectionJson, ListedTlsJson, connection, listed_tls};
pub use edge::{EdgeJson, edge};
pub use event::{EventJson, MissedJson, event, missed};
pub use request::{RequestJson, request};
pub use status::{HookJson, StatusJson, hook, status};
pub use top::{TopJson, top};
pub use workload::{WorkloadJson, workload};

use std::fmt::Write as _;

use serde::{Serialize, Serializer};

use super::{Window, time};
use crate::model::{UtcOffset, escape};
use crate::world::Workload;

/// The line of one object, without its line end; it holds no other.
///
/// # Errors
/// Passes on what serde reports; the objects of this module give it no cause to.
pub fn line<T: Serialize>(object: &T) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(object)?;
    Ok(if escape(&text) == text { text } else { harmless(&text) })
}

/// The same JSON with `\uNNNN` for all that [`escape`] would replace: JSON itself lets DEL, C1 and
/// bidirectional marks pass. Outside of strings its text is ASCII, so these stand inside of one.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let plain = c.to_string();
        if escape(&plain) == plain {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

/// The name of a workload, and how it is known.
#[derive(Debug, Serialize)]
struct NameJson {
    name: String,
    kind: &'static str,
    source: String,
}

impl NameJson {
    fn new(w: &Workload) -> Self {
        NameJson { name: w.id.name.to_string(), kind: w.id.kind.as_str(), source: w.source.to_string() }
    }
}

/// What counters cover: one of the two, neither where the start is not known.
#[derive(Debug, Serialize)]
struct WindowJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    window_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl WindowJson {
    fn new(window: Window, utc: UtcOffset) -> Self {
        WindowJson {
            // A window has at most an hour of seconds: the cast keeps it whole.
            window_s: window.since.is_none().then_some(window.seconds.round() as u64),
            since: window.since.and_then(|at| time::rfc3339(utc, at)),
        }
    }
}

/// Counts by a documented name, in order of display; only what was counted.
#[derive(Debug, Default)]
struct Counts(Vec<(&'static str, u64)>);

impl Counts {
    fn add(&mut self, name: &'static str, n: u64) {
        if n == 0 {
            return;
        }
        match self.0.iter_mut().find(|(have, _)| *have == name) {
            Some((_, sum)) => *sum = sum.saturating_add(n),
            None => self.0.push((name, n)),
        }
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;
    use crate::model::{NameKind, Outcome};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn object(value: &impl Serialize) -> Value {
        serde_json::from_str(&line(value).unwrap()).unwrap()
    }

    #[test]
    fn top_level_figures_are_the_clients_else_the_servers() {
        let (names, utc) = (samples::names(), samples::UTC);
        let both = object(&connection(&samples::rich_connection(), &names, utc));
        assert_eq!(both["view"], "client");
        assert_eq!((&both["bytes_to_server"], &both["bytes_to_client"]), (&json!(3400), &json!(12_000)));
        assert_eq!((&both["connect_us"], &both["role_evidence"]), (&json!(1200), &json!("saw-connect")));
        assert_eq!(both["opened"], "2024-02-29T12:34:57.000000Z");
        assert_eq!(both["closed"], "2024-02-29T12:35:01.123456Z");
        assert_eq!(
            both["client"]["workload"],
            json!({"name": "shop/web", "kind": "container", "source": "cgroup path"})
        );
        assert_eq!(both["client"]["process"], json!({"pid": 812, "comm": "web", "exe": "/usr/bin/web"}));
        assert_eq!(both["server"]["seen"]["bytes_sent"], 12_000);

        let server = object(&connection(&samples::server_only(), &names, utc));
        assert_eq!(server["view"], "server");
        assert_eq!((&server["bytes_to_server"], &server["bytes_to_client"]), (&json!(0), &json!(5)));
        assert_eq!(server["server"]["cgroup_id"], 4711);
        for absent in ["connect_us", "srtt_us", "outcome", "closed"] {
            assert_eq!(server.get(absent), None, "{absent}");
        }
        assert_eq!(server["client"].get("seen"), None);

        let neither = object(&connection(&samples::minimal_connection(), &names, utc));
        assert_eq!((neither.get("view"), neither.get("bytes_to_server")), (None, None));
    }

    #[test]
    fn edges_keep_both_views_apart() {
        let window = Window { since: None, seconds: 59.96 };
        let e = object(&edge(&samples::rich_edge(), window, samples::UTC));
        assert_eq!((&e["view"], &e["opened"], &e["window_s"]), (&json!("client"), &json!(740), &json!(60)));
        assert_eq!((&e["by_client"]["opened"], &e["by_server"]["opened"]), (&json!(740), &json!(662)));
        assert_eq!(e["failed"]["refused"], Outcome::Refused as u64);
        assert_eq!((e["failed"].get("clean"), &e["outcomes"]["clean"]), (None, &json!(1)));
        let connect =
            json!({"count": 3, "p50": 1207, "p90": 40_000, "p99": 40_000, "max": 40_000, "mean": 14_033.3});
        assert_eq!(e["connect_us"], connect);
        assert_eq!(e["by_server"].get("connect_us"), None);
        assert_eq!(e["client"]["entities"], json!(["00000000000000a1", "00000000000000a3"]));
        assert_eq!(e["failing_since"], "2024-02-29T12:34:59.000000Z");
        let total = Window { since: Some(crate::model::BootNs(1)), seconds: 60.0 };
        let e = object(&edge(&samples::minimal_edge(), total, samples::UTC));
        assert_eq!((e.get("window_s"), &e["since"]), (None, &json!("2024-02-29T12:34:56.000000Z")));
        assert_eq!((&e["view"], &e["failed"]), (&json!("server"), &json!({})));
    }

    #[test]
    fn what_nobody_decoded_is_absent_and_not_0() {
        let window = Window { since: None, seconds: 60.0 };
        let e = object(&edge(&samples::rich_edge(), window, samples::UTC));
        assert_eq!((&e["protocol"], &e["requests"], &e["errors"]), (&json!("http"), &json!(67), &json!(7)));
        assert_eq!((&e["undecoded_bytes"], &e["not_timed"]), (&json!(900), &json!(1)));
        assert_eq!(e["latency_us"]["max"], 66_000);
        assert_eq!(e["protocols"].as_array().map(Vec::len), Some(3));
        assert_eq!(e["protocols"][2], json!({"protocol": "tls"}));
        // 64 told apart, the rest, and one of another protocol.
        let rest = |t: &&Value| t["rest"] == true;
        let targets = e["targets"].as_array().unwrap();
        assert_eq!((targets.len(), targets.iter().filter(rest).count()), (66, 1));
        let blind = &e["by_server"];
        assert_eq!(
            (&blind["turn_us"]["max"], &blind["turns_not_timed"]["pushes"]),
            (&json!(8200), &json!(2))
        );
        for absent in ["protocol", "requests", "errors", "latency_us", "missed", "undecoded_bytes"] {
            assert_eq!(blind.get(absent), None, "{absent}");
        }
        assert_eq!((&blind["protocols"], &blind["targets"]), (&json!([]), &json!([])));
    }

    #[test]
    fn what_could_not_be_told_is_null_with_the_reason() {
        let of = |e| object(&request(&e, &samples::names(), samples::UTC));
        let rich = of(samples::rich_request());
        assert_eq!(rich["time"], "2024-02-29T12:35:00.000000Z");
        assert_eq!((&rich["target"], &rich["status"]), (&json!("/orders/{id}"), &json!("503")));
        assert_eq!((&rich["ok"], &rich["verdict"]), (&json!(false), &json!("error")));
        assert_eq!((&rich["view"], &rich["latency_us"]), (&json!("client"), &json!(8200)));
        assert_eq!(rich["by_server"], json!({"latency_us": 8000, "full_us": 8200}));
        assert_eq!(rich["client"]["process"]["comm"], "web");
        let unknown = of(samples::unknown_request());
        let why = json!("an earlier header block was missed");
        for field in ["target", "status", "ok"] {
            let reason = &unknown[format!("{field}_unknown")];
            assert_eq!((unknown.get(field), reason), (Some(&Value::Null), &why), "{field}");
        }
        assert_eq!(unknown.get("latency_us"), Some(&Value::Null));
        assert_eq!(unknown["latency_us_unknown"], "the answer was not seen");
        // It had no answer, so there is no latency.
        let unanswered = of(samples::unanswered_request());
        assert_eq!((unanswered.get("latency_us"), unanswered.get("latency_us_unknown")), (None, None));
        let minimal = of(samples::minimal_request());
        for absent in ["time", "view", "method", "target", "status", "latency_us", "note"] {
            assert_eq!(minimal.get(absent), None, "{absent}");
        }
        assert!(request(&samples::event(), &samples::names(), samples::UTC).is_none());
    }

    #[test]
    fn the_security_of_a_connection_is_told_with_its_evidence() {
        let of =
            |tls| object(&connection(&samples::secured(tls), &samples::names(), samples::UTC))["tls"].clone();
        let mtls = of(samples::rich_mtls());
        assert_eq!((&mtls["status"], &mtls["confidence"]), (&json!("mtls"), &json!("confirmed")));
        assert_eq!((&mtls["client_cert"], &mtls["outcome"]), (&json!("presented"), &json!("established")));
        assert_eq!(
            (&mtls["version"], &mtls["cipher"]),
            (&json!("TLS 1.2"), &json!("TLS_RSA_WITH_AES_128_CBC_SHA"))
        );
        assert_eq!((&mtls["group"], &mtls["post_quantum"]), (&json!("x25519"), &json!(false)));
        assert_eq!((&mtls["sni"], &mtls["mesh"]), (&json!("api.shop.example"), &json!("istio")));
        assert_eq!((&mtls["alpn"], &mtls["alpn_offered"]), (&json!("h2"), &json!(["h2", "http/1.1"])));
        assert_eq!(
            (&mtls["client_subject"], &mtls["server_subject"]),
            (&json!("CN=web"), &json!("CN=api,O=shop"))
        );
        assert_eq!(mtls["server_not_after"], "2024-03-06T11:34:56.000000Z");
        assert_eq!(mtls["server_sans"], json!(["DNS:api.shop.example", "URI:spiffe://demo/ns/shop/sa/api"]));
        assert_eq!(mtls["server_fingerprint"], "000000000000feed");
        assert_eq!(mtls["weak"], json!(["not-aead", "no-forward-secrecy", "small-server-key"]));
        assert_eq!(mtls["evidence"].as_array().map(Vec::len), Some(2));
        for absent in ["status_unknown", "inherits", "resumed", "alert", "alert_by"] {
            assert_eq!(mtls.get(absent), None, "{absent}");
        }
        let resumed = of(samples::resumed());
        assert_eq!((&resumed["inherits"], &resumed["inherits_age_s"]), (&json!("mtls"), &json!(0)));
        assert_eq!((&resumed["version"], &resumed["cipher"]), (&json!("0x7f1c"), &json!("0xfafa")));
        assert_eq!(resumed["post_quantum"], true);
        let failed = of(samples::failed_handshake());
        assert_eq!(
            (&failed["alert"], &failed["alert_by"]),
            (&json!("certificate_required"), &json!("server"))
        );
        assert_eq!((&failed["outcome"], failed.get("client_not_after")), (&json!("failed"), None));
        let unknown = of(samples::undecided(Some("older than webb")));
        assert_eq!(
            (&unknown["status"], &unknown["status_unknown"]),
            (&json!("unknown"), &json!("older than webb"))
        );
        let tunnel = of(samples::tunnelled());
        assert_eq!(
            (&tunnel["status"], &tunnel["tunnel"], &tunnel["inside"], &tunnel["mesh"]),
            (&json!("tunnel"), &json!("wireguard"), &json!("plaintext"), &json!("cilium"))
        );
        for absent in ["inside_unknown", "status_unknown", "client_cert", "outcome"] {
            assert_eq!(tunnel.get(absent), None, "{absent}");
        }
        let plaintext = of(samples::plaintext());
        let bare = json!({
            "status": "plaintext", "alpn_offered": [], "weak": [], "evidence": ["neither side offered TLS"]
        });
        assert_eq!(plaintext, bare);
        assert!(
            object(&connection(&samples::rich_connection(), &samples::names(), samples::UTC))
                .get("tls")
                .is_none()
        );
    }

    #[test]
    fn edges_count_connections_by_security_where_somebody_looked() {
        let window = Window { since: None, seconds: 60.0 };
        let e = object(&edge(&samples::rich_edge(), window, samples::UTC));
        let counts = json!({"plaintext": 3, "mtls": 97});
        assert_eq!((&e["security"], &e["by_client"]["security"]), (&counts, &counts));
        assert_eq!(e["by_server"].get("security"), None);
    }

    /// Folded servers have the unspecified address, which nobody dialled.
    #[test]
    fn a_folded_server_has_no_address() {
        let mut row = samples::rich_edge();
        row.addr = Some(std::net::Ipv6Addr::UNSPECIFIED.into());
        let window = Window { since: None, seconds: 1.0 };
        assert_eq!(object(&edge(&row, window, samples::UTC)).get("server_address"), None);
    }

    #[test]
    fn loss_is_summed_by_kind_and_by_place() {
        let s = object(&status(&samples::rich_status()));
        assert_eq!(s["loss"]["total"], 42);
        let by_kind = json!({"state": 7, "sample": 7, "event": 7, "exchange": 7, "turn": 7, "datagram": 7});
        assert_eq!(s["loss"]["by_kind"], by_kind);
        assert_eq!(s["loss"]["by_place"]["ring-full"], 6);
        assert_eq!(s["cost"]["cpu_seconds"], 1.25);
        assert_eq!(s["hooks"][1]["why_off"], "the kernel has no fentry");
    }

    proptest! {
        /// Any text comes back as it was, from one line that cannot steer a terminal.
        #[test]
        fn text_is_not_changed(name in samples::hostile()) {
            let mut row = samples::rich_workload();
            row.workload.id = crate::world::WorkloadId { name: name.as_str().into(), kind: NameKind::Unit };
            row.workload.source = name.as_str().into();
            let text = line(&workload(&row, Window { since: None, seconds: 1.0 }, samples::UTC)).unwrap();
            prop_assert_eq!(escape(&text), text.as_str());
            let value: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(value["name"].as_str(), Some(name.as_str()));
            prop_assert_eq!(value["source"].as_str(), Some(name.as_str()));
        }
    }
}
