//! One thing at a time: `ios get`, `put`, `delete`, `exists`, `count`, `ls`, `cas`.

use crate::{
    arguments::{Command, Format, Global},
    cluster::{Answer, Connection},
    exit::{Exit, Failure},
    say::{data, talk},
};
use ios_core::{
    ids::Revision,
    service::{
        Access,
        kv::{Marks, Operation, Outcome, Reply, request::encode},
    },
};
use serde_json::{Map, Value, json};
use std::os::unix::ffi::OsStrExt;

/// Does what `verb` says and prints the answer.
pub fn run(global: &Global, verb: &Command) -> Result<Exit, Failure> {
    let operation = operation(verb);
    let request = encode(&[operation]).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let access = if operation.writes() { Access::Write } else { Access::Read };
    let mut connection = Connection::open(global)?;
    let answer = connection.ask(access, request);
    connection.close();
    let answer = answer?;
    let printed = print(operation, &answer, global.output.unwrap_or(Format::Simple))?;
    data(&printed.text)?;
    if let Some(remark) = printed.talk {
        talk(remark);
    }
    Ok(printed.exit)
}

fn operation(verb: &Command) -> Operation<'_> {
    match verb {
        Command::Get { key } => Operation::Get { key: key.as_bytes() },
        Command::Put { key, value } => Operation::Put { key: key.as_bytes(), value: value.as_bytes() },
        Command::Delete { key } => Operation::Delete { key: key.as_bytes() },
        Command::Exists { key } => Operation::Exists { key: key.as_bytes() },
        Command::Count => Operation::Count,
        Command::Ls { prefix } => {
            let prefix = prefix.as_ref().map_or(&b""[..], |prefix| prefix.as_bytes());
            Operation::List { prefix, limit: u32::MAX }
        }
        Command::Cas { key, old, new } => {
            let (key, value) = (key.as_bytes(), new.as_bytes());
            Operation::CompareAndSet { key, expected: Some(old.as_bytes()), value }
        }
        _ => unreachable!("main hands over verbs only"),
    }
}

struct Printed {
    text: Vec<u8>,
    talk: Option<String>,
    exit: Exit,
}

fn print(operation: Operation<'_>, answer: &Answer, format: Format) -> Result<Printed, Failure> {
    let bad = |why: String| Failure::new(Exit::Error, format!("the answer makes no sense: {why}"));
    let reply = Reply::decode(&answer.reply).map_err(|error| bad(error.to_string()))?;
    let outcome = match &reply {
        Reply::Outcomes(outcomes) if outcomes.len() == 1 => &outcomes[0],
        Reply::Outcomes(outcomes) => return Err(bad(format!("{} outcomes of one operation", outcomes.len()))),
        Reply::Error(why) => return Err(Failure::new(Exit::NotDone, format!("not done: {why}"))),
    };
    let (exit, talk) = verdict(outcome);
    let text = match format {
        Format::Simple => simple(outcome),
        Format::Json => {
            let mut line = serde_json::to_vec(&json(operation, outcome, answer.revision)).expect("plain values");
            line.push(b'\n');
            line
        }
        Format::Table => table(operation, outcome),
    };
    Ok(Printed { text, talk, exit })
}

/// The exit code, and what to say besides the data.
fn verdict(outcome: &Outcome<'_>) -> (Exit, Option<String>) {
    match outcome {
        Outcome::Missing => (Exit::False, Some("key not found".to_owned())),
        Outcome::Exists { modified: None } => (Exit::False, None),
        Outcome::NotSwapped { modified: None } => (Exit::False, Some("not written: there is no such key".to_owned())),
        Outcome::NotSwapped { modified: Some(revision) } => {
            (Exit::False, Some(format!("not written: the key has another value, since revision {revision}")))
        }
        Outcome::Omitted { size } => (Exit::Error, Some(format!("the value of {size} bytes has no room in a reply"))),
        Outcome::List { more: true, .. } => (Exit::Ok, Some("there is more; name a longer prefix".to_owned())),
        _ => (Exit::Ok, None),
    }
}

fn simple(outcome: &Outcome<'_>) -> Vec<u8> {
    match outcome {
        Outcome::Missing | Outcome::Omitted { .. } => Vec::new(),
        Outcome::Value { value, .. } => [value, &b"\n"[..]].concat(),
        Outcome::List { pairs, .. } => {
            pairs.clone().flat_map(|(key, value, _)| [key, b", ", value, b"\n"].concat()).collect()
        }
        other => format!("{}\n", word(other)).into_bytes(),
    }
}

