//! A small filter language for edges and connections: terms beside each other must all hold.
//!
//! | term | holds when |
//! |---|---|
//! | `word` | a name or an address of either side, or what is asked, contains it (case does not matter) |
//! | `from:word` `to:word` | the client's, the server's does |
//! | `port:9002` | that is the server's port |
//! | `proto:http` | that protocol was recognised |
//! | `failing` `err` | something failed |
//! | `idle` | nothing happened |
//! | `!term` | the term does not hold |
//! | `"a b:c"` | the same as a word, with spaces, colons and keywords taken literally |

use std::fmt;

use crate::model::Protocol;

/// What a term asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ask {
    Word(String),
    From(String),
    To(String),
    Port(u16),
    Protocol(Protocol),
    Failing,
    Idle,
}

/// One term.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    negated: bool,
    ask: Ask,
}

/// A parsed filter; the default one lets everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(Vec<Term>);

/// What a filter looks at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Names and addresses of the client.
    pub client: &'a [&'a str],
    /// Names and addresses of the server.
    pub server: &'a [&'a str],
    /// What a word may stand in beside names: protocols, method, target, status.
    pub asked: &'a [&'a str],
    /// Protocols that were recognised.
    pub protocols: &'a [Protocol],
    /// Server port.
    pub port: u16,
    /// Whether something failed.
    pub failing: bool,
    /// Whether nothing happened.
    pub idle: bool,
}

/// Why a text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// `x:y` with an unknown `x`.
    #[error("no such key \"{0}:\" - there are port: from: to: proto:, and \"quotes\" for a plain word")]
    Key(String),
    /// `port:` without a number from 0 to 65535.
    #[error("port: needs a number up to 65535, not \"{0}\"")]
    Port(String),
    /// `proto:` with a name that is none.
    #[error("proto: needs a protocol such as http, grpc, dns, redis or tls, not \"{0}\"")]
    Protocol(String),
    /// A key without a value.
    #[error("{0}: needs a name after it")]
    Empty(&'static str),
    /// A `!` without a term.
    #[error("! needs a term after it")]
    Negation,
    /// An opening quote without its end.
    #[error("a quote is not closed")]
    Quote,
}

impl Filter {
    /// Parses; an empty text is the filter that lets everything pass.
    ///
    /// # Errors
    /// Names the first term that cannot be understood.
    pub fn parse(text: &str) -> Result<Filter, FilterError> {
        let mut terms = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let negated = rest.starts_with('!');
            let body = rest.strip_prefix('!').unwrap_or(rest);
            let (key, value) = split_key(body);
            let (word, quoted, after) = take_word(value)?;
            terms.push(Term { negated, ask: ask(key, word, quoted, negated)? });
            rest = after.trim_start();
        }
        Ok(Filter(terms))
    }

    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all terms hold.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        self.0.iter().all(|t| t.negated != t.ask.holds(subject))
    }
}

impl Ask {
    fn holds(&self, s: &Subject<'_>) -> bool {
        match self {
            Ask::Word(w) => has(s.client, w) || has(s.server, w) || has(s.asked, w),
            Ask::From(w) => has(s.client, w),
            Ask::To(w) => has(s.server, w),
            Ask::Port(p) => s.port == *p,
            Ask::Protocol(p) => s.protocols.contains(p),
            Ask::Failing => s.failing,
            Ask::Idle => s.idle,
        }
    }
}

/// `word` is lower case already.
fn has(texts: &[&str], word: &str) -> bool {
    texts.iter().any(|t| t.to_lowercase().contains(word))
}

/// `key:value` → (`key`, `value`); a text without a key, or with one that looks like a part of an
/// IPv6 address, has the key "".
fn split_key(body: &str) -> (&str, &str) {
    let end = body.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(body.len());
    let key = &body[..end];
    let hex = key.chars().all(|c| c.is_ascii_hexdigit());
    match body[end..].strip_prefix(':') {
        Some(value) if !key.is_empty() && (!hex || key.len() > 4) => (key, value),
        _ => ("", body),
    }
}

/// The next word, whether it was quoted, and what follows.
fn take_word(text: &str) -> Result<(&str, bool, &str), FilterError> {
    match text.strip_prefix('"') {
        Some(inner) => {
            let end = inner.find('"').ok_or(FilterError::Quote)?;
            Ok((&inner[..end], true, &inner[end + 1..]))
        }
        None => {
            let end = text.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(text.len());
            Ok((&text[..end], false, &text[end..]))
        }
    }
}

