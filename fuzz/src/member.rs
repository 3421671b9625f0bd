//! A real node on a [`Directory`], driven by hand: its disk does what it is told when it is told to.

use crate::directory::Directory;
use ios_core::{
    Config, Node, OpenError,
    configuration::{Configuration, ConfigurationDraft},
    ids::{NodeId, OpId},
    interface::{DiskAction, DiskResult, Fault, Input, Output},
    message::{ClientResponse, PeerMessage},
    options::{JournalOptions, Options, Seal},
    service::kv::Kv,
    time::Time,
    wire::{Encoder, Framed, decode_frame},
};
use std::{collections::VecDeque, fmt::Debug, mem};

/// A cluster of this many members, with small segments, so that a few dozen records fill one, and frequent snapshots.
pub fn config(node: u8, members: u8, seal: Seal) -> Config {
    let draft = ConfigurationDraft { members: (0..members).map(NodeId).collect(), window: 4, ..Default::default() };
    let configuration = Configuration::new(draft).expect("a legal configuration");
    let journal = JournalOptions { segment_bytes: 24 << 10, segment_records: 16, seal, ..JournalOptions::default() };
    let options =
        Options { max_batch_bytes: 4 << 10, snapshot_interval: 4, snapshot_block: 256, journal, ..Options::default() };
    Config { node: NodeId(node), configuration, options }
}

/// A node, its disk, and what it has asked for.
#[derive(Clone, Debug)]
pub struct Member {
    node: Node<Kv>,
    disk: Directory,
    now: Time,
    operations: VecDeque<(OpId, DiskAction)>,
    sent: Vec<(NodeId, PeerMessage)>,
    replies: Vec<ClientResponse>,
    fault: Option<Fault>,
}

impl Member {
    /// Opens a node on a directory.
    pub fn open(config: Config, mut disk: Directory) -> Result<Self, OpenError> {
        let seed = u64::from(config.node.0);
        let node = Node::open(config, Kv::default(), seed, Time::ZERO, &mut disk)?;
        Ok(Self {
            node,
            disk,
            now: Time::ZERO,
            operations: VecDeque::new(),
            sent: Vec::new(),
            replies: Vec::new(),
            fault: None,
        })
    }

    /// The node.
    pub fn node(&self) -> &Node<Kv> {
        &self.node
    }

    /// Why it stopped itself, if it did. It takes no input any more.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Feeds one input. What the node says must be sayable: every message has to fit a frame and come out of it again.
    pub fn feed(&mut self, input: Input) {
        let mut out = Vec::new();
        if self.fault.is_none() {
            self.node.step(self.now, input, &mut out);
        }
        for output in out {
            match output {
                Output::Send { to, message } => {
                    check_frame(&message);
                    self.sent.extend(to.iter().map(|to| (to, message.clone())));
                }
                Output::Reply { response, .. } => {
                    check_frame(&response);
                    self.replies.push(response);
                }
                Output::Disk { op, action } => self.operations.push_back((op, action)),
                Output::Fence(fault) => self.fault = Some(fault),
                Output::Close { .. } | Output::Note(_) | Output::Stopped => {}
            }
        }
    }

    /// Performs the oldest operation that waits for the disk. False if none does.
    pub fn perform(&mut self) -> bool {
        let Some((op, action)) = self.operations.pop_front() else { return false };
        let result = self.disk.perform(&action);
        assert!(!matches!(result, DiskResult::Failed(_)), "{action:?} names no file");
        self.feed(Input::Disk { op, result });
        true
    }

    /// Ends a driver's turn: everything that is due at this very time, disk included.
    pub fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            let due = self.fault.is_none() && self.node.deadline().is_some_and(|(time, _)| time <= self.now);
            if due {
                self.feed(Input::Wake);
            }
            if !self.perform() && !due {
                return;
            }
        }
        panic!("something is due for ever: {:?} at {:?}", self.node.deadline(), self.now);
    }

    /// Lets time pass until the next deadline.
    pub fn pass_time(&mut self) {
        if let Some((time, _)) = self.node.deadline() {
            self.pass_time_until(time);
        }
    }

    /// Lets time pass.
    pub fn pass_time_until(&mut self, time: Time) {
        self.now = self.now.max(time);
        self.settle();
    }

    /// The disk as it is now.
    pub fn disk(&self) -> &Directory {
        &self.disk
    }

    /// Takes what was sent since the last time.
    pub fn take_sent(&mut self) -> Vec<(NodeId, PeerMessage)> {
        mem::take(&mut self.sent)
    }

    /// Takes what clients were told since the last time.
    pub fn take_replies(&mut self) -> Vec<ClientResponse> {
        mem::take(&mut self.replies)
    }
}

/// Far more than opening a full directory takes.
const TURNS_MAX: usize = 10_000;

fn check_frame<M: Framed + PartialEq + Debug>(message: &M) {
    let frame = Encoder::default().encode(message).expect("what a node says fits a frame").concat();
    assert_eq!(decode_frame::<M>(&frame.into()).as_ref(), Ok(message));
}
