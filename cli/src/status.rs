//! `ios status`: one line per member, and what to do where something is wrong.

use crate::{
    arguments::{Format, Global},
    cluster::{endpoints, resolve},
    exit::{Exit, Failure},
    say::{data, line},
    verbs::columns,
};
use ios_core::{message::Status, time::Span};
use runtime::client::ask_status;
use serde_json::{Value, json};

/// A member is asked for this long at most, so that one that hangs does not hide the others.
const ASK_WITHIN: Span = Span::secs(2);

/// Asks every endpoint and prints what they say.
pub fn run(global: &Global) -> Result<Exit, Failure> {
    let timeout = global.timeout.min(ASK_WITHIN);
    let mut members = Vec::new();
    for endpoint in endpoints(global)? {
        let address = resolve(&endpoint)?;
        let answer = ask_status(address, timeout).map_err(|error| error.to_string());
        members.push(Member { endpoint, answer });
    }
    let advice: Vec<Option<String>> = members.iter().map(|member| advise(member, &members)).collect();
    match global.output.unwrap_or(Format::Table) {
        Format::Json => line(Value::from_iter(members.iter().zip(&advice).map(|(m, a)| to_json(m, a)))),
        Format::Table => data(to_table(&members, &advice).as_bytes()),
        Format::Simple => members.iter().zip(&advice).try_for_each(|(m, a)| line(to_line(m, a))),
    }?;
    Ok(verdict(&members, &advice))
}

struct Member {
    endpoint: String,
    answer: Result<Status, String>,
}

fn verdict(members: &[Member], advice: &[Option<String>]) -> Exit {
    if members.iter().all(|member| member.answer.is_err()) {
        Exit::Unreachable
    } else if advice.iter().any(Option::is_some) {
        Exit::Unhealthy
    } else {
        Exit::Ok
    }
}

/// What is wrong with a member, and what to do about it.
fn advise(member: &Member, all: &[Member]) -> Option<String> {
    let status = match &member.answer {
        Ok(status) => status,
        Err(error) => return Some(format!("no answer ({error}): start it with `ios serve`, or check the address")),
    };
    let others = || all.iter().filter_map(|other| other.answer.as_ref().ok());
    let twin = others().find(|other| other.applied == status.applied && other.state_hash != status.state_hash);
    let ahead = others().map(|other| other.floor).max().unwrap_or(status.floor);
    let missing: Vec<String> =
        status.members.iter().filter(|peer| !status.reachable.contains(peer)).map(ToString::to_string).collect();
    if let Some(twin) = twin {
        Some(format!("its state differs from {}'s at index {}: keep both data directories", twin.node, status.applied))
    } else if status.cluster.is_none() {
        Some(format!("waits to meet every first member; no link to {}", missing.join(", ")))
    } else if status.leader.is_none() {
        Some(format!("knows no leader; links are missing to: {}", missing.join(", ")))
    } else if status.hollow || status.unknown > 0 {
        Some("repairs what its disk lost: check the disk".to_owned())
    } else if status.applied.plus(LAG_MAX) < ahead {
        Some(format!("is {} entries behind: it is catching up, or too slow", ahead.0 - status.applied.0))
    } else if !missing.is_empty() {
        Some(format!("has no link to {}: start it, or check its peer address", missing.join(", ")))
    } else {
        None
    }
}

/// A member that many entries behind has not just been asked a moment before the others.
const LAG_MAX: u64 = 4096;

const HEADING: [&str; 12] = [
    "NODE",
    "ADDRESS",
    "ROLE",
    "VIEW",
    "LEADER",
    "FLOOR",
    "APPLIED",
    "LAST",
    "REVISION",
    "SESSIONS",
    "STATE",
    "NEXT STEP",
];

fn to_table(members: &[Member], advice: &[Option<String>]) -> String {
    let rows: Vec<Vec<String>> = members.iter().zip(advice).map(|(member, advice)| row(member, advice)).collect();
    columns(&HEADING, &rows)
}

fn row(member: &Member, advice: &Option<String>) -> Vec<String> {
    let advice = advice.clone().unwrap_or_else(|| "-".to_owned());
    let Ok(status) = &member.answer else {
        let mut cells = vec!["?".to_owned(), member.endpoint.clone()];
        cells.resize(HEADING.len() - 1, "?".to_owned());
        cells.push(advice);
        return cells;
    };
    vec![
        status.node.to_string(),
        member.endpoint.clone(),
        status.role.clone(),
        status.view.to_string(),
        status.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
        status.floor.to_string(),
        status.applied.to_string(),
        status.last.to_string(),
        status.revision.to_string(),
        status.sessions.to_string(),
        format!("{:016x}", status.state_hash),
        advice,
    ]
}

