//! The commands of the script language.
//!
//! ```text
//! cluster nodes=3 quorum=majority window=4 ...   opens, links and founds a cluster, unseen; or, with
//!                                                hello=manual, only formats the disks
//! quietly COMMAND                                does it and shows nothing
//! elect n0                                       n0 comes to lead, all others' timers standing still
//! register n0 | keep-alive n0 | close n0         of the client's session
//! put n0 k v | delete n0 k | cas n0 k old new    a write; `&` joins requests that arrive in one turn of the driver
//! get n0 k                                       a read
//! participant n1 get k | stale n1 get k          the same, to be answered by whoever is asked
//! pretend n0 get put k v                         the rest of the line, whatever it may do, sent as such a read
//! again n0 [acked=N]                             the last write once more; answers up to N were heard
//! burst n0 130                                   that many writes
//! suggest n1                                     the client hints that another leader might be looked for
//! transfer n0 [n1]                               the client commands that n0 hand its place over
//! hang-up n0                                     the client's connection breaks
//! deliver n0>n1 Kind [words]                     the oldest such message (`*` any node, `all` every one there is now);
//! drop, duplicate, hold n0>n1 ...                  or loses it, sends a copy after all others, puts it aside
//! release                                        puts back what was put aside
//! settle                                         delivers everything until nothing is on its way; hides what is sent
//! run 500ms                                      the same while time passes
//! time +600ms [n0 ...]                           time passes (for these nodes); nothing is delivered
//! wake n0                                        time passes until n0's next deadline, and n0 alone is woken
//! cut n0>n1 | cut n0 | heal                      messages are lost on that way, or all of n0's; no more
//! disk n1 manual|auto                            whose operations end by command, or at once
//! sync n1 [count] | fail n1 [full]               the disk's oldest operations end, well or not
//! complete n1 op7                                the disk claims that an operation ended
//! crash n1 [power [torn]]                        the process dies; or the power goes
//! restart n1 | start n1 | shutdown n1
//! rot n1 INDEX body|header|slot|header+slot      flips a bit in the newest durable record of that index
//! rot n1 identity 4                              flips a bit in that many identity slots
//! rot n1 snapshot                                flips a bit in its newest snapshot
//! wipe n1                                        the directory is emptied and formatted again
//! forge n2>n1 Kind ...                           a message that n2 never sent
//! status n1
//! expect n1 word !word ...                       words of the status line that are there, or not
//! ```

use crate::{
    cluster::{Cluster, Letter},
    forge,
};
use ios_core::{
    ids::{Index, NodeId, OpId, Sequence},
    interface::{DiskError, DiskResult, Input},
    message::ClientRequest,
    service::{Access, Application},
    time::Span,
};

/// Performs one command.
pub fn perform(cluster: &mut Cluster, words: &[&str]) -> Result<(), String> {
    let joined: Vec<&[&str]> = words.split(|word| *word == "&").collect();
    if joined.len() > 1 {
        cluster.hold_turn = true;
        let done = joined.iter().try_for_each(|words| one(cluster, words));
        cluster.hold_turn = false;
        cluster.ids().into_iter().for_each(|id| cluster.finish_turn(id));
        done?;
    } else {
        one(cluster, words)?;
    }
    cluster.verdict()
}

