//! `ios transfer`: makes the leader hand its place to another member.

use crate::{
    arguments::{Format, Global},
    cluster::{endpoints, resolve},
    exit::{Exit, Failure},
    say::line,
};
use ios_core::{
    ids::NodeId,
    message::{ClientRequest, ClientResponse, Refusal},
};
use runtime::client::{AskError, ask};
use std::{collections::VecDeque, io};

/// What one member made of the command.
enum Said {
    /// It was the leader, and hears of another one.
    Done,
    /// It does not lead, or not yet, and says who does.
    Elsewhere(Refusal),
    /// It was the leader, and it did not work.
    Failed(Failure),
}

/// Asks one member after the other until the leader is found, and waits for its answer.
pub fn run(global: &Global, to: Option<NodeId>) -> Result<Exit, Failure> {
    let mut left: VecDeque<String> = endpoints(global)?.into();
    left.iter().try_for_each(|endpoint| resolve(endpoint).map(drop))?;
    let (mut tried, mut troubles) = (Vec::new(), Vec::new());
    while let Some(endpoint) = left.pop_front() {
        if tried.contains(&endpoint) {
            continue;
        }
        match command(&endpoint, to, global) {
            Ok(Said::Done) => return print(new_leader(&endpoint, global), global),
            Ok(Said::Elsewhere(refusal)) => {
                if let Refusal::NotLeader { leader: Some(leader) } = refusal {
                    left.extend(address(&endpoint, leader, global));
                }
                troubles.push(format!("{endpoint}: {refusal}"));
            }
            Ok(Said::Failed(failure)) => return Err(failure),
            Err(AskError::Unheard(error)) => troubles.push(format!("{endpoint}: {error}")),
            // Asking another member now might hand over a second time.
            Err(AskError::Unanswered(error)) => {
                let why = format!("outcome unknown: {endpoint} does not answer: {error}; see `ios status`");
                return Err(Failure::new(Exit::Unknown, why));
            }
        }
        tried.push(endpoint);
    }
    Err(Failure::new(Exit::Unreachable, format!("no leader was found; {}", troubles.join("; "))))
}

fn command(endpoint: &str, to: Option<NodeId>, global: &Global) -> Result<Said, AskError> {
    let at = resolve(endpoint).map_err(|failure| AskError::Unheard(io::Error::other(failure.message)))?;
    match ask(at, &ClientRequest::Transfer { tag: 0, to }, global.timeout)? {
        ClientResponse::Done { .. } => Ok(Said::Done),
        ClientResponse::Refused { refusal: refusal @ (Refusal::NotLeader { .. } | Refusal::NotReady), .. } => {
            Ok(Said::Elsewhere(refusal))
        }
        ClientResponse::Refused { refusal: Refusal::Deposed { .. }, .. } => {
            let why = "outcome unknown: it has stopped to lead, and heard of no other leader in time; see `ios status`";
            Ok(Said::Failed(Failure::new(Exit::Unknown, why)))
        }
        ClientResponse::Refused { refusal, .. } => {
            Ok(Said::Failed(Failure::new(Exit::NotDone, format!("not done: {refusal}"))))
        }
        _ => Err(AskError::Unanswered(io::Error::other("its answer makes no sense"))),
    }
}

fn print(leader: Option<NodeId>, global: &Global) -> Result<Exit, Failure> {
    match global.output.unwrap_or(Format::Simple) {
        Format::Json => line(serde_json::json!({ "leader": leader.map(|leader| leader.0) }))?,
        Format::Simple | Format::Table => {
            line(leader.map_or_else(|| "OK".to_owned(), |leader| format!("{leader} leads")))?;
        }
    }
    Ok(Exit::Ok)
}

/// Whom a member follows.
fn new_leader(endpoint: &str, global: &Global) -> Option<NodeId> {
    match ask(resolve(endpoint).ok()?, &ClientRequest::Hello { tag: 0 }, global.timeout).ok()? {
        ClientResponse::Welcome { leader, .. } => leader,
        _ => None,
    }
}

/// Where a member is reached, by what another one says.
fn address(endpoint: &str, node: NodeId, global: &Global) -> Option<String> {
    match ask(resolve(endpoint).ok()?, &ClientRequest::Members { tag: 0 }, global.timeout).ok()? {
        ClientResponse::Members { mut members, .. } => members.remove(&node),
        _ => None,
    }
}
