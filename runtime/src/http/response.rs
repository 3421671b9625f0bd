//! An answer, and its bytes.

use bytes::Bytes;
use std::fmt::Write;

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    content_type: &'static str,
    /// Besides those that every answer has.
    headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

const TEXT: &str = "text/plain; charset=utf-8";

impl Response {
    /// A sentence, or lines of text; the last line is ended if it is not.
    pub(super) fn text(status: u16, text: impl Into<String>) -> Self {
        let mut body = text.into();
        if !body.ends_with('\n') {
            body.push('\n');
        }
        Self { status, content_type: TEXT, headers: Vec::new(), body }
    }

    /// The same as something else than plain text.
    pub(super) fn typed(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }

    /// With one more header, whose value has no line ends.
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// The bytes; of the body only its length if only the head was asked for.
    pub(super) fn encode(&self, keep_alive: bool, head_only: bool) -> Bytes {
        let mut text = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n",
            self.status,
            reason(self.status),
            self.content_type,
            self.body.len()
        );
        for (name, value) in &self.headers {
            write!(text, "{name}: {value}\r\n").expect("a string takes everything");
        }
        text.push_str(if keep_alive { "\r\n" } else { "Connection: close\r\n\r\n" });
        if !head_only {
            text.push_str(&self.body);
        }
        text.into()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_long_it_is_and_whether_it_is_the_last() {
        let response = Response::text(405, "no").with("Allow", "GET, HEAD");
        let head = "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n\
                    Cache-Control: no-store\r\nAllow: GET, HEAD\r\n";
        assert_eq!(response.encode(true, false), format!("{head}\r\nno\n"));
        assert_eq!(response.encode(false, true), format!("{head}Connection: close\r\n\r\n"));
    }
}
