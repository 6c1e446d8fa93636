//! The JSON that webb prints, its schemas in `tests/schema/`, and `docs/json.md` say the same.
// clippy.toml allows these in test functions; here the helpers around them are tests too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};
use webb::export::audit::{Audit, Check};
use webb::export::{Window, json, security, top};
use webb::model::{self, OUTCOMES, Outcome, Status};
use webb::wire::tls::names::WEAKNESSES;
use webb::world;
use webb::world::security::READY;

#[path = "../src/export/samples.rs"]
mod samples;
#[path = "schema/validator.rs"]
mod validator;

use validator::{Place, Schemas, alternatives};

const LAST: Window = Window { since: None, seconds: 59.6 };
const TOTAL: Window = Window { since: Some(model::BootNs(1)), seconds: 1e6 };

fn object(value: &impl Serialize) -> Value {
    let line = json::line(value).unwrap();
    assert!(!line.contains(['\n', '\r']), "one line: {line}");
    serde_json::from_str(&line).unwrap()
}

/// Rich and minimal objects of every kind.
fn objects() -> Vec<(&'static str, Value)> {
    let (names, utc) = (samples::names(), samples::UTC);
    let mut all = Vec::new();
    for c in [
        samples::rich_connection(),
        samples::server_only(),
        samples::bare_owner(),
        samples::minimal_connection(),
    ] {
        all.push(("connection", object(&json::connection(&c, &names, utc))));
    }
    for window in [LAST, TOTAL] {
        let mut one_view = samples::rich_edge();
        one_view.by_server = None;
        for row in [samples::rich_edge(), one_view, samples::minimal_edge()] {
            all.push(("edge", object(&json::edge(&row, window, utc))));
        }
        for row in [samples::rich_workload(), samples::minimal_workload()] {
            all.push(("workload", object(&json::workload(&row, window, utc))));
        }
    }
    for r in [
        samples::rich_request(),
        samples::unknown_request(),
        samples::unanswered_request(),
        samples::minimal_request(),
    ] {
        all.push(("request", object(&json::request(&r, &names, utc).unwrap())));
    }
    let mut blind = samples::minimal_edge();
    let asked = Some(Box::new(samples::turns_only()));
    blind.by_server = Some(model::Counters { opened: 3, asked, ..Default::default() });
    let edges = [samples::rich_edge(), samples::minimal_edge(), blind];
    for by in [top::By::Edges, top::By::Paths] {
        for (row, rank) in top::rows(&edges, by, top::Order::Rate).iter().zip(1..) {
            all.push(("top", object(&json::top(rank, row, LAST, utc))));
        }
    }
    let event = samples::event();
    all.push(("event", object(&json::event(&event, &names, utc))));
    let timeless = model::Event { at: model::BootNs(0), ..event };
    all.push(("event", object(&json::event(&timeless, &names, utc))));
    all.push(("missed", object(&json::missed(7))));
    for status in [samples::rich_status(), Status::default()] {
        all.push(("status", object(&json::status(&status))));
    }
    let inside = model::Tls { inside: Some(model::Security::Unknown), ..samples::tunnelled() };
    let tunnelled = [samples::tunnelled(), inside].map(samples::secured);
    for c in samples::secured_connections().into_iter().chain(tunnelled) {
        all.push(("connection", object(&json::connection(&c, &names, utc))));
        all.extend(json::listed_tls(&c, &names).map(|line| ("listed-tls", object(&line))));
    }
    for limit in [100, 1] {
        let mut audit = audit(limit);
        all.push(("audit", object(&json::audit(&audit))));
        audit.fail_on = Vec::new();
        audit.report = world::security::Report::default();
        (audit.now, audit.since) = Default::default();
        all.push(("audit", object(&json::audit(&audit))));
    }
    all
}