fn word(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Written { .. } | Outcome::Deleted { .. } => "OK".to_owned(),
        Outcome::Exists { modified } => modified.is_some().to_string(),
        Outcome::Count(count) => count.to_string(),
        Outcome::Swapped { .. } => "true".to_owned(),
        Outcome::NotSwapped { .. } => "false".to_owned(),
        Outcome::Missing => "-".to_owned(),
        Outcome::Value { value, .. } => text(value),
        Outcome::Omitted { size } => format!("({size} bytes)"),
        Outcome::List { .. } => unreachable!("lists have lines of their own"),
    }
}

fn json(operation: Operation<'_>, outcome: &Outcome<'_>, revision: Revision) -> Value {
    let mut object = Map::new();
    object.insert("operation".to_owned(), operation.name().into());
    if let (Some(key), false) = (operation.key(), matches!(operation, Operation::List { .. })) {
        insert_bytes(&mut object, "key", key);
    }
    object.insert("revision".to_owned(), revision.0.into());
    match outcome {
        Outcome::Value { value, marks } => {
            object.insert("found".to_owned(), true.into());
            insert_bytes(&mut object, "value", value);
            insert_marks(&mut object, *marks);
        }
        Outcome::Missing => _ = object.insert("found".to_owned(), false.into()),
        Outcome::Omitted { size } => _ = object.insert("omitted_bytes".to_owned(), (*size).into()),
        Outcome::Written { modified } => _ = object.insert("modified".to_owned(), modified.0.into()),
        Outcome::Deleted { found } => _ = object.insert("found".to_owned(), (*found).into()),
        Outcome::Exists { modified } => {
            object.insert("found".to_owned(), modified.is_some().into());
            object.insert("modified".to_owned(), modified.map(|revision| revision.0).into());
        }
        Outcome::Count(count) => _ = object.insert("count".to_owned(), (*count).into()),
        Outcome::Swapped { modified } => {
            object.insert("written".to_owned(), true.into());
            object.insert("modified".to_owned(), modified.0.into());
        }
        Outcome::NotSwapped { modified } => {
            object.insert("written".to_owned(), false.into());
            object.insert("modified".to_owned(), modified.map(|revision| revision.0).into());
        }
        Outcome::List { pairs, more } => {
            let pairs = pairs.clone().map(|(key, value, marks)| {
                let mut pair = Map::new();
                insert_bytes(&mut pair, "key", key);
                insert_bytes(&mut pair, "value", value);
                insert_marks(&mut pair, marks);
                Value::Object(pair)
            });
            object.insert("pairs".to_owned(), pairs.collect());
            object.insert("more".to_owned(), (*more).into());
        }
    }
    Value::Object(object)
}

/// Text as text; other bytes in hexadecimal, under a name that says so.
fn insert_bytes(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(text) => object.insert(name.to_owned(), text.into()),
        Err(_) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            object.insert(format!("{name}_hex"), hex.into())
        }
    };
}

fn insert_marks(object: &mut Map<String, Value>, marks: Marks) {
    let Value::Object(fields) =
        json!({"created": marks.created.0, "modified": marks.modified.0, "version": marks.version})
    else {
        unreachable!("written as an object")
    };
    object.extend(fields);
}