fn one(cluster: &mut Cluster, words: &[&str]) -> Result<(), String> {
    let name = *words.first().ok_or("an empty command")?;
    let word = |place: usize| words.get(place).copied().ok_or(format!("`{name}` wants more words"));
    let node = || parse_node(word(1)?);
    match name {
        "elect" => elect(cluster, node()?),
        "register" | "keep-alive" | "close" => session(cluster, name, node()?),
        "suggest" => suggest(cluster, node()?),
        "transfer" => transfer(cluster, node()?, words.get(2).copied()),
        "put" | "delete" | "cas" | "get" => request(cluster, node()?, name, words.get(2..).unwrap_or(&[]), Sequence(0)),
        "participant" | "stale" => read(cluster, node()?, name, words.get(2..).unwrap_or(&[])),
        "pretend" => pretend(cluster, node()?, word(2)?, &words[3..].join(" ")),
        "again" => again(cluster, node()?, words.get(2).copied()),
        "burst" => burst(cluster, node()?, number(word(2)?)?),
        "hang-up" => {
            cluster.hang_up(node()?);
            Ok(())
        }
        "deliver" | "drop" | "duplicate" | "hold" => letters(cluster, name, &words[1..]),
        "release" => {
            let held = std::mem::take(&mut cluster.held);
            cluster.network.extend(held);
            Ok(())
        }
        "settle" => unseen(cluster, Cluster::settle),
        "run" => {
            let until = cluster.now + span(word(1)?)?;
            let everyone = cluster.ids();
            unseen(cluster, |cluster| cluster.pass(until, &everyone, true))
        }
        "time" => {
            let until = cluster.now + span(word(1)?)?;
            let some = words[2..].iter().map(|word| parse_node(word)).collect::<Result<Vec<_>, _>>()?;
            let who = if some.is_empty() { cluster.ids() } else { some };
            cluster.pass(until, &who, false)
        }
        "wake" => wake(cluster, node()?),
        "cut" => cut(cluster, word(1)?),
        "heal" => {
            cluster.cuts.clear();
            Ok(())
        }
        "forge" => {
            let (from, to) = way(word(1)?)?;
            let message = forge::message(&words[2..])?;
            let (from, to) = (from.ok_or("from whom?")?, to.ok_or("to whom?")?);
            cluster.deliver(Letter { from, to, message });
            Ok(())
        }
        "status" => {
            let line = status(cluster, node()?)?;
            cluster.show(line);
            Ok(())
        }
        "expect" => expect(cluster, node()?, &words[2..]),
        _ => machine(cluster, name, words),
    }
}

/// Commands about disks and processes.
fn machine(cluster: &mut Cluster, name: &str, words: &[&str]) -> Result<(), String> {
    let word = |place: usize| words.get(place).copied().ok_or(format!("`{name}` wants more words"));
    let id = || parse_node(word(1)?);
    match name {
        "disk" => {
            let manual = word(2)? == "manual";
            let id = id()?;
            cluster.members.get_mut(&id).ok_or("no such member")?.disk.manual = manual;
            cluster.finish_turn(id);
            Ok(())
        }
        "sync" => {
            let id = id()?;
            let count = words.get(2).map_or(Ok(u64::MAX), |count| number(count))?;
            let done = (0..count).take_while(|_| cluster.sync(id, None)).count();
            if done == 0 { Err(format!("{id}'s disk has nothing to do")) } else { Ok(()) }
        }
        "fail" => {
            let id = id()?;
            let error = if words.get(2) == Some(&"full") { DiskError::Full } else { DiskError::Io };
            if cluster.sync(id, Some(error)) { Ok(()) } else { Err(format!("{id}'s disk has nothing to do")) }
        }
        "complete" => {
            let op = number(word(2)?.trim_start_matches("op"))?;
            cluster.step(id()?, Input::Disk { op: OpId(op), result: DiskResult::Done });
            Ok(())
        }
        "crash" => {
            let id = id()?;
            cluster.node(id)?;
            cluster.stop(id);
            let disk = &mut cluster.members.get_mut(&id).ok_or("no such member")?.disk;
            match &words[2..] {
                [] => disk.process_died(),
                ["power"] => disk.power_lost(false),
                ["power", "torn"] => disk.power_lost(true),
                other => return Err(format!("nothing crashes like {other:?}")),
            }
            Ok(())
        }
        "restart" | "start" => cluster.start(id()?),
        "shutdown" => {
            cluster.step(id()?, Input::Shutdown);
            Ok(())
        }
        "rot" => {
            let disk = &mut cluster.members.get_mut(&id()?).ok_or("no such member")?.disk;
            match word(2)? {
                "identity" => disk.rot_identity(number(word(3)?)?),
                "snapshot" => disk.rot_snapshot(),
                index => disk.rot_record(Index(number(index)?), word(3)?),
            }
        }
        "wipe" => {
            let id = id()?;
            if cluster.is_up(id) {
                return Err(format!("{id} is up"));
            }
            cluster.format(id, u128::from(id.0) + 101);
            Ok(())
        }
        _ => Err(format!("there is no command `{name}`")),
    }
}

// ---- Words.

fn parse_node(word: &str) -> Result<NodeId, String> {
    let id = word.strip_prefix('n').and_then(|id| id.parse::<u8>().ok());
    id.map(NodeId).ok_or(format!("`{word}` is no node"))
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("`{word}` is no number"))
}

fn span(word: &str) -> Result<Span, String> {
    word.trim_start_matches('+').parse::<Span>().map_err(|error| error.to_string())
}