/// Of samples of every verdict, and of what is hardly known.
fn audit(limit: usize) -> Audit {
    let (names, utc) = (samples::names(), samples::UTC);
    let mut connections = samples::secured_connections();
    let plaintext = model::Tls { evidence: Vec::new(), ..samples::plaintext() };
    // Without a time, without ends, with an old certificate and one that is to come.
    let old = model::Certificate { not_after: 1, fingerprint: 1, ..samples::rich_certificate() };
    let future =
        model::Certificate { not_before: 1 << 40, not_after: 1 << 41, fingerprint: 2, ..old.clone() };
    for tls in [
        plaintext,
        samples::rich_mtls(),
        samples::failed_handshake(),
        samples::undecided(Some("its records are padded")),
        samples::tunnelled(),
        model::Tls {
            client: Some(Box::new(old)),
            server: Some(Box::new(future)),
            cipher: None,
            version: None,
            ..samples::rich_mtls()
        },
    ] {
        let state = model::ConnectionState::Closed;
        let tls = Some(std::sync::Arc::new(tls));
        let mut c = model::Connection { state, tls, ..samples::minimal_connection() };
        // Of that edge no suite is known.
        let unnamed = c.tls.as_ref().is_some_and(|tls| tls.cipher.is_none() && tls.server.is_some());
        c.server.address.port = if unnamed { 443 } else { 80 };
        connections.push(c);
    }
    let given = security::given(&names, model::BootNs(304_000_000_000), utc, limit);
    Audit {
        node: "node-1".to_owned(),
        scope: "demo".to_owned(),
        since: model::BootNs(1),
        now: given.now,
        utc,
        evicted: 3,
        identities_offered: true,
        report: world::security::Report::new(&connections, &given),
        fail_on: vec![Check::Plaintext, Check::Expires { days: 30 }],
    }
}

#[test]
fn every_object_is_as_its_schema_says() {
    let mut schemas = Schemas::load();
    for (name, value) in objects() {
        if let Err(why) = schemas.check(name, &value) {
            panic!("{name}: {why}\n{value:#}");
        }
    }
    // Every field was there in some object, and what may be absent was absent in some.
    let mut fields = 0;
    for place in schemas.named() {
        for property in place.schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let key = (place.name.to_owned(), property.0.clone());
            let (there, absent) = schemas.seen.get(&key).copied().unwrap_or_default();
            assert!(there > 0, "no sample has {key:?}");
            assert!(required(place, property.0) || absent > 0, "every sample has {key:?}");
            fields += 1;
        }
    }
    assert!(fields > 100, "{fields}");
}

/// What is `null` has its reason beside it, and a reason stands beside nothing else.
#[test]
fn null_stands_beside_a_reason() {
    fn nulls(v: &Value) -> usize {
        match v {
            Value::Null => 1,
            Value::Array(a) => a.iter().map(nulls).sum(),
            Value::Object(o) => {
                let reasons = o.iter().filter_map(|(k, _)| k.strip_suffix("_unknown"));
                let explained = reasons.filter(|field| {
                    let value = o.get(*field);
                    // A word of a closed list that says the same.
                    let said = value.is_some_and(|v| v == "unknown");
                    assert!(said || value.is_some_and(Value::is_null), "{field} of {v}");
                    !said
                });
                o.values().map(nulls).sum::<usize>() - explained.count()
            }
            _ => 0,
        }
    }
    let mut explained = 0;
    for (name, value) in objects() {
        assert_eq!(nulls(&value), 0, "{name}: {value}");
        explained += value.to_string().matches(":null").count();
    }
    assert!(explained >= 4, "{explained}");
}

/// The validator itself: each kind of mistake is found.
#[test]
fn what_the_schema_does_not_say_is_refused() {
    let mut schemas = Schemas::load();
    let good = objects().swap_remove(0).1;
    assert_eq!(schemas.check("connection", &good), Ok(()));
    for (pointer, value) in [
        ("", json!([])),
        ("/id", json!("630130FA3B7ADB5F")),
        ("/state", json!("closing")),
        ("/adopted", json!("no")),
        ("/opened", json!("2024-02-29 12:34:57")),
        ("/srtt_us", json!(1.5)),
        ("/retransmits", json!(-1)),
        ("/closed", Value::Null),
        ("/client/address", json!("a.b")),
        ("/client/port", json!(65_536)),
        ("/client/seen/outcome", json!("slow")),
        ("/server/workload", json!({ "name": "x", "kind": "unit" })),
        ("/server/process", json!({ "pid": 1, "comm": "x", "uid": 0 })),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(schemas.check("connection", &bad).is_err(), "{pointer}");
    }
    let mut edge = objects().into_iter().find(|(name, _)| *name == "edge").unwrap().1;
    edge["failed"] = json!({ "clean": 1 });
    assert!(schemas.check("edge", &edge).is_err());
    edge["failed"] = json!({ "refused": 0 });
    assert!(schemas.check("edge", &edge).is_err());
}

