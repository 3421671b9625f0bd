//! Messages that no node sent: of strangers, of liars, and of networks that damage what they carry.

use ios_core::{
    ids::{Digest, DiskNonce, Incarnation, Index, NodeId, View},
    message::{LinkRefusal, PeerMessage, Promise},
};

/// Words of a message: its kind, a view, and `key=value`s.
struct Words<'a>(&'a [&'a str]);

impl Words<'_> {
    fn view_of(text: &str) -> Option<View> {
        let (round, node) = text.split_once(".n")?;
        Some(View { round: round.parse().ok()?, node: NodeId(node.parse().ok()?) })
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().find_map(|word| word.split_once('=').filter(|(name, _)| *name == key).map(|(_, value)| value))
    }

    fn view(&self) -> Result<View, String> {
        self.0.get(1).and_then(|word| Self::view_of(word)).ok_or("the second word is a view".to_string())
    }

    fn promised(&self) -> View {
        self.value("promised").and_then(Self::view_of).unwrap_or(View::ZERO)
    }

    fn number(&self, key: &str) -> u64 {
        self.value(key).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    fn index(&self, key: &str) -> Index {
        Index(self.number(key))
    }
}

/// Makes a message from the words of a script. What is not said is zero.
pub fn message(words: &[&str]) -> Result<PeerMessage, String> {
    let words = Words(words);
    let nonce = (Incarnation(words.number("incarnation")), words.number("counter"));
    let digest = Digest(words.number("digest"));
    let index = words.index("index");
    let view = words.view();
    Ok(match words.0.first().copied().unwrap_or("") {
        "Canvass" => PeerMessage::Canvass { view: view? },
        "CanvassReply" => PeerMessage::CanvassReply { view: view?, missing_leader: true, promised: words.promised() },
        "Prepare" => PeerMessage::Prepare { view: view?, from: words.index("from") },
        "Promise" => PeerMessage::Promise(Box::new(Promise {
            view: view?,
            from: words.index("from"),
            to: words.index("to"),
            end: words.index("end"),
            compacted_below: Index::ZERO,
            floor: words.index("floor"),
            loss: false,
            entries: Vec::new(),
        })),
        "Transfer" => PeerMessage::Transfer { view: view? },
        "Released" => PeerMessage::Released { view: view? },
        "Reject" => PeerMessage::Reject { view: view?, promised: words.promised() },
        "Accepted" => PeerMessage::Accepted { view: view?, index, digest, incarnation: nonce.0 },
        "Chosen" => PeerMessage::Chosen { view: view?, index, digest },
        "Heartbeat" => {
            PeerMessage::Heartbeat { view: view?, round: words.number("round"), floor: words.index("floor") }
        }
        "HeartbeatAck" => PeerMessage::HeartbeatAck {
            view: view?,
            round: words.number("round"),
            hollow_until: None,
            checkpoint: Some((words.index("at"), words.number("state")))
                .filter(|(index, _)| *index > Index::ZERO)
                .map(Box::new),
        },
        "Diverged" => PeerMessage::Diverged { index, state_hash: words.number("state") },
        "Fetch" => PeerMessage::Fetch { nonce, from: words.index("from"), to: words.index("to") },
        "Entries" => PeerMessage::Entries { nonce, leading: None, entries: Vec::new() },
        "Barrier" => PeerMessage::Barrier { nonce },
        "ReadIndexAsk" => PeerMessage::ReadIndexAsk { nonce },
        "ReadIndex" => PeerMessage::ReadIndex { nonce, index: Some(index).filter(|index| *index > Index::ZERO) },
        "HighWater" => {
            let (high, floor) = (words.index("high"), words.index("floor"));
            PeerMessage::HighWater { nonce, high, floor, view: words.promised() }
        }
        "Refused" => PeerMessage::Refused {
            nonce: DiskNonce(u128::from(words.number("nonce"))),
            incarnation: nonce.0,
            why: LinkRefusal::Disk,
        },
        kind => return Err(format!("a `{kind}` cannot be forged")),
    })
}