fn ask(key: &str, word: &str, quoted: bool, negated: bool) -> Result<Ask, FilterError> {
    let named = |key| if word.is_empty() { Err(FilterError::Empty(key)) } else { Ok(word.to_lowercase()) };
    match key {
        "" if quoted => Ok(Ask::Word(word.to_lowercase())),
        "" => match word {
            "failing" | "err" => Ok(Ask::Failing),
            "idle" => Ok(Ask::Idle),
            "" if negated => Err(FilterError::Negation),
            _ => Ok(Ask::Word(word.to_lowercase())),
        },
        "from" => Ok(Ask::From(named("from")?)),
        "to" => Ok(Ask::To(named("to")?)),
        "port" => word.parse().map(Ask::Port).map_err(|_| FilterError::Port(word.to_owned())),
        "proto" => Protocol::from_name(&word.to_lowercase())
            .map(Ask::Protocol)
            .ok_or_else(|| FilterError::Protocol(word.to_owned())),
        other => Err(FilterError::Key(other.to_owned())),
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, t) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            if t.negated {
                f.write_str("!")?;
            }
            match &t.ask {
                Ask::Word(w) => write!(f, "\"{w}\"")?,
                Ask::From(w) => write!(f, "from:\"{w}\"")?,
                Ask::To(w) => write!(f, "to:\"{w}\"")?,
                Ask::Port(p) => write!(f, "port:{p}")?,
                Ask::Protocol(p) => write!(f, "proto:{}", p.as_str())?,
                Ask::Failing => f.write_str("failing")?,
                Ask::Idle => f.write_str("idle")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(filter: &str) -> bool {
        let subject = Subject {
            client: &["Shop/Web", "10.0.0.7"],
            server: &["api", "fe80::1"],
            asked: &["http", "GET", "/orders/{id}"],
            protocols: &[Protocol::Http1],
            port: 9002,
            failing: true,
            idle: false,
        };
        Filter::parse(filter).unwrap().matches(&subject)
    }

    #[test]
    fn terms() {
        for yes in [
            "",
            "web",
            "SHOP",
            "10.0.0",
            "fe80::1",
            "port:9002",
            "from:web",
            "to:api",
            "failing",
            "err",
            "proto:http",
            "!proto:redis",
            "/orders/",
            "get",
            "!idle",
            "web api !cron",
            "!from:api",
            "\"shop/web\"",
            "!!web".trim_start_matches("!!"),
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in [
            "cron",
            "port:80",
            "from:api",
            "to:web",
            "from:get",
            "proto:http2",
            "idle",
            "!failing",
            "web !api",
            "\"failing\"",
        ] {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let error = |t: &str| Filter::parse(t).unwrap_err();
        assert_eq!(error("web prot:80"), FilterError::Key("prot".into()));
        assert_eq!(error("port:eighty"), FilterError::Port("eighty".into()));
        assert_eq!(error("port:70000"), FilterError::Port("70000".into()));
        assert_eq!(error("proto:htp"), FilterError::Protocol("htp".into()));
        assert_eq!(error("from:"), FilterError::Empty("from"));
        assert_eq!(error("a ! b"), FilterError::Negation);
        assert_eq!(error("\"a"), FilterError::Quote);
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter_or_an_error(text in "\\PC{0,40}") {
            let _ = Filter::parse(&text);
        }

        #[test]
        fn what_is_printed_is_the_same_filter(text in "(!?(from:|to:|port:[0-9]{1,4}|proto:redis|failing|err|idle|[a-z.]{1,6}|\"[a-z: ]{0,6}\") ?){0,5}") {
            if let Ok(filter) = Filter::parse(&text) {
                prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
            }
        }

        #[test]
        fn negation_turns_around(word in "[a-z]{1,5}", name in "[a-z]{0,8}") {
            let subject = Subject {
                client: &[&name], server: &[], asked: &[], protocols: &[], port: 1, failing: false, idle: false,
            };
            let (plain, negated) = (Filter::parse(&format!("from:{word}")).unwrap(), Filter::parse(&format!("!from:{word}")).unwrap());
            prop_assert_ne!(plain.matches(&subject), negated.matches(&subject));
        }
    }
}