/// Lists of names in the schemas are those of the code.
#[test]
fn names_are_those_of_the_model() {
    fn all<T>(of: impl Fn(u8) -> Option<T>, name: impl Fn(T) -> &'static str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for n in (0..=u8::MAX).filter_map(of).map(name) {
            if !names.iter().any(|have| have == n) {
                names.push(n.to_owned());
            }
        }
        names
    }
    let failures = OUTCOMES.into_iter().filter(|o| o.is_failure()).map(|o| o.as_str().to_owned()).collect();
    let expected: Vec<(&str, Vec<String>)> = vec![
        ("outcome", all(Outcome::from_number, Outcome::as_str)),
        ("outcomes", all(Outcome::from_number, Outcome::as_str)),
        ("failures", failures),
        ("name-kind", all(model::NameKind::from_number, model::NameKind::as_str)),
        ("view", all(model::View::from_number, model::View::as_str)),
        ("transport", [model::Transport::Tcp, model::Transport::Udp].map(|t| t.as_str().to_owned()).into()),
        ("protocol", all(model::Protocol::from_number, model::Protocol::as_str)),
        ("shape", all(model::Shape::from_number, model::Shape::as_str)),
        ("verdict", all(model::Verdict::from_number, model::Verdict::as_str)),
        ("role-evidence", all(|n| Some(model::RoleEvidence::from_number(n)), model::RoleEvidence::as_str)),
        ("owner-evidence", all(|n| Some(model::OwnerEvidence::from_number(n)), model::OwnerEvidence::as_str)),
        ("security", all(model::Security::from_number, model::Security::as_str)),
        ("securities", all(model::Security::from_number, model::Security::as_str)),
        ("handshake", all(model::Handshake::from_number, model::Handshake::as_str)),
        ("client-cert", all(model::ClientCert::from_number, model::ClientCert::as_str)),
        ("mesh", all(model::Mesh::from_number, model::Mesh::as_str)),
        ("weakness", WEAKNESSES.map(|w| w.as_str().to_owned()).into()),
        ("weaknesses", WEAKNESSES.map(|w| w.as_str().to_owned()).into()),
        ("ready", READY.map(|r| r.as_str().to_owned()).into()),
        ("loss-kinds", all(model::LossKind::from_number, model::LossKind::as_str)),
        ("loss-places", all(model::Cause::from_number, model::Cause::as_str)),
    ];
    let schemas = Schemas::load();
    let mut named: BTreeMap<&str, Vec<String>> =
        schemas.named().into_iter().filter_map(|p| Some((p.name, listed(p)?))).collect();
    for (name, want) in expected {
        assert_eq!(named.remove(name), Some(want), "{name}");
    }
    // The lists of an audit are those fields that it has.
    let lists = named.remove("audit-more").unwrap();
    let fields = &schemas.root("audit").schema["properties"];
    assert!(lists.iter().all(|list| fields[list.as_str()]["type"] == "array"), "{lists:?}");
    assert!(named.is_empty(), "not compared: {named:?}");
    let values = |name, field: &str| {
        listed(schemas.below(schemas.root(name), &schemas.root(name).schema["properties"][field]))
    };
    assert_eq!(
        values("connection", "state"),
        Some(all(model::ConnectionState::from_number, model::ConnectionState::as_str))
    );
    let schema = &schemas.root("connection").schema["$defs"]["tls"]["properties"];
    let values_of_tls = |field: &str| listed(schemas.below(schemas.root("connection"), &schema[field]));
    let confidence = all(model::Confidence::from_number, model::Confidence::as_str);
    assert_eq!(values_of_tls("confidence"), Some(confidence));
    assert_eq!(values_of_tls("inherits"), Some(all(model::Inherits::from_number, model::Inherits::as_str)));
    assert_eq!(values_of_tls("tunnel"), Some(all(model::Tunnel::from_number, model::Tunnel::as_str)));
    let resumptions = all(model::Resumption::from_number, model::Resumption::as_str);
    assert_eq!(values_of_tls("resumed"), Some(resumptions));
    let early = all(model::EarlyData::from_number, model::EarlyData::as_str);
    assert_eq!(values_of_tls("early_data"), Some(early));
    let (connections, requests): (Vec<_>, Vec<_>) =
        model::EVENT_KINDS.into_iter().partition(|k| k.class() == model::EventClass::Connections);
    let names = |kinds: Vec<model::EventKind>| Some(kinds.iter().map(|k| k.as_str().to_owned()).collect());
    assert_eq!(values("event", "event"), names(connections));
    assert_eq!(values("request", "event"), names(requests));
}

