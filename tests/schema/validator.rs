//! A validator for the part of JSON Schema (draft 2020-12) that the schemas beside it use. A keyword
//! that it does not know is an error in the schema: nothing is promised that is not checked.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value};

/// All schemas by file name, and what was seen of their objects.
pub struct Schemas {
    files: BTreeMap<String, Value>,
    /// By object and property: how often it was there, and how often not.
    pub seen: BTreeMap<(String, String), (u32, u32)>,
}

/// A schema, the file that its references count from, and its name if it has one.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub file: &'a str,
    pub name: &'a str,
    pub schema: &'a Map<String, Value>,
}

impl Schemas {
    pub fn load() -> Self {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schema");
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".schema.json") {
                let text = std::fs::read_to_string(format!("{dir}/{name}")).unwrap();
                let schema: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(schema["$id"], *name, "a schema's $id is its file's name");
                files.insert(name, schema);
            }
        }
        Schemas { files, seen: BTreeMap::new() }
    }

    /// The schema of a file.
    pub fn root(&self, name: &str) -> Place<'_> {
        let (file, schema) = self.files.get_key_value(&format!("{name}.schema.json")).expect(name);
        Place {
            file,
            name: schema["title"].as_str().unwrap_or_default(),
            schema: schema.as_object().unwrap(),
        }
    }

    /// Every schema with a name: titles and definitions.
    pub fn named(&self) -> Vec<Place<'_>> {
        let mut all = Vec::new();
        for (file, schema) in &self.files {
            if let Some(name) = schema["title"].as_str() {
                all.push(Place { file, name, schema: schema.as_object().unwrap() });
            }
            for (name, schema) in schema["$defs"].as_object().into_iter().flatten() {
                all.push(Place { file, name, schema: schema.as_object().unwrap() });
            }
        }
        all
    }

    /// A schema below `place`, its reference followed.
    pub fn below<'a>(&'a self, place: Place<'a>, schema: &'a Value) -> Place<'a> {
        let schema = schema.as_object().expect("a schema is an object");
        let Some(reference) = schema.get("$ref") else {
            return Place { file: place.file, name: "", schema };
        };
        assert_eq!(schema.len(), 1, "$ref stands alone");
        let (file, def) = match reference.as_str().unwrap().split_once("#/$defs/") {
            Some((file, def)) => (file, Some(def)),
            None => (reference.as_str().unwrap(), None),
        };
        let (file, root) = self
            .files
            .get_key_value(if file.is_empty() { place.file } else { file })
            .expect("the file of a $ref");
        let (name, schema) = match def {
            Some(def) => (def, &root["$defs"][def]),
            None => (root["title"].as_str().unwrap(), root),
        };
        Place {
            file,
            name,
            schema: schema.as_object().unwrap_or_else(|| panic!("{reference} leads nowhere")),
        }
    }

    /// Checks a value, and remembers which properties it has.
    pub fn check(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let mut seen = std::mem::take(&mut self.seen);
        let result = self.value(self.root(name), value, "$", &mut seen);
        self.seen = seen;
        result
    }

    fn value(
        &self,
        place: Place<'_>,
        value: &Value,
        path: &str,
        seen: &mut BTreeMap<(String, String), (u32, u32)>,
    ) -> Result<(), String> {
        let bad = |why: String| Err(format!("{path}: {why}, is {value}"));
        for (keyword, want) in place.schema {
            let good = match keyword.as_str() {
                "$schema" | "$id" | "$defs" | "title" => true,
                // These are looked at together, below.
                "properties" | "patternProperties" | "additionalProperties" | "required" => {
                    place.schema["type"] == "object"
                }
                "type" => match want.as_array() {
                    Some(any) => any.iter().any(|one| is(one, value)),
                    None => is(want, value),
                },
                "enum" => want.as_array().unwrap().contains(value),
                "minimum" => value.as_f64().is_none_or(|v| v >= want.as_f64().unwrap()),
                "maximum" => value.as_f64().is_none_or(|v| v <= want.as_f64().unwrap()),
                "pattern" => value.as_str().is_none_or(|v| matches(want.as_str().unwrap(), v)),
                "items" => {
                    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.value(self.below(place, want), item, &format!("{path}[{i}]"), seen)?;
                    }
                    true
                }
                other => panic!("keyword {other} at {path}"),
            };
            if !good {
                return bad(format!("{keyword} wants {want}"));
            }
        }
        let Some(object) = value.as_object() else { return Ok(()) };
        let empty = Map::new();
        let part = |keyword: &str| place.schema.get(keyword).and_then(Value::as_object).unwrap_or(&empty);
        let (properties, patterns) = (part("properties"), part("patternProperties"));
        assert_eq!(place.schema["additionalProperties"], false, "{path}: objects are closed");
        for (key, value) in object {
            let pattern = || patterns.iter().find(|(p, _)| matches(p, key)).map(|(_, s)| s);
            let Some(schema) = properties.get(key).or_else(pattern) else {
                return bad(format!("has {key}, which the schema does not know"));
            };
            self.value(self.below(place, schema), value, &format!("{path}.{key}"), seen)?;
        }
        for key in place.schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            let key = key.as_str().unwrap();
            assert!(properties.contains_key(key), "{path}: {key} is required and not described");
            if !object.contains_key(key) {
                return bad(format!("lacks {key}"));
            }
        }
        for key in properties.keys() {
            let (there, absent) = seen.entry((place.name.to_owned(), key.clone())).or_default();
            if object.contains_key(key) { *there += 1 } else { *absent += 1 }
        }
        Ok(())
    }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("type {other}"),
    }
}

/// The names of a pattern of the form `^(a|b)$`.
pub fn alternatives(pattern: &str) -> Option<Vec<&str>> {
    let inside = pattern.strip_prefix("^(")?.strip_suffix(")$")?;
    Some(inside.split('|').collect())
}

/// The patterns that the schemas use; any other is an error in the schema.
fn matches(pattern: &str, text: &str) -> bool {
    const TIME: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$";
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    match pattern {
        "^[0-9a-f]{16}$" => text.len() == 16 && text.bytes().all(hex),
        TIME => {
            let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            shape == "0000-00-00T00:00:00.000000Z"
        }
        // More than the pattern says: it is one.
        "^[0-9a-f:.]{2,45}$" => text.parse::<IpAddr>().is_ok(),
        other => alternatives(other).unwrap_or_else(|| panic!("pattern {other}")).contains(&text),
    }
}