/// `n0>n1`, with `*` for any.
fn way(word: &str) -> Result<(Option<NodeId>, Option<NodeId>), String> {
    let (from, to) = word.split_once('>').ok_or(format!("`{word}` is no way from one node to another"))?;
    let end = |word: &str| if word == "*" { Ok(None) } else { parse_node(word).map(Some) };
    Ok((end(from)?, end(to)?))
}

// ---- Clients.

fn session(cluster: &mut Cluster, name: &str, id: NodeId) -> Result<(), String> {
    cluster.node(id)?;
    cluster.tag += 1;
    let tag = cluster.tag;
    let session = cluster.session.ok_or("there is no session");
    let request = match name {
        "register" => ClientRequest::Register { tag },
        "keep-alive" => ClientRequest::KeepAlive { tag, session: session? },
        _ => ClientRequest::Close { tag, session: session? },
    };
    cluster.ask(id, request);
    Ok(())
}

fn transfer(cluster: &mut Cluster, id: NodeId, to: Option<&str>) -> Result<(), String> {
    cluster.node(id)?;
    cluster.tag += 1;
    let (tag, to) = (cluster.tag, to.map(parse_node).transpose()?);
    cluster.ask(id, ClientRequest::Transfer { tag, to });
    Ok(())
}

fn suggest(cluster: &mut Cluster, id: NodeId) -> Result<(), String> {
    cluster.node(id)?;
    cluster.tag += 1;
    let tag = cluster.tag;
    cluster.ask(id, ClientRequest::Suggest { tag });
    Ok(())
}

fn request(cluster: &mut Cluster, id: NodeId, verb: &str, arguments: &[&str], acked: Sequence) -> Result<(), String> {
    cluster.node(id)?;
    let line = [&[verb], arguments].concat().join(" ");
    let service = "kv-store".parse::<Application>().expect("the store is an application");
    let (access, payload) = service.parse_line(&line).map_err(|_| format!("`{verb}` wants more words"))?;
    cluster.ledger.said(&payload, line);
    if access == Access::Read {
        cluster.tag += 1;
        let tag = cluster.tag;
        cluster.ask(id, ClientRequest::Read { tag, payload });
        return Ok(());
    }
    let session = cluster.session.ok_or("there is no session; `register` opens one")?;
    cluster.sequence.0 += 1;
    let request = ClientRequest::Write { session, sequence: cluster.sequence, acked, payload };
    cluster.last_write = Some(request.clone());
    cluster.ask(id, request);
    Ok(())
}

fn read(cluster: &mut Cluster, id: NodeId, mode: &str, words: &[&str]) -> Result<(), String> {
    cluster.node(id)?;
    let line = words.join(" ");
    let service = "kv-store".parse::<Application>().expect("the store is an application");
    let (Access::Read, _) = service.parse_line(&line).map_err(|_| format!("`{line}` is no command"))? else {
        return Err(format!("`{line}` is no read"));
    };
    pretend(cluster, id, mode, &line)
}

/// Whoever says that something only reads need not be right.
fn pretend(cluster: &mut Cluster, id: NodeId, mode: &str, line: &str) -> Result<(), String> {
    cluster.node(id)?;
    let service = "kv-store".parse::<Application>().expect("the store is an application");
    let (_, payload) = service.parse_line(line).map_err(|_| format!("`{line}` is no command"))?;
    cluster.tag += 1;
    let tag = cluster.tag;
    let request = match mode {
        "get" => ClientRequest::Read { tag, payload },
        "stale" => ClientRequest::StaleRead { tag, payload },
        _ => ClientRequest::ParticipantRead { tag, payload },
    };
    cluster.ask(id, request);
    Ok(())
}

fn again(cluster: &mut Cluster, id: NodeId, acked: Option<&str>) -> Result<(), String> {
    cluster.node(id)?;
    let Some(ClientRequest::Write { session, sequence, payload, .. }) = cluster.last_write.clone() else {
        return Err("there was no write".to_string());
    };
    let acked = acked.and_then(|word| word.strip_prefix("acked=")).map_or(Ok(0), number)?;
    cluster.ask(id, ClientRequest::Write { session, sequence, acked: Sequence(acked), payload });
    Ok(())
}

/// Many writes; each gives up the answers to those before it, so that the session's table has room.
fn burst(cluster: &mut Cluster, id: NodeId, count: u64) -> Result<(), String> {
    for each in 0..count {
        let acked = cluster.sequence;
        request(cluster, id, "put", &["k", &each.to_string()], acked)?;
    }
    Ok(())
}

