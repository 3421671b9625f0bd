//! One line as a request, and an answer as one line.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Most characters of a reader's complaint that are passed on: it may quote what it complains about.
const COMPLAINT_MAX: usize = 200;
/// What stands for an id that was not said.
const NOBODY: i64 = -1;

/// What names a request in the Go client's eyes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Ids {
    pub(super) client: i64,
    pub(super) request: i64,
}

/// What a line asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Request {
    pub(super) ids: Ids,
    /// The client has failed often enough to suggest that another leader be looked for.
    pub(super) force: bool,
    /// The command, in the application's language.
    pub(super) text: String,
}

/// Why a line is no request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Objection {
    /// As far as they could be read.
    pub(super) ids: Ids,
    pub(super) why: String,
}

/// The object as it is written. A field that is not named here is no field to Go's reader, and none here: `ReadOnly` is
/// left out because nobody is to believe it.
#[derive(Deserialize)]
struct Asked {
    #[serde(rename = "ClientID")]
    client: Option<i64>,
    #[serde(rename = "RequestID")]
    request: Option<i64>,
    #[serde(rename = "ForceViewChange")]
    force: Option<bool>,
    #[serde(rename = "Request")]
    text: Option<String>,
}

#[derive(Serialize)]
struct Answered<'a> {
    #[serde(rename = "ClientID")]
    client: i64,
    #[serde(rename = "RequestID")]
    request: i64,
    #[serde(rename = "Success")]
    success: bool,
    #[serde(rename = "Response")]
    text: &'a str,
}

/// Reads a line, with or without its end.
pub(super) fn parse(line: &[u8]) -> Result<Request, Objection> {
    let object = |why: String, client: Option<i64>, request: Option<i64>| Objection {
        ids: Ids { client: client.unwrap_or(NOBODY), request: request.unwrap_or(NOBODY) },
        why: format!(
            "not done: {why}. Each line is one JSON object such as \
             {{\"ClientID\":1,\"RequestID\":1,\"ForceViewChange\":false,\"ReadOnly\":false,\"Request\":\"get A\"}}"
        ),
    };
    // The reader would also take the values alone, as an array.
    if !line.starts_with(b"{") {
        return Err(object("the line does not begin with {".to_owned(), None, None));
    }
    let asked: Asked = serde_json::from_slice(line).map_err(|error| {
        let complaint: String = error.to_string().chars().take(COMPLAINT_MAX).collect();
        object(format!("the line is no request: {complaint}"), None, None)
    })?;
    match asked {
        Asked { client: Some(client), request: Some(request), force, text: Some(text) } => {
            Ok(Request { ids: Ids { client, request }, force: force.unwrap_or(false), text })
        }
        Asked { client, request, text, .. } => {
            let lacks = [("ClientID", client.is_none()), ("RequestID", request.is_none()), ("Request", text.is_none())];
            let lacks: Vec<&str> = lacks.into_iter().filter(|(_, lacks)| *lacks).map(|(name, _)| name).collect();
            Err(object(format!("the line lacks {}", lacks.join(", ")), client, request))
        }
    }
}

/// What to say about a line that is longer than `limit` bytes, of which nothing was read.
pub(super) fn too_long(limit: usize) -> Objection {
    let ids = Ids { client: NOBODY, request: NOBODY };
    Objection { ids, why: format!("not done: the line is longer than the limit of {limit} bytes") }
}

