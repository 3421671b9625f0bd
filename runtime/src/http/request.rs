//! From bytes to a request: HTTP/1.0 and 1.1, bodies of a stated length only, everything bounded.
//!
//! What is wrong is answered once and ends the connection: after it nobody can tell where the next request begins.

use httparse::{EMPTY_HEADER, Header, Status};

/// Most bytes of a request's first line and headers.
pub(super) const HEAD_MAX: usize = 16 << 10;
/// Most headers.
const HEADERS_MAX: usize = 64;
/// Most bytes of a body.
pub(super) const BODY_MAX: usize = 64 << 10;

/// A request, whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// As sent, still percent-encoded; without the query.
    pub(super) path: String,
    /// What follows the question mark.
    pub(super) query: String,
    pub(super) body: Vec<u8>,
    /// Whether more may follow on the connection.
    pub(super) keep_alive: bool,
    /// A browser sent it on behalf of a page from elsewhere.
    pub(super) cross_site: bool,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Method {
    Get,
    Head,
    Post,
    Other,
}

/// Why there is no request, as a status and a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Objection(pub(super) u16, pub(super) String);

/// The first request in `bytes` and its length, if it is there as a whole.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Objection> {
    let head = &bytes[..bytes.len().min(HEAD_MAX)];
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(head) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if head.len() == HEAD_MAX => {
            return Err(Objection(431, format!("the head of a request has at most {HEAD_MAX} bytes")));
        }
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Objection(431, format!("a request has at most {HEADERS_MAX} headers")));
        }
        Err(httparse::Error::Version) => return Err(Objection(505, "this speaks HTTP/1.0 and HTTP/1.1".to_owned())),
        Err(error) => return Err(Objection(400, format!("no HTTP request: {error}"))),
    };
    let is_new = parsed.version == Some(1);
    let headers: &[Header<'_>] = parsed.headers;
    if is_new && values(headers, "host").count() != 1 {
        return Err(Objection(400, "an HTTP/1.1 request has exactly one Host header".to_owned()));
    }
    let body = body_length(headers)?;
    let Some(body) = bytes.get(length..length + body) else { return Ok(None) };
    let target = parsed.path.expect("a whole head has a path");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let asks = |word: &str| {
        let words = values(headers, "connection").flat_map(|value| value.split(|byte| *byte == b','));
        words.into_iter().any(|each| each.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    };
    let request = Request {
        method: match parsed.method.expect("a whole head has a method") {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            _ => Method::Other,
        },
        path: path.to_owned(),
        query: query.to_owned(),
        body: body.to_vec(),
        keep_alive: is_new && !asks("close"),
        cross_site: values(headers, "sec-fetch-site").any(|site| !matches!(site, b"none" | b"same-origin")),
    };
    Ok(Some((request, length + body.len())))
}

fn body_length(headers: &[Header<'_>]) -> Result<usize, Objection> {
    if values(headers, "transfer-encoding").next().is_some() {
        let why = "a body is taken with a Content-Length only, not with a Transfer-Encoding";
        return Err(Objection(411, why.to_owned()));
    }
    let mut lengths = values(headers, "content-length");
    let Some(length) = lengths.next() else { return Ok(0) };
    let digits = !length.is_empty() && length.len() < 16 && length.iter().all(u8::is_ascii_digit);
    if !digits || lengths.next().is_some() {
        return Err(Objection(400, "Content-Length is given once, as a decimal number of bytes".to_owned()));
    }
    let length = length.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    match length {
        0..=BODY_MAX => Ok(length),
        _ => Err(Objection(413, format!("a body of {length} bytes is over the limit of {BODY_MAX}"))),
    }
}

fn values<'h>(headers: &'h [Header<'_>], name: &str) -> impl Iterator<Item = &'h [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// Undoes percent-encoding; `None` if it is none, or does not come to UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objection(text: &str) -> u16 {
        parse(text.as_bytes()).unwrap_err().0
    }

    #[test]
    fn a_request_is_taken_when_it_is_whole_and_what_follows_is_left() {
        let text = "POST /request?a=b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\ncountGET / HTTP/1.1\r\n";
        let whole = text.find("GET").unwrap();
        for end in 0..whole {
            assert_eq!(parse(&text.as_bytes()[..end]), Ok(None), "{end}");
        }
        let (request, length) = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!((length, request.method, request.keep_alive), (whole, Method::Post, true));
        assert_eq!((&*request.path, &*request.query, &*request.body), ("/request", "a=b", &b"count"[..]));
        assert!(!request.cross_site);
    }

    #[test]
    fn connections_are_kept_as_the_version_and_the_header_say() {
        let keeps = |text: &str| parse(text.as_bytes()).unwrap().unwrap().0.keep_alive;
        assert!(keeps("GET / HTTP/1.1\r\nhost: h\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.1\r\nhost: h\r\nConnection: TE, Close\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.0\r\n\r\n"));
    }

    #[test]
    fn whatever_is_no_request_has_its_status() {
        assert_eq!(objection("\u{1}\u{2}garbage\r\n\r\n"), 400);
        assert_eq!(objection("GET / HTTP/1.1\r\n\r\n"), 400, "no host");
        assert_eq!(objection("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
        assert_eq!(objection("GET / HTTP/3.0\r\n\r\n"), 505);
        for length in ["-1", "+1", "", "1, 1", "9x", "99999999999999999999"] {
            assert_eq!(objection(&format!("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n")), 400);
        }
        assert_eq!(objection("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"), 400);
        assert_eq!(objection("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n"), 413);
        assert_eq!(objection("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"), 411);
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(HEAD_MAX));
        assert_eq!(objection(&long), 431);
        let many = "A: b\r\n".repeat(HEADERS_MAX + 1);
        assert_eq!(objection(&format!("GET / HTTP/1.1\r\n{many}\r\n")), 431);
    }

    #[test]
    fn percent_encoding_is_undone_or_refused() {
        assert_eq!(decode("a%2Fb%c3%a9+").as_deref(), Some("a/bé+"));
        for bad in ["%", "%2", "%g0", "%ff"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
