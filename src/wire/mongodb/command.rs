//! What a command asks and what its answer says
//! (<https://www.mongodb.com/docs/manual/reference/command/>). Of a command's document only names are
//! read: the command, the collection, the database; never a filter or a value.

use std::borrow::Cow;

use super::bson::{Elements, Value};
use crate::model::{Known, Shape, Verdict};

/// What the document of a command says.
#[derive(Debug)]
pub(super) struct Command {
    pub name: Cow<'static, str>,
    pub target: Known<Box<str>>,
    pub shape: Shape,
    /// It opens a cursor that waits for what is to come.
    pub tails: bool,
    /// The cursor that it reads on.
    pub cursor: Option<i64>,
}

/// Commands whose first value is a collection's name.
const OF_COLLECTIONS: [&str; 24] = [
    "find",
    "insert",
    "update",
    "delete",
    "findAndModify",
    "findandmodify",
    "aggregate",
    "count",
    "distinct",
    "mapReduce",
    "killCursors",
    "createIndexes",
    "dropIndexes",
    "listIndexes",
    "create",
    "drop",
    "collMod",
    "collStats",
    "validate",
    "compact",
    "convertToCapped",
    "createSearchIndexes",
    "dropSearchIndex",
    "updateSearchIndex",
];

/// Frequent commands without a collection.
const OTHERS: [&str; 21] = [
    "getMore",
    "hello",
    "isMaster",
    "ismaster",
    "ping",
    "buildInfo",
    "saslStart",
    "saslContinue",
    "authenticate",
    "endSessions",
    "abortTransaction",
    "commitTransaction",
    "listCollections",
    "listDatabases",
    "dropDatabase",
    "serverStatus",
    "replSetGetStatus",
    "getParameter",
    "bulkWrite",
    "explain",
    "dbStats",
];

/// Longest name of a command that is believed.
const NAME: usize = 48;

/// A command's name: letters, digits, underscores, and `$` where old clients wrapped it.
fn name(key: &[u8]) -> Option<Cow<'static, str>> {
    let known = |name: &&&str| name.as_bytes() == key;
    if let Some(name) = OF_COLLECTIONS.iter().chain(&OTHERS).find(known) {
        return Some(Cow::Borrowed(name));
    }
    let legal = key.first().is_some_and(u8::is_ascii_alphabetic)
        && key.len() <= NAME
        && key.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let text = std::str::from_utf8(key).ok()?;
    legal.then(|| Cow::Owned(text.into()))
}

/// A name of a collection or database that can be shown: at most 255 bytes, nothing unprintable.
fn label(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    (!text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control)).then_some(text)
}

/// Reads a command; `None`: the document is none. `db`: where it is known without the document.
pub(super) fn read(document: &[u8], db: Option<&[u8]>) -> Option<Command> {
    let mut elements = Elements::new(document)?;
    let (mut key, mut value) = elements.next()?;
    if let (b"$query" | b"query", Value::Document(inner)) = (key, value) {
        // Old clients wrap what they ask for to add a read preference.
        elements = Elements::new(inner)?;
        (key, value) = elements.next()?;
    }
    let name = name(key)?;
    let of_collection = OF_COLLECTIONS.contains(&&*name);
    let mut collection = match value {
        Value::Text(text) if of_collection => Some(text),
        _ => None,
    };
    let mut db = db;
    let mut command =
        Command { name, target: Known::Absent, shape: Shape::Unary, tails: false, cursor: None };
    let more = command.name == "getMore";
    if more {
        command.cursor = value.number();
    }
    let mut max_wait = false;
    for (key, value) in elements.by_ref() {
        match (key, value) {
            (b"$db", Value::Text(text)) => db = Some(text),
            (b"collection", Value::Text(text)) if more => collection = Some(text),
            (b"awaitData", Value::Bool(true)) => command.tails = true,
            (b"pipeline", Value::Document(stages)) => command.tails |= is_change_stream(stages),
            // Only for a cursor that waits may getMore have a time limit of its own.
            (b"maxTimeMS", _) if more => max_wait = true,
            (b"maxAwaitTimeMS", _) => max_wait = true,
            _ => {}
        }
    }
    if max_wait {
        command.shape = Shape::Wait;
    }
    command.target = match (db.and_then(label), collection.and_then(label)) {
        (Some(db), Some(collection)) => Known::Known(format!("{db}.{collection}").into()),
        (None, Some(collection)) => Known::Known(collection.into()),
        (None, None) if !elements.ended() => Known::Unknown(CUT),
        (Some(db), None) => Known::Known(db.into()),
        (None, None) => Known::Absent,
    };
    Some(command)
}

const CUT: &str = "the command goes on beyond what was captured";

/// Whether the first stage of a pipeline is `$changeStream`.
fn is_change_stream(stages: &[u8]) -> bool {
    let first = Elements::new(stages).and_then(|mut stages| stages.next());
    let Some((_, Value::Document(stage))) = first else { return false };
    let key = Elements::new(stage).and_then(|mut stage| stage.next()).map(|(key, _)| key);
    key == Some(b"$changeStream")
}

/// What the document of an answer says.
#[derive(Debug)]
pub(super) struct Outcome {
    pub status: Known<Cow<'static, str>>,
    pub verdict: Verdict,
    /// Id of the cursor that it opened, if that waits to be read on.
    pub cursor: Option<i64>,
}

