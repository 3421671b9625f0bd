//! The store's language for people: the verbs of the Go client, letter for letter, and a few of our own.
//!
//! Words are separated by *single* spaces, so that a line means what it has always meant: two spaces hold an empty
//! word between them, which no verb but those that take a key or value has a use for. Operations are separated by `; `
//! and form one atomic request, whose answers are joined the same way. If any part is malformed nothing of the line is
//! done.

use super::{
    Outcome, Reply,
    request::{OPERATIONS_MAX, Operation, encode},
};
use crate::service::{
    Access,
    application::{Invalid, Verb},
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use bytes::Bytes;

/// What can be said, in the order of the Go client's greeting, ours last.
pub const VERBS: &[Verb] = &[
    Verb { name: "get", arguments: "[key]", meaning: "to return the value of a given key" },
    Verb { name: "exists", arguments: "[key]", meaning: "to test if a given key is present" },
    Verb {
        name: "update",
        arguments: "[key] [value]",
        meaning: "to set the value of a given key, if key already exists then overwrite",
    },
    Verb { name: "delete", arguments: "[key]", meaning: "to remove a key value pair if present" },
    Verb { name: "count", arguments: "", meaning: "to return the number of keys" },
    Verb { name: "print", arguments: "", meaning: "to return all key value pairs" },
    Verb { name: "put", arguments: "[key] [value]", meaning: "the same as update" },
    Verb {
        name: "cas",
        arguments: "[key] [old] [new]",
        meaning: "to set the value of a given key to new if it is old",
    },
    Verb { name: "ls", arguments: "[prefix]", meaning: "to return the pairs whose key has the prefix, or all" },
];

/// Turns a line into a request, and says whether it only reads.
pub fn parse_line(line: &str) -> Result<(Access, Bytes), Invalid> {
    let parts = line.trim_matches('\n').split("; ");
    let operations: Vec<_> = parts.take(OPERATIONS_MAX + 1).map(parse_part).collect::<Option<_>>().ok_or(Invalid)?;
    let access = if operations.iter().any(Operation::writes) { Access::Write } else { Access::Read };
    let request = encode(&operations).map_err(|_| Invalid)?;
    Ok((access, request))
}

fn parse_part(part: &str) -> Option<Operation<'_>> {
    // One word more than any verb takes tells a line that is too long.
    let mut words = [""; 5];
    let mut count = 0;
    for (place, word) in words.iter_mut().zip(part.split(' ')) {
        *place = word;
        count += 1;
    }
    let bytes = words.map(str::as_bytes);
    let all = u32::MAX;
    Some(match (words[0], &bytes[1..count]) {
        ("get", &[key]) => Operation::Get { key },
        ("exists", &[key]) => Operation::Exists { key },
        ("update" | "put", &[key, value]) => Operation::Put { key, value },
        ("delete", &[key]) => Operation::Delete { key },
        ("count", []) => Operation::Count,
        ("print" | "ls", []) => Operation::List { prefix: b"", limit: all },
        ("ls", &[prefix]) => Operation::List { prefix, limit: all },
        ("cas", &[key, old, value]) => Operation::CompareAndSet { key, expected: Some(old), value },
        _ => return None,
    })
}

/// Turns a reply into what the client prints. Bytes that are not text print as `U+FFFD`, always the same way.
pub fn format_reply(reply: &[u8]) -> String {
    match Reply::decode(reply) {
        Ok(Reply::Outcomes(outcomes)) => outcomes.iter().map(format_outcome).collect::<Vec<_>>().join("; "),
        Ok(Reply::Error(why)) => format!("error: {why}"),
        Err(bad) => format!("error: {bad}"),
    }
}

