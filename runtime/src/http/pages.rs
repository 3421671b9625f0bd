//! What each path answers. Everything but commands is answered at once, from [`Vitals`].

use super::{
    VERSION,
    command::{self, Command},
    metrics,
    request::{Method, Request},
    response::Response,
    vitals::{Traffic, Vitals},
};
use ios_core::service::Application;

/// What becomes of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Page {
    /// The answer.
    Ready(Response),
    /// Ask the cluster first.
    Ask(Command),
}

const THERE_ARE: &str = "there are /metrics, /livez, /readyz, /readyz?verbose, /health, /version, \
                         /request/COMMAND/WORD/... such as /request/update/A/3, and POST /request with a line as its \
                         body";

/// Finds the page.
pub(super) fn page(request: &Request, vitals: &Vitals<'_>, traffic: Traffic<'_>, language: &Application) -> Page {
    let path = request.path.as_str();
    if path == "/request" || path.starts_with("/request/") {
        return match command::read(request, language) {
            Ok(command) => Page::Ask(command),
            Err(response) => Page::Ready(response),
        };
    }
    let response = match path {
        "/metrics" | "/livez" | "/readyz" | "/health" | "/version"
            if !matches!(request.method, Method::Get | Method::Head) =>
        {
            Response::text(405, format!("{path} is read with GET or HEAD")).with("Allow", "GET, HEAD")
        }
        "/metrics" => Response::text(200, metrics::page(vitals, traffic)).typed(metrics::CONTENT_TYPE),
        "/livez" => Response::text(200, "ok"),
        "/readyz" => readyz(request.query.split('&').any(|word| word == "verbose"), vitals),
        "/health" => health(vitals),
        "/version" => Response::text(200, format!("ios {VERSION}")),
        _ => Response::text(404, format!("nothing is here; {THERE_ARE}")),
    };
    Page::Ready(response)
}

fn readyz(verbose: bool, vitals: &Vitals<'_>) -> Response {
    let checks = vitals.checks();
    let failed: Vec<&str> = checks.iter().filter(|check| check.failed.is_some()).map(|check| check.name).collect();
    let status = if failed.is_empty() { 200 } else { 503 };
    let verdict = match failed.is_empty() {
        true => "ok".to_owned(),
        false => format!("not ready: {}", failed.join(", ")),
    };
    if !verbose {
        return Response::text(status, verdict);
    }
    let lines = checks.iter().map(|check| match &check.failed {
        None => format!("[+]{} ok\n", check.name),
        Some(why) => format!("[-]{} failed: {why}\n", check.name),
    });
    Response::text(status, format!("{}{verdict}", lines.collect::<String>()))
}

/// As etcd says it: texts, not truth values.
fn health(vitals: &Vitals<'_>) -> Response {
    let failed = vitals.checks().into_iter().find_map(|check| check.failed);
    let (status, health) = if failed.is_none() { (200, "true") } else { (503, "false") };
    // The reason is a sentence of our own: nothing in it needs escaping.
    let body = format!("{{\"health\":\"{health}\",\"reason\":\"{}\"}}", failed.unwrap_or_default());
    Response::text(status, body).typed("application/json")
}
