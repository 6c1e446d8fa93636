//! Whether it is MySQL.

use super::super::Sniff;
use super::super::sql::Dialect;
use super::super::sql::normalise::begins_statement;
use super::packet::{self, command};

/// Whether the two sides speak MySQL, from the start of a connection or from any turn on.
///
/// Evidence is the server's greeting (sequence number 0, version 10, a version text) or its refusal;
/// or a command with sequence number 0 whose answer has number 1 and a first packet that answers it.
/// One side alone is no evidence in the middle of a connection.
pub fn sniff(client: &[u8], server: &[u8]) -> Sniff {
    if client.get(3).is_none_or(|seq| *seq != 0) {
        // A client does not begin, and its answer to the greeting has number 1.
        if client.get(3).is_some_and(|seq| *seq != 1) {
            return Sniff::No;
        }
        return greets(server);
    }
    match (asks(client), answers(server)) {
        (Some(true), Some(true)) => Sniff::Yes,
        (Some(_), Some(_)) if server.len() < 5 || client.len() < 5 => Sniff::Maybe,
        _ => Sniff::No,
    }
}

fn greets(server: &[u8]) -> Sniff {
    let Some([a, b, c, seq]) = server.first_chunk::<4>() else { return Sniff::Maybe };
    let len = u32::from_le_bytes([*a, *b, *c, 0]);
    if *seq != 0 || !(5..1024).contains(&len) {
        return Sniff::No;
    }
    let body = server.get(4..).unwrap_or_default();
    match body.split_first() {
        None => Sniff::Maybe,
        Some((10, version)) => {
            let text = version.split(|b| *b == 0).next().unwrap_or_default();
            let ended = text.len() < version.len();
            let fits = text.len() < 100 && text.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
            match (fits, ended) {
                (true, true) if text.len() >= 3 && text.iter().any(u8::is_ascii_digit) && len >= 30 => {
                    Sniff::Yes
                }
                (true, false) => Sniff::Maybe,
                _ => Sniff::No,
            }
        }
        Some((0xff, rest)) => match rest.split_first_chunk::<2>() {
            None => Sniff::Maybe,
            // Refused: too many connections, the host is blocked or not allowed.
            Some((code, text)) if matches!(u16::from_le_bytes(*code), 1040 | 1129 | 1130 | 1053 | 1203) => {
                let fits = text.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
                if !fits {
                    Sniff::No
                } else if text.len() < 8 {
                    Sniff::Maybe
                } else {
                    Sniff::Yes
                }
            }
            Some(_) => Sniff::No,
        },
        Some(_) => Sniff::No,
    }
}

/// Whether this is a command: `Some(true)` with evidence, `None` if it cannot be.
fn asks(client: &[u8]) -> Option<bool> {
    let Some((Some([a, b, c, 0]), body)) = client.split_at_checked(4).map(|(h, b)| (h.first_chunk::<4>(), b))
    else {
        return client.is_empty().then_some(false);
    };
    let len = usize::try_from(u32::from_le_bytes([*a, *b, *c, 0])).unwrap_or(usize::MAX);
    let Some((command, rest)) = body.split_first() else { return (len > 0).then_some(false) };
    packet::name(*command)?;
    match *command {
        command::QUERY | command::PREPARE => {
            let sql = rest.get(..len.saturating_sub(1).min(rest.len())).unwrap_or_default();
            let sql = sql.strip_prefix(&[0, 1]).unwrap_or(sql);
            begins_statement(sql, Dialect::Mysql { escapes: true }).then_some(true)
        }
        command::EXECUTE => {
            (len >= 10 && rest.get(5..9).is_none_or(|n| n == [1, 0, 0, 0])).then_some(rest.len() >= 9)
        }
        command::PING | command::STATISTICS | command::QUIT => (len == 1).then_some(true),
        command::CLOSE | command::RESET => (len == 5).then_some(true),
        _ => Some(false),
    }
}

/// Whether this is an answer: its packets lead from one to the next with rising numbers.
fn answers(server: &[u8]) -> Option<bool> {
    let mut rest = server;
    let mut expected = 1u8;
    while let Some(([a, b, c, seq], body)) = rest.split_first_chunk::<4>() {
        let len = usize::try_from(u32::from_le_bytes([*a, *b, *c, 0])).unwrap_or(usize::MAX);
        let fits = match (expected, body.first()) {
            (1, Some(0)) => len >= 7,
            (1, Some(0xff)) => len >= 3,
            (1, Some(0xfe)) => len < 9,
            // A count of columns, or a file is asked for.
            (1, Some(_)) => len <= 9 || body.first() == Some(&0xfb),
            _ => true,
        };
        if *seq != expected || len == 0 || !fits {
            // A second answer may follow.
            return (expected > 2 && *seq == 1).then_some(true);
        }
        expected = expected.wrapping_add(1);
        if body.len() < len {
            break;
        }
        rest = body.get(len..).unwrap_or_default();
    }
    Some(expected > 1)
}