fn format_outcome(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Value { value, .. } => String::from_utf8_lossy(value).into_owned(),
        Outcome::Missing => "key not found".to_string(),
        // Deleting what is not there is as good as deleting it.
        Outcome::Written { .. } | Outcome::Deleted { .. } => "OK".to_string(),
        Outcome::Exists { modified } => modified.is_some().to_string(),
        Outcome::Count(count) => count.to_string(),
        Outcome::Swapped { .. } => "true".to_string(),
        Outcome::NotSwapped { .. } => "false".to_string(),
        Outcome::Omitted { size } => format!("error: the value of {size} bytes has no room in this reply"),
        Outcome::List { pairs, more } => {
            let mut text = String::new();
            // Every pair ends its line, as it did in Go, also before whatever the terminal adds.
            for (key, value, _) in pairs.clone() {
                let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
                text.push_str(&format!("{key}, {value}\n"));
            }
            if *more {
                text.push_str("(there is more; name a prefix)\n");
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{Index, Revision},
        service::{Applied, Service, kv::Kv},
        time::Time,
    };

    /// A store to which lines are said one after the other.
    #[derive(Default)]
    struct Terminal {
        store: Kv,
        revision: u64,
    }

    impl Terminal {
        fn say(&mut self, line: &str) -> String {
            let Ok((access, request)) = parse_line(line) else { return Invalid.to_string() };
            assert_eq!(self.store.check(access, &request), Ok(()), "{line}");
            let mut reply = Vec::new();
            if access == Access::Read {
                self.store.query(&request, &mut reply);
            } else {
                let revision = Revision(self.revision + 1);
                let at = Applied { index: Index(1), position: 0, revision, log_time: Time::ZERO };
                self.revision += u64::from(self.store.apply(&at, &request, &mut reply));
            }
            format_reply(&reply)
        }
    }

    fn check(dialogue: &[(&str, &str)]) {
        let mut terminal = Terminal::default();
        for (line, answer) in dialogue {
            assert_eq!(terminal.say(line), *answer, "{line:?}");
        }
    }

    #[test]
    fn go_lines_give_go_answers() {
        check(&[
            ("print", ""),
            ("count", "0"),
            ("update A 3", "OK"),
            ("get A", "3"),
            ("print", "A, 3\n"),
            ("update A 4", "OK"),
            ("update A 4\n", "OK"),
            ("count", "1"),
            ("exists A", "true"),
            ("delete A", "OK"),
            ("delete A", "OK"),
            ("exists A", "false"),
            ("get A", "key not found"),
            ("get B", "key not found"),
            ("update b 2; update a 1; update \u{e9} \u{3a9}", "OK; OK; OK"),
            ("print", "a, 1\nb, 2\n\u{e9}, \u{3a9}\n"),
            ("count; get a; get c; print", "3; 1; key not found; a, 1\nb, 2\n\u{e9}, \u{3a9}\n"),
            // A semicolon separates only with a space after it, and an empty word is a word.
            ("update ;x a;b", "OK"),
            ("get ;x", "a;b"),
            ("update  empty-key", "OK"),
            ("get ", "empty-key"),
            ("update none ", "OK"),
            ("get none", ""),
        ]);
    }

    #[test]
    fn our_verbs() {
        check(&[
            ("put k 1", "OK"),
            ("cas k 2 3", "false"),
            ("cas k 1 3", "true"),
            ("cas absent  1", "false"),
            ("get k", "3"),
            ("put other 4; put kk 5", "OK; OK"),
            ("ls", "k, 3\nkk, 5\nother, 4\n"),
            ("ls k", "k, 3\nkk, 5\n"),
            ("ls x", ""),
            ("ls ", "k, 3\nkk, 5\nother, 4\n"),
        ]);
    }

    #[test]
    fn a_line_with_a_malformed_part_is_refused_whole() {
        let mut terminal = Terminal::default();
        for line in [
            "",
            " ",
            ";",
            "; ",
            "get",
            "get a b",
            "get  a",
            " get a",
            "GET a",
            "update a",
            "update a b c",
            "update  a  b",
            "exists",
            "delete",
            "delete a b",
            "count 1",
            "count ",
            "print a",
            "print ",
            "cas a b",
            "cas a b c d",
            "ls a b",
            "update a 1; ",
            "update a 1; nonsense",
            "update a 1; get",
            "; update a 1",
            "update a 1;get a",
            "update a 1; ; get a",
            "a b c d e f g h",
        ] {
            assert_eq!(terminal.say(line), "Invalid command", "{line:?}");
        }
        assert_eq!(terminal.say("count"), "0");
        let many = alloc::vec!["count"; OPERATIONS_MAX].join("; ");
        assert!(parse_line(&many).is_ok());
        assert_eq!(parse_line(&(many + "; count")), Err(Invalid));
    }

    #[test]
    fn a_line_reads_only_if_all_of_it_does() {
        for (line, access) in [
            ("get a", Access::Read),
            ("exists a; count; print; ls a", Access::Read),
            ("get a; delete b", Access::Write),
            ("put a 1; get a", Access::Write),
            ("cas a b c", Access::Write),
        ] {
            assert_eq!(parse_line(line).unwrap().0, access, "{line}");
        }
    }

    #[test]
    fn every_verb_that_is_offered_is_understood() {
        for verb in VERBS {
            let arguments = verb.arguments.split(' ').filter(|word| !word.is_empty()).count();
            let line = verb.name.to_string() + &" x".repeat(arguments);
            assert!(parse_line(&line).is_ok(), "{line}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_print_all_the_same() {
        let mut terminal = Terminal::default();
        let request = encode(&[Operation::Put { key: b"k\xff", value: b"\xfe\xfe" }]).unwrap();
        let at = Applied { index: Index(1), position: 0, revision: Revision(1), log_time: Time::ZERO };
        terminal.store.apply(&at, &request, &mut Vec::new());
        assert_eq!(terminal.say("print"), "k\u{fffd}, \u{fffd}\u{fffd}\n");
        assert_eq!(format_reply(b""), "error: the bytes are not a reply of the key-value store");
        assert_eq!(format_reply(b"\x01why"), "error: why");
    }
}