fn table(operation: Operation<'_>, outcome: &Outcome<'_>) -> Vec<u8> {
    let key = || operation.key().map_or_else(String::new, text);
    let pair = |key: String, value: String, marks: Marks| {
        vec![key, value, marks.created.to_string(), marks.modified.to_string(), marks.version.to_string()]
    };
    let heading = ["KEY", "VALUE", "CREATED", "MODIFIED", "VERSION"];
    let lines = match outcome {
        Outcome::Value { value, marks } => columns(&heading, &[pair(key(), text(value), *marks)]),
        Outcome::List { pairs, .. } => {
            let rows: Vec<_> = pairs.clone().map(|(key, value, marks)| pair(text(key), text(value), marks)).collect();
            columns(&heading, &rows)
        }
        Outcome::Count(count) => columns(&["COUNT"], &[vec![count.to_string()]]),
        other => columns(&["KEY", "RESULT"], &[vec![key(), word(other)]]),
    };
    lines.into_bytes()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Lines of left-aligned columns under a heading, two spaces apart.
pub fn columns(heading: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..heading.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([heading[column].len()]).max().expect("at least the heading")
        })
        .collect();
    let mut lines = String::new();
    let mut add = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        lines.push_str(padded.join("  ").trim_end());
        lines.push('\n');
    };
    add(&mut heading.iter().copied());
    for row in rows {
        add(&mut row.iter().map(String::as_str));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use expect_test::{Expect, expect};
    use ios_core::{
        ids::Index,
        service::{Applied, Service, kv::Kv},
        time::Time,
    };

    /// Says a verb to a store that holds `a` = `1` and a key that is no text, and shows what would be printed.
    fn check(verb: &Command, format: Format, expected: Expect) {
        let mut store = Kv::default();
        let mut apply = |revision, operation| {
            let at = Applied { index: Index(1), position: 0, revision: Revision(revision), log_time: Time::ZERO };
            let mut reply = Vec::new();
            store.apply(&at, &encode(&[operation]).unwrap(), &mut reply);
            reply
        };
        apply(1, Operation::Put { key: b"a", value: b"1" });
        apply(2, Operation::Put { key: b"b\xff", value: b"2" });
        let operation = operation(verb);
        let answer = Answer { revision: Revision(3), reply: Bytes::from(apply(3, operation)) };
        let printed = print(operation, &answer, format).unwrap();
        let talk = printed.talk.map(|talk| format!("stderr: {talk}\n")).unwrap_or_default();
        expected.assert_eq(&format!("{}{talk}exit {}\n", text(&printed.text), printed.exit as u8));
    }

    #[test]
    fn simple_answers_are_those_of_the_interactive_client() {
        check(
            &Command::Get { key: "a".into() },
            Format::Simple,
            expect![[r#"
            1
            exit 0
        "#]],
        );
        check(
            &Command::Get { key: "x".into() },
            Format::Simple,
            expect![[r#"
            stderr: key not found
            exit 3
        "#]],
        );
        check(
            &Command::Put { key: "a".into(), value: "2".into() },
            Format::Simple,
            expect![[r#"
            OK
            exit 0
        "#]],
        );
        check(
            &Command::Delete { key: "x".into() },
            Format::Simple,
            expect![[r#"
            OK
            exit 0
        "#]],
        );
        check(
            &Command::Exists { key: "x".into() },
            Format::Simple,
            expect![[r#"
            false
            exit 3
        "#]],
        );
        check(
            &Command::Count,
            Format::Simple,
            expect![[r#"
            2
            exit 0
        "#]],
        );
        check(
            &Command::Ls { prefix: Some("a".into()) },
            Format::Simple,
            expect![[r#"
            a, 1
            exit 0
        "#]],
        );
    }

    #[test]
    fn a_compare_and_set_tells_whether_it_did() {
        let cas = |old: &str| Command::Cas { key: "a".into(), old: old.into(), new: "9".into() };
        check(
            &cas("1"),
            Format::Simple,
            expect![[r#"
            true
            exit 0
        "#]],
        );
        check(
            &cas("2"),
            Format::Simple,
            expect![[r#"
            false
            stderr: not written: the key has another value, since revision 1
            exit 3
        "#]],
        );
    }

    #[test]
    fn json_tells_revisions_and_survives_bytes_that_are_no_text() {
        check(
            &Command::Get { key: "a".into() },
            Format::Json,
            expect![[r#"
            {"created":1,"found":true,"key":"a","modified":1,"operation":"get","revision":3,"value":"1","version":1}
            exit 0
        "#]],
        );
        check(
            &Command::Get { key: "x".into() },
            Format::Json,
            expect![[r#"
            {"found":false,"key":"x","operation":"get","revision":3}
            stderr: key not found
            exit 3
        "#]],
        );
        check(
            &Command::Put { key: "a".into(), value: "2".into() },
            Format::Json,
            expect![[r#"
            {"key":"a","modified":3,"operation":"put","revision":3}
            exit 0
        "#]],
        );
        check(
            &Command::Ls { prefix: None },
            Format::Json,
            expect![[r#"
            {"more":false,"operation":"list","pairs":[{"created":1,"key":"a","modified":1,"value":"1","version":1},{"created":2,"key_hex":"62ff","modified":2,"value":"2","version":1}],"revision":3}
            exit 0
        "#]],
        );
        check(
            &Command::Exists { key: "a".into() },
            Format::Json,
            expect![[r#"
            {"found":true,"key":"a","modified":1,"operation":"exists","revision":3}
            exit 0
        "#]],
        );
    }

    #[test]
    fn tables_have_a_heading() {
        check(
            &Command::Get { key: "a".into() },
            Format::Table,
            expect![[r#"
            KEY  VALUE  CREATED  MODIFIED  VERSION
            a    1      1        1         1
            exit 0
        "#]],
        );
        check(
            &Command::Ls { prefix: None },
            Format::Table,
            expect![[r#"
            KEY  VALUE  CREATED  MODIFIED  VERSION
            a    1      1        1         1
            b�   2      2        2         1
            exit 0
        "#]],
        );
        check(
            &Command::Count,
            Format::Table,
            expect![[r#"
            COUNT
            2
            exit 0
        "#]],
        );
        check(
            &Command::Delete { key: "a".into() },
            Format::Table,
            expect![[r#"
            KEY  RESULT
            a    OK
            exit 0
        "#]],
        );
    }
}