/// Writes an answer, with the end of its line.
pub(super) fn answer(ids: Ids, success: bool, text: &str) -> Bytes {
    let answered = Answered { client: ids.client, request: ids.request, success, text };
    let mut line = serde_json::to_vec(&answered).expect("numbers, a truth value and a text are always JSON");
    line.push(b'\n');
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, client: i64, request: i64, force: bool, text: &str) {
        let expected = Request { ids: Ids { client, request }, force, text: text.to_owned() };
        assert_eq!(parse(line.as_bytes()), Ok(expected), "{line}");
    }

    /// The beginning of what is said, and in whose name.
    fn refused(line: &str, client: i64, request: i64, words: &str) {
        let Objection { ids, why } = parse(line.as_bytes()).unwrap_err();
        let beginning: String = line.chars().take(100).collect();
        assert_eq!(ids, Ids { client, request }, "{beginning}");
        assert!(why.starts_with(&format!("not done: {words}")) && why.len() < 500, "{beginning}: {why}");
    }

    #[test]
    fn a_line_is_read_as_go_wrote_it_and_somewhat_more() {
        let go = r#"{"ClientID":3,"RequestID":0,"ForceViewChange":true,"ReadOnly":false,"Request":"get A"}"#;
        read(go, 3, 0, true, "get A");
        read(&format!("{go}\r\n"), 3, 0, true, "get A");
        let escaped = r#"{"Request":"a\u003cb\nc\u00e9","RequestID":-2,"ClientID":9007199254740993}"#;
        read(escaped, 9_007_199_254_740_993, -2, false, "a<b\ncé");
        let more = r#"{"ClientID":1,"RequestID":1,"Request":"","ForceViewChange":null,"Other":[{}]}"#;
        read(more, 1, 1, false, "");
        // Whatever is said about reading is not even looked at.
        read(r#"{"ClientID":1,"RequestID":1,"ReadOnly":"perhaps","Request":"x"}"#, 1, 1, false, "x");
    }

    #[test]
    fn what_is_no_request_is_told_why_and_by_whose_name_as_far_as_that_is_known() {
        for (line, client, request, words) in [
            ("", -1, -1, "the line does not begin with {"),
            ("\n", -1, -1, "the line does not begin with {"),
            ("[1,1,false,\"get A\"]", -1, -1, "the line does not begin with {"),
            ("{}", -1, -1, "the line lacks ClientID, RequestID, Request."),
            (r#"{"ClientID":4,"RequestID":5}"#, 4, 5, "the line lacks Request."),
            (r#"{"ClientID":4,"Request":"get A"}"#, 4, -1, "the line lacks RequestID."),
            (r#"{"clientid":4,"RequestID":5,"Request":""}"#, -1, 5, "the line lacks ClientID."),
            (r#"{"ClientID":4.5,"RequestID":5,"Request":""}"#, -1, -1, "the line is no request: invalid type"),
            (r#"{"ClientID":9223372036854775808,"RequestID":5}"#, -1, -1, "the line is no request: invalid value"),
            (r#"{"ClientID":1,"ClientID":2}"#, -1, -1, "the line is no request: duplicate field `ClientID`"),
            (r#"{"ClientID":1,"RequestID":1,"Request":"\ud800"}"#, -1, -1, "the line is no request: "),
            (r#"{"ClientID":1,"RequestID":1,"Request":"x"} x"#, -1, -1, "the line is no request: trailing"),
            ("{\"ClientID\":1", -1, -1, "the line is no request: EOF"),
        ] {
            refused(line, client, request, words);
        }
        let long = format!("{{\"ClientID\":\"{}\"}}", "x".repeat(100_000));
        refused(&long, -1, -1, "the line is no request: invalid");
        let deep = format!("{{\"Other\":{}", "[".repeat(100_000));
        refused(&deep, -1, -1, "the line is no request: EOF");
        assert!(parse(b"{\"ClientID\":1,\"RequestID\":1,\"Request\":\"\xff\"}").is_err(), "no text that is not UTF-8");
    }

    #[test]
    fn an_answer_is_one_line_whatever_it_says() {
        let ids = Ids { client: 1, request: -7 };
        let line = answer(ids, true, "a, 1\n\"b\", \u{2028}é\n");
        let expected =
            "{\"ClientID\":1,\"RequestID\":-7,\"Success\":true,\"Response\":\"a, 1\\n\\\"b\\\", \u{2028}é\\n\"}\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn no_bytes_do_harm_and_what_is_read_is_what_a_reader_of_json_reads() {
        let sample =
            br#"{"ClientID":12,"RequestID":34,"ForceViewChange":false,"ReadOnly":true,"Request":"update A 1"}"#;
        let mut state = 1u64;
        let mut draw = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as usize) % below
        };
        let (mut read, mut refused) = (0, 0);
        for _ in 0..50_000 {
            let mut line = sample.to_vec();
            for _ in 0..=draw(3) {
                let place = draw(line.len());
                match draw(4) {
                    0 => line[place] = draw(256) as u8,
                    1 => line[place] = b"{}[]\",:\\0e- "[draw(12)],
                    2 => drop(line.remove(place)),
                    _ => line.insert(place, b"{}[]\",:\\0e- "[draw(12)]),
                }
            }
            match parse(&line) {
                Ok(request) => {
                    read += 1;
                    let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
                    assert_eq!(value["ClientID"], request.ids.client);
                    assert_eq!(value["RequestID"], request.ids.request);
                    assert_eq!(value["Request"], request.text.as_str());
                }
                Err(objection) => {
                    refused += 1;
                    assert!(objection.why.starts_with("not done: "));
                }
            }
        }
        assert!(read > 1_000 && refused > 1_000, "both are tried: {read} read, {refused} refused");
    }
}
