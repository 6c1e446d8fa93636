//! Reads `tests/tls/truth.json`: as much of JSON as it needs (a list of flat objects).

use std::collections::HashMap;
use std::path::PathBuf;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Object(HashMap<String, Value>),
}

impl Value {
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    pub fn bool(&self) -> Option<bool> {
        if let Value::Bool(b) = self { Some(*b) } else { None }
    }

    pub fn texts(&self) -> Option<Vec<&str>> {
        if let Value::List(all) = self { all.iter().map(Value::text).collect() } else { None }
    }
}

/// One connection.
pub struct Row(HashMap<String, Value>);

impl Row {
    pub fn get(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or_else(|| panic!("no field {name}"))
    }

    pub fn file(&self) -> &str {
        self.get("file").text().unwrap()
    }

    pub fn path(&self) -> PathBuf {
        folder().join(self.file())
    }

    pub fn port(&self) -> u16 {
        if let Value::Number(n) = self.get("client_port") { *n as u16 } else { panic!("no port") }
    }
}

fn folder() -> PathBuf {
    // The package's own, or the folder above where the rooms are built by their paths.
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().map(|a| a.join("tests/tls")).find(|f| f.is_dir()).expect("tests/tls")
}

/// All of them.
pub fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(folder().join("truth.json")).unwrap();
    let mut rest = text.as_str();
    let Value::List(all) = value(&mut rest) else { panic!("no list") };
    let row = |v| if let Value::Object(o) = v { Row(o) } else { panic!("no object") };
    all.into_iter().map(row).collect()
}

fn skip<'a>(rest: &mut &'a str, what: &str) -> &'a str {
    *rest = rest.trim_start_matches([' ', '\n', '\t', '\r', ',', ':']);
    *rest = rest.strip_prefix(what).unwrap_or_else(|| panic!("{what} at {:.40}", rest));
    rest
}

fn value(rest: &mut &str) -> Value {
    skip(rest, "");
    for (word, v) in [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))] {
        if let Some(after) = rest.strip_prefix(word) {
            *rest = after;
            return v;
        }
    }
    match rest.as_bytes()[0] {
        b'"' => {
            let (text, after) = rest[1..].split_once('"').unwrap();
            assert!(!text.contains('\\'), "escapes are not read");
            *rest = after;
            Value::Text(text.to_owned())
        }
        open @ (b'[' | b'{') => {
            *rest = &rest[1..];
            let (mut list, mut object) = (Vec::new(), HashMap::new());
            loop {
                skip(rest, "");
                if let Some(after) = rest.strip_prefix([']', '}']) {
                    *rest = after;
                    return if open == b'[' { Value::List(list) } else { Value::Object(object) };
                }
                if open == b'[' {
                    list.push(value(rest));
                } else {
                    let Value::Text(key) = value(rest) else { panic!("no key") };
                    object.insert(key, value(rest));
                }
            }
        }
        _ => {
            let n = rest.find([',', ']', '}', '\n', ' ']).unwrap();
            let (number, after) = rest.split_at(n);
            *rest = after;
            Value::Number(number.parse().unwrap())
        }
    }
}
