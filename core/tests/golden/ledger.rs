//! Names for batches, and the facts that no script may contradict.

use ios_core::{
    batch::{Batch, Command},
    ids::{ClusterId, Digest, Index, NodeId, View},
    interface::{Note, Output},
    message::PeerMessage,
};
use std::collections::BTreeMap;

/// What is known of all batches of a script, over all nodes and lives.
#[derive(Default)]
pub struct Ledger {
    /// What requests were, before they were encoded.
    lines: BTreeMap<Vec<u8>, String>,
    names: BTreeMap<Digest, String>,
    /// The cluster's id: a hash of everything it is founded with, and nothing a script should depend on.
    cluster: Option<ClusterId>,
    assigned: BTreeMap<(View, Index), Digest>,
    chosen: BTreeMap<Index, (Digest, NodeId)>,
}

impl Ledger {
    /// A request that may come back in a batch.
    pub fn said(&mut self, payload: &[u8], line: String) {
        self.lines.insert(payload.to_vec(), line);
    }

    /// Learns the batches in what a node puts out.
    pub fn learn(&mut self, output: &Output) {
        let Output::Send { message, .. } = output else { return };
        match message {
            PeerMessage::Hello(hello) => {
                self.cluster = hello.founded.as_ref().map(|(cluster, _)| *cluster).or(self.cluster)
            }
            PeerMessage::Accept { batch, .. }
            | PeerMessage::Assign { batch, .. }
            | PeerMessage::Forward { batch, .. } => self.name(batch),
            PeerMessage::Entries { entries, .. } => entries.iter().for_each(|(_, batch)| self.name(batch)),
            PeerMessage::Promise(promise) => {
                promise.entries.iter().filter_map(|entry| entry.accepted.as_ref()).for_each(|(_, b)| self.name(b));
            }
            _ => {}
        }
    }

    fn name(&mut self, batch: &Batch) {
        if self.names.contains_key(&batch.digest()) {
            return;
        }
        let mut name = match (batch.is_noop(), batch.is_empty()) {
            (true, _) => "noop".to_string(),
            (false, true) => "tick".to_string(),
            (false, false) => {
                let commands: Vec<_> = batch.commands().map(|command| self.command(&command)).collect();
                format!("({})", commands.join("; "))
            }
        };
        while name != "tick" && self.names.values().any(|other| *other == name) {
            name.push('\'');
        }
        self.names.insert(batch.digest(), name);
    }

    fn command(&self, command: &Command<&[u8]>) -> String {
        match command {
            Command::Register => "register".to_string(),
            Command::KeepAlive { .. } => "keep-alive".to_string(),
            Command::Close { .. } => "close".to_string(),
            Command::Request { payload, .. } => {
                self.lines.get(*payload).cloned().unwrap_or_else(|| "a stranger's request".to_string())
            }
        }
    }

    /// The text with batches by name. The hash of the state is left out: it would tie every script to the encoding of
    /// the service; [`Ledger::check`] looks at the batches instead.
    pub fn rename(&self, text: &str) -> String {
        let mut text = text.to_string();
        for (digest, name) in &self.names {
            let digest = digest.to_string();
            if let Some(at) = text.find(&digest)
                && text[at + digest.len()..].starts_with('[')
            {
                let count = text[at + digest.len()..].find(']').expect("a count ends") + 1;
                let sized = text[at..at + digest.len() + count].to_string();
                text = text.replace(&sized, name);
            }
            text = text.replace(&digest, name);
        }
        if let Some(cluster) = self.cluster {
            text = text.replace(&cluster.to_string(), "CLUSTER");
        }
        text = text.replace(&Batch::noop().digest().to_string(), "noop");
        match text.find(" state=") {
            Some(at) => text[..at].to_string(),
            None => text,
        }
    }

    /// Whether a note contradicts what was noted before, by whichever node in whichever life.
    pub fn check(&mut self, node: NodeId, note: &Note) -> Result<(), String> {
        match *note {
            Note::Assigned { view, index, digest, .. } => {
                let first = *self.assigned.entry((view, index)).or_insert(digest);
                if first != digest {
                    return Err(self.rename(&format!("{view} {index} is assigned {digest} and was {first}")));
                }
            }
            Note::Chosen { index, digest, .. }
            | Note::Committed { index, digest, .. }
            | Note::Applied { index, digest, .. } => {
                let (first, by) = *self.chosen.entry(index).or_insert((digest, node));
                if first != digest {
                    return Err(self.rename(&format!("{node} has {digest} at {index}, {by} has {first}: {note}")));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