#[test]
fn the_documentation_names_exactly_these_fields() {
    let schemas = Schemas::load();
    let sections = sections(include_str!("../docs/json.md"));
    let mut documented: BTreeSet<&str> = sections.keys().map(String::as_str).collect();
    for place in schemas.named() {
        let section = sections.get(place.name);
        if let Some(properties) = place.schema.get("properties").and_then(Value::as_object) {
            let section = section.unwrap_or_else(|| panic!("docs/json.md has no section {}", place.name));
            let rows: BTreeMap<&str, &Vec<String>> = section.iter().map(|r| (name(&r[0]), r)).collect();
            assert_eq!(rows.len(), section.len(), "{}: a field stands twice", place.name);
            let (have, want): (Vec<_>, Vec<_>) = (rows.keys().copied().collect(), sorted(properties.keys()));
            assert_eq!(have, want, "fields of {}", place.name);
            for (field, row) in rows {
                let at = format!("{}.{field}", place.name);
                assert_eq!(row.len(), 4, "{at}");
                let kind = words(&schemas, place, &properties[field], &documented_names(&sections));
                assert_eq!(row[1], kind, "type of {at}");
                assert_eq!(row[3] == "never", required(place, field), "{at} is absent when: {}", row[3]);
                assert!(!row[2].is_empty() && !row[3].is_empty(), "{at} says nothing");
            }
        } else if let (Some(section), Some(values)) = (section, listed(place))
            && place.schema.contains_key("enum")
        {
            assert_eq!(section.iter().map(|r| name(&r[0])).collect::<Vec<_>>(), values, "{}", place.name);
        }
        documented.remove(place.name);
    }
    // What is left is prose.
    assert_eq!(documented.into_iter().collect::<Vec<_>>(), ["JSON", "Names in use", "Rules"]);
}

type Sections = BTreeMap<String, Vec<Vec<String>>>;

/// Rows of the table below each heading, without the table's head.
fn sections(text: &str) -> Sections {
    let mut all = Sections::new();
    let mut here = String::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            here = heading.trim_start_matches('#').trim().to_owned();
            assert!(all.insert(here.clone(), Vec::new()).is_none(), "two sections {here}");
        } else if let Some(row) = line.strip_prefix('|').and_then(|l| l.trim_end().strip_suffix('|')) {
            let cells = row.split('|').map(|c| c.trim().to_owned()).collect();
            all.get_mut(&here).expect("a heading before the table").push(cells);
        }
    }
    // Title and rule of each table.
    all.values_mut().filter(|rows| !rows.is_empty()).for_each(|rows| drop(rows.drain(..2)));
    all
}

fn documented_names(sections: &Sections) -> BTreeSet<&str> {
    sections.keys().map(String::as_str).collect()
}

fn name(cell: &str) -> &str {
    cell.strip_prefix('`').and_then(|c| c.strip_suffix('`')).unwrap_or_else(|| panic!("{cell} is not a name"))
}

fn sorted<'a>(keys: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    keys.map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect()
}

fn required(place: Place<'_>, field: &str) -> bool {
    place.schema.get("required").and_then(Value::as_array).is_some_and(|r| r.iter().any(|f| f == field))
}

/// The names that a schema lists: an enumeration's values, or the keys of counts by name.
fn listed(place: Place<'_>) -> Option<Vec<String>> {
    if let Some(values) = place.schema.get("enum").and_then(Value::as_array) {
        return values.iter().map(|v| v.as_str().map(str::to_owned)).collect();
    }
    let patterns = place.schema.get("patternProperties")?.as_object()?;
    let all = patterns.keys().flat_map(|p| alternatives(p).expect("a list of names"));
    Some(all.map(str::to_owned).collect())
}

/// The type of a field in the words of the documentation.
fn words(schemas: &Schemas, place: Place<'_>, schema: &Value, sections: &BTreeSet<&str>) -> String {
    let at = schemas.below(place, schema);
    match at.name {
        name @ ("time" | "id" | "count" | "port" | "address") => name.to_owned(),
        name if sections.contains(name) => format!("[{name}](#{name})"),
        _ => match listed(at) {
            Some(values) => values.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(" "),
            None => match &at.schema["type"] {
                Value::Array(any) => any.iter().map(word).collect::<Vec<_>>().join(" or "),
                one if one == "array" => {
                    format!("list of {}", words(schemas, at, &at.schema["items"], sections))
                }
                one => word(one),
            },
        },
    }
}

fn word(kind: &Value) -> String {
    match kind.as_str().expect("a type") {
        "string" => "text".to_owned(),
        "integer" => "count".to_owned(),
        "null" => "`null`".to_owned(),
        kind @ ("number" | "boolean") => kind.to_owned(),
        other => panic!("{other} needs a name"),
    }
}