// ---- Network and time.

/// Performs something whose messages are delivered at once, and are not shown.
fn unseen(cluster: &mut Cluster, act: impl FnOnce(&mut Cluster) -> Result<(), String>) -> Result<(), String> {
    cluster.hide_sends = true;
    let done = act(cluster);
    cluster.hide_sends = false;
    done
}

fn letters(cluster: &mut Cluster, name: &str, words: &[&str]) -> Result<(), String> {
    let (from, to) = way(words.first().ok_or("on which way?")?)?;
    let all = words.last() == Some(&"all");
    let wanted = &words[1..words.len() - usize::from(all)];
    let mut matching = Vec::new();
    for (place, letter) in cluster.network.iter().enumerate() {
        let ends = from.is_none_or(|from| from == letter.from) && to.is_none_or(|to| to == letter.to);
        let text = cluster.ledger.rename(&letter.message.to_string());
        let said: Vec<&str> = text.split_whitespace().collect();
        let kind = wanted.first().is_none_or(|kind| said.first() == Some(kind));
        if ends && kind && wanted.iter().all(|word| said.contains(word)) {
            matching.push(place);
        }
    }
    matching.truncate(if all { usize::MAX } else { 1 });
    if matching.is_empty() {
        return Err("no such message is on its way".to_string());
    }
    let mut found = Vec::new();
    for place in matching.into_iter().rev() {
        found.insert(0, cluster.network.remove(place).expect("just seen"));
    }
    for letter in found {
        match name {
            "deliver" => cluster.deliver(letter),
            "hold" => cluster.held.push(letter),
            "duplicate" => {
                let copy = Letter { message: letter.message.clone(), ..letter };
                cluster.network.push_front(letter);
                cluster.network.push_back(copy);
            }
            _ => {}
        }
    }
    Ok(())
}

fn wake(cluster: &mut Cluster, id: NodeId) -> Result<(), String> {
    let (time, _) = cluster.node(id)?.deadline().ok_or(format!("{id} waits for nothing"))?;
    cluster.now = cluster.now.max(time);
    cluster.step(id, Input::Wake);
    Ok(())
}

/// What is on its way arrives; then so much time passes that everyone misses their leader, and only this node acts.
fn elect(cluster: &mut Cluster, id: NodeId) -> Result<(), String> {
    unseen(cluster, |cluster| {
        cluster.settle()?;
        cluster.now = cluster.now + cluster.options.election_timeout.times(2);
        for _ in 0..100 {
            cluster.settle()?;
            if cluster.node(id)?.status().role == "leader" {
                cluster.take_lines();
                return Ok(());
            }
            wake(cluster, id)?;
        }
        Err(format!("{id} does not come to lead"))
    })
}

fn cut(cluster: &mut Cluster, what: &str) -> Result<(), String> {
    if what.contains('>') {
        let (from, to) = way(what)?;
        cluster.cuts.insert((from.ok_or("from whom?")?, to.ok_or("to whom?")?));
        return Ok(());
    }
    let id = parse_node(what)?;
    for peer in cluster.ids() {
        cluster.cuts.extend([(id, peer), (peer, id)]);
    }
    Ok(())
}

// ---- Looking.

fn status(cluster: &Cluster, id: NodeId) -> Result<String, String> {
    let node = cluster.node(id)?;
    let status = node.status();
    let leader = status.leader.map_or("nobody".to_string(), |leader| leader.to_string());
    let mut line = format!("{id} {} leader={leader} promised={}", status.role, status.view);
    line += &format!(" floor={} applied={} last={}", status.floor, status.applied, status.last);
    if status.unknown > 0 {
        line += &format!(" unknown={}", status.unknown);
    }
    if status.hollow {
        line += " hollow";
    }
    let Application::Kv(store) = node.service() else { return Ok(line) };
    for (key, value, _) in store.iter() {
        line += &format!(" {}={}", String::from_utf8_lossy(key), String::from_utf8_lossy(value));
    }
    Ok(line)
}

fn expect(cluster: &Cluster, id: NodeId, words: &[&str]) -> Result<(), String> {
    let line = status(cluster, id)?;
    let said: Vec<&str> = line.split_whitespace().collect();
    for word in words {
        let met = match word.strip_prefix('!') {
            Some(unwanted) => !said.contains(&unwanted),
            None => said.contains(word),
        };
        if !met {
            return Err(format!("expected `{word}` of: {line}"));
        }
    }
    Ok(())
}