fn to_line(member: &Member, advice: &Option<String>) -> String {
    let cells = row(member, advice);
    let named =
        HEADING.iter().zip(cells).map(|(name, cell)| format!("{}={cell}", name.to_lowercase().replace(' ', "_")));
    named.collect::<Vec<_>>().join(" ")
}

fn to_json(member: &Member, advice: &Option<String>) -> Value {
    let mut value = match &member.answer {
        Ok(status) => json!({
            "node": status.node.0,
            "incarnation": status.incarnation.0,
            "cluster": status.cluster.map(|cluster| cluster.to_string()),
            "role": status.role,
            "view": status.view.to_string(),
            "leader": status.leader.map(|leader| leader.0),
            "members": status.members.iter().map(|node| node.0).collect::<Vec<_>>(),
            "reachable": status.reachable.iter().map(|node| node.0).collect::<Vec<_>>(),
            "floor": status.floor.0,
            "applied": status.applied.0,
            "last": status.last.0,
            "revision": status.revision.0,
            "state_hash": format!("{:016x}", status.state_hash),
            "sessions": status.sessions,
            "log_time_ns": status.log_time.0,
            "unknown": status.unknown,
            "hollow": status.hollow,
        }),
        Err(error) => json!({ "error": error }),
    };
    value["address"] = member.endpoint.clone().into();
    value["next_step"] = advice.clone().into();
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use ios_core::{
        ids::{ClusterId, Incarnation, Index, NodeId, Revision, View},
        time::Time,
    };

    fn member(id: u8, change: impl FnOnce(&mut Status)) -> Member {
        let nodes = vec![NodeId(0), NodeId(1)];
        let mut status = Status {
            node: NodeId(id),
            incarnation: Incarnation(1),
            cluster: Some(ClusterId(7)),
            role: if id == 0 { "leader" } else { "follower" }.to_owned(),
            view: View { round: 1, node: NodeId(0) },
            leader: Some(NodeId(0)),
            members: nodes.clone(),
            reachable: nodes,
            floor: Index(10),
            applied: Index(10),
            last: Index(10),
            revision: Revision(8),
            state_hash: 1,
            sessions: 2,
            log_time: Time(5),
            unknown: 0,
            hollow: false,
        };
        change(&mut status);
        Member { endpoint: format!("127.0.0.1:808{id}"), answer: Ok(status) }
    }

    fn judge(members: &[Member]) -> (Exit, Vec<Option<String>>) {
        let advice: Vec<_> = members.iter().map(|member| advise(member, members)).collect();
        (verdict(members, &advice), advice)
    }

    #[test]
    fn a_healthy_cluster_needs_nothing() {
        let members = [member(0, |_| ()), member(1, |_| ())];
        let (exit, advice) = judge(&members);
        assert_eq!((exit, &advice[..]), (Exit::Ok, &[None, None][..]));
        expect![[r#"
            NODE  ADDRESS         ROLE      VIEW  LEADER  FLOOR  APPLIED  LAST  REVISION  SESSIONS  STATE             NEXT STEP
            n0    127.0.0.1:8080  leader    1.n0  n0      10     10       10    8         2         0000000000000001  -
            n1    127.0.0.1:8081  follower  1.n0  n0      10     10       10    8         2         0000000000000001  -
        "#]].assert_eq(&to_table(&members, &advice));
    }

    #[test]
    fn each_trouble_has_its_next_step() {
        let check = |change: fn(&mut Status), words: &str| {
            let (exit, advice) = judge(&[member(0, |_| ()), member(1, change)]);
            assert_eq!(exit, Exit::Unhealthy, "{words}");
            assert!(advice[1].as_ref().unwrap().contains(words), "{advice:?}");
        };
        check(|status| status.state_hash = 2, "differs from n0's at index 10");
        check(|status| status.cluster = None, "waits to meet every first member");
        check(|status| status.leader = None, "knows no leader");
        check(|status| status.hollow = true, "check the disk");
        check(|status| status.unknown = 1, "check the disk");
        check(|status| status.reachable.truncate(1), "no link to n1");
        let far = |status: &mut Status| status.floor = Index(20_000);
        let (_, advice) = judge(&[member(0, far), member(1, |status| status.applied = Index(9))]);
        assert!(advice[1].as_ref().unwrap().contains("19991 entries behind"), "{advice:?}");
    }

    #[test]
    fn nobody_there_is_not_merely_unhealthy() {
        let silent = |id| Member { endpoint: format!("127.0.0.1:808{id}"), answer: Err("refused".to_owned()) };
        assert_eq!(judge(&[silent(0), silent(1)]).0, Exit::Unreachable);
        let (exit, advice) = judge(&[silent(0), member(1, |_| ())]);
        assert_eq!(exit, Exit::Unhealthy);
        assert!(advice[0].as_ref().unwrap().contains("`ios serve`"));
    }
}