impl Outcome {
    /// Nothing can be said, for this reason.
    pub(super) fn unknown(why: &'static str) -> Self {
        Outcome { status: Known::Unknown(why), verdict: Verdict::Unknown, cursor: None }
    }

    /// An error of this name.
    pub(super) fn error(name: impl Into<Cow<'static, str>>) -> Self {
        Outcome { status: Known::Known(name.into()), verdict: Verdict::Error, cursor: None }
    }
}

/// Reads an answer.
pub(super) fn outcome(document: &[u8]) -> Outcome {
    let Some(mut elements) = Elements::new(document) else {
        return Outcome::unknown("the answer's document was not captured");
    };
    let (mut ok, mut code, mut code_name) = (None, None, None);
    let (mut write_error, mut concern_error) = (None, None);
    let (mut cursor, mut has_result) = (None, false);
    for (key, value) in elements.by_ref() {
        match (key, value) {
            (b"ok", value) => ok = value.number(),
            (b"code", value) => code = value.number(),
            (b"codeName", Value::Text(text)) => code_name = label(text),
            (b"writeErrors", Value::Document(list)) => write_error = write_error.or(first_code(list)),
            (b"writeConcernError", Value::Document(one)) => concern_error = Some(code_of(one)),
            (b"cursor", Value::Document(inner)) => {
                has_result = true;
                cursor = cursor_id(inner);
            }
            // A result is not sent with an error: those begin with `ok`.
            (b"value" | b"values" | b"lastErrorObject", _) => has_result = true,
            (b"isWritablePrimary" | b"ismaster" | b"helloOk", _) => has_result = true,
            _ => {}
        }
    }
    if let Some(code) = write_error.or(concern_error) {
        return Outcome::error(code_text(code, None));
    }
    match ok {
        Some(1) => Outcome { status: Known::Known(Cow::Borrowed("ok")), verdict: Verdict::Ok, cursor },
        Some(_) => {
            let code = code.unwrap_or(0);
            Outcome { status: Known::Known(code_text(code, code_name)), verdict: verdict(code), cursor: None }
        }
        None if has_result => {
            Outcome { status: Known::Known(Cow::Borrowed("ok")), verdict: Verdict::Ok, cursor }
        }
        None => Outcome::unknown("the answer goes on beyond what was captured"),
    }
}

/// Code of the first of a list of errors; `None` if there is none.
fn first_code(list: &[u8]) -> Option<i64> {
    match Elements::new(list)?.next()? {
        (_, Value::Document(one)) => Some(code_of(one)),
        _ => None,
    }
}

/// `code` of an error's document; 0 where it was not seen.
fn code_of(one: &[u8]) -> i64 {
    Elements::new(one)
        .and_then(|mut one| one.find(|(key, _)| *key == b"code"))
        .and_then(|(_, value)| value.number())
        .unwrap_or(0)
}

fn cursor_id(cursor: &[u8]) -> Option<i64> {
    let (_, value) = Elements::new(cursor)?.find(|(key, _)| *key == b"id")?;
    value.number().filter(|id| *id != 0)
}

/// What an error of a command means for the one who looks on. What a client finds out by asking, or
/// brings about by giving up, is not the server's failure.
fn verdict(code: i64) -> Verdict {
    match code {
        // NamespaceNotFound, NamespaceExists, CommandNotFound.
        26 | 48 | 59 => Verdict::ClientError,
        // ClientDisconnect, Interrupted.
        279 | 11601 => Verdict::ClientError,
        _ => Verdict::Error,
    }
}

/// The name of an error: as the server gave it, else of the codes that errors of writes have
/// (`src/mongo/base/error_codes.yml` of the server), else its number.
fn code_text(code: i64, name: Option<&str>) -> Cow<'static, str> {
    let legal = |name: &&str| name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric());
    if let Some(name) = name.filter(legal) {
        return Cow::Owned(name.into());
    }
    Cow::Borrowed(match code {
        0 => "error",
        1 => "InternalError",
        2 => "BadValue",
        9 => "FailedToParse",
        13 => "Unauthorized",
        14 => "TypeMismatch",
        17 => "ProtocolError",
        18 => "AuthenticationFailed",
        20 => "IllegalOperation",
        26 => "NamespaceNotFound",
        28 => "PathNotViable",
        43 => "CursorNotFound",
        48 => "NamespaceExists",
        50 => "MaxTimeMSExpired",
        52 => "DollarPrefixedFieldName",
        55 => "InvalidDBRef",
        59 => "CommandNotFound",
        64 => "WriteConcernTimeout",
        66 => "ImmutableField",
        72 => "InvalidOptions",
        79 => "UnknownReplWriteConcern",
        91 => "ShutdownInProgress",
        100 => "UnsatisfiableWriteConcern",
        112 => "WriteConflict",
        121 => "DocumentValidationFailure",
        189 => "PrimarySteppedDown",
        10107 => "NotWritablePrimary",
        11000 => "DuplicateKey",
        11600 => "InterruptedAtShutdown",
        11601 => "Interrupted",
        11602 => "InterruptedDueToReplStateChange",
        13435 => "NotPrimaryNoSecondaryOk",
        _ => return Cow::Owned(format!("code {code}")),
    })
}
