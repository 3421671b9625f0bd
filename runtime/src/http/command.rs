//! `/request/...`: one command to the replicated service, as a path or as a line, and what its outcome is by HTTP.
//!
//! | outcome | status |
//! | --- | --- |
//! | done | 200, with the reply, and its revision in the header `Ios-Revision` |
//! | definitely not done, because the request is not valid or too large | 400, 413 |
//! | definitely not done, for another reason | 503; `Ios-Leader` says where the leader is if another member is |
//! | unknown: it may have been done, or may be done yet, once at most | 504 |

use super::{
    request::{Method, Request, decode},
    response::Response,
};
use bytes::Bytes;
use ios_core::{
    client::{Outcome, WhyNotDone},
    message::Refusal,
    service::{Access, Application},
};

/// What the service is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Command {
    pub(super) access: Access,
    pub(super) payload: Bytes,
}

/// Understands a request.
pub(super) fn read(request: &Request, language: &Application) -> Result<Command, Response> {
    if request.method == Method::Other {
        let why = "a command is sent with GET or POST; HEAD does for one that only reads";
        return Err(Response::text(405, why).with("Allow", "GET, HEAD, POST"));
    }
    if request.cross_site {
        return Err(Response::text(403, "a page from elsewhere must not send commands through its reader's browser"));
    }
    let line = line(request)?;
    let (access, payload) = language.parse_line(&line).map_err(|invalid| {
        let verbs = language.verbs().iter().map(|verb| format!("{} {}", verb.name, verb.arguments).trim().to_owned());
        Response::text(400, format!("{invalid}; the commands are: {}", verbs.collect::<Vec<_>>().join(", ")))
    })?;
    if request.method == Method::Head && access == Access::Write {
        return Err(Response::text(405, "HEAD must change nothing").with("Allow", "GET, POST"));
    }
    Ok(Command { access, payload })
}

/// The line that the Go client would have sent. Words of a path are separate until here, so that none of them can
/// smuggle in another command: whoever wants several at once sends them as a body.
fn line(request: &Request) -> Result<String, Response> {
    let path = request.path.strip_prefix("/request").expect("the caller looked").trim_start_matches('/');
    match (path.is_empty(), request.body.is_empty()) {
        (true, _) => String::from_utf8(request.body.clone()).map_err(|_| Response::text(400, "the line is not UTF-8")),
        (false, false) => Err(Response::text(400, "a command is in the path or in the body, not in both")),
        (false, true) => {
            let words: Option<Vec<String>> = path.split('/').map(decode).collect();
            let words = words.ok_or_else(|| Response::text(400, "the path is not percent-encoded UTF-8"))?;
            if words.iter().any(|word| word.contains([' ', '\n', '\r'])) {
                let why = "a word of a path holds no space and no line end; send such a line as the body of a POST";
                return Err(Response::text(400, why));
            }
            Ok(words.join(" "))
        }
    }
}

/// The answer when the outcome is known.
pub(super) fn answer(outcome: &Outcome, language: &Application) -> Response {
    match outcome {
        Outcome::Done { revision, reply } => {
            Response::text(200, language.format_reply(reply)).with("Ios-Revision", revision)
        }
        Outcome::NotDone { why } => {
            let status = match why {
                WhyNotDone::Refused(Refusal::Invalid(_)) => 400,
                WhyNotDone::Refused(Refusal::TooLarge { .. }) => 413,
                _ => 503,
            };
            Response::text(status, format!("not done: {why}"))
        }
        Outcome::Unknown { why } => {
            Response::text(504, format!("outcome unknown: {why}. It may have been done, or may be done yet, but once"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::parse;

    fn read(text: &str) -> Result<(Access, Bytes), u16> {
        let (request, _) = parse(text.as_bytes()).unwrap().unwrap();
        let language: Application = "kv-store".parse().unwrap();
        super::read(&request, &language).map(|command| (command.access, command.payload)).map_err(|no| no.status)
    }

    fn path(method: &str, path: &str) -> Result<(Access, Bytes), u16> {
        read(&format!("{method} {path} HTTP/1.0\r\n\r\n"))
    }

    fn post(line: &str) -> Result<(Access, Bytes), u16> {
        read(&format!("POST /request HTTP/1.0\r\nContent-Length: {}\r\n\r\n{line}", line.len()))
    }

    fn line(line: &str) -> Result<(Access, Bytes), u16> {
        Ok("kv-store".parse::<Application>().unwrap().parse_line(line).unwrap())
    }

    #[test]
    fn a_path_and_a_body_say_what_a_line_says() {
        assert_eq!(path("GET", "/request/update/A/3"), line("update A 3"));
        assert_eq!(path("POST", "/request/update/A/a%2Fb%3b"), line("update A a/b;"));
        assert_eq!(path("HEAD", "/request/get/A"), line("get A"));
        assert_eq!(post("update A 1; get A"), line("update A 1; get A"));
    }

    #[test]
    fn what_is_no_command_is_refused() {
        assert_eq!(path("GET", "/request"), Err(400));
        assert_eq!(path("GET", "/request/update/A"), Err(400));
        assert_eq!(path("GET", "/request/update/A/1;%20delete%20B"), Err(400), "no word smuggles in a command");
        assert_eq!(path("GET", "/request/get/%ff"), Err(400));
        assert_eq!(path("DELETE", "/request/delete/A"), Err(405));
        assert_eq!(path("HEAD", "/request/delete/A"), Err(405));
        assert_eq!(read("GET /request/delete/A HTTP/1.0\r\nSec-Fetch-Site: cross-site\r\n\r\n"), Err(403));
        assert_eq!(read("POST /request/count HTTP/1.0\r\nContent-Length: 1\r\n\r\nx"), Err(400));
    }
}
