//! Where the events of a trace are put together, out of the way of a run that nobody traces.

use super::{
    World,
    customer::past,
    item::{Item, Life},
    network::{Arrivals, BlockId},
    process::HELD_MAX,
    told::{DiskWork, LetterId, Loss, Told},
};
use crate::{
    history,
    scenario::{End, event::Subject},
};
use ios_core::{
    client::Outcome,
    ids::{ConnectionId, NodeId, OpId},
    interface::DiskAction,
    journal::{Fact, facts},
};

impl World {
    /// Tells whoever traces.
    #[cold]
    pub(super) fn tell(&mut self, told: Told) {
        let now = self.agenda.now();
        if let Some(tell) = &mut self.tell {
            tell(now, &told);
        }
    }

    /// A name for the next message. Counted in every run, so that a trace changes nothing.
    pub(super) fn next_letter(&mut self) -> LetterId {
        self.letters.0 = self.letters.0.wrapping_add(1);
        self.letters
    }

    /// An end by its number in the network.
    fn end(&self, number: u8) -> End {
        let nodes = self.scenario.cluster.nodes;
        if number < nodes { End::Node(NodeId(number)) } else { End::Client(number - nodes) }
    }

    #[cold]
    pub(super) fn tell_of_sending(
        &mut self,
        letter: LetterId,
        (from, to): (u8, u8),
        subject: Subject,
        arrivals: Arrivals,
        text: String,
    ) {
        let copies = arrivals.iter().count() as u8;
        let why = match arrivals.full {
            true => Loss::LinkFull,
            false if self.network.is_blocked(from, to) => Loss::CutOff,
            false => Loss::Dropped,
        };
        self.tell(Told::Sent { letter, from: self.end(from), to: self.end(to), subject, text });
        match copies {
            _ if arrivals.damage.is_some() => self.tell(Told::Lost { letter, why: Loss::Damaged }),
            0 => self.tell(Told::Lost { letter, why }),
            1 => {}
            copies => self.tell(Told::Repeated { letter, copies }),
        }
    }

    #[cold]
    pub(super) fn tell_of_loss(&mut self, item: &Item, why: Loss) {
        if let Some(letter) = letter_of(item) {
            self.tell(Told::Lost { letter, why });
        }
    }

    /// Something arrives at a member.
    #[cold]
    pub(super) fn tell_of_arrival(&mut self, to: NodeId, item: &Item) {
        let Some(letter) = letter_of(item) else { return };
        let process = &self.processes[usize::from(to.0)];
        let told = match (process.runs(), process.paused, process.held.len() < HELD_MAX) {
            (false, ..) => Told::Lost { letter, why: Loss::Down },
            (true, true, true) => Told::Held { letter },
            (true, true, false) => Told::Lost { letter, why: Loss::Full },
            (true, false, _) => Told::Delivered { letter },
        };
        self.tell(told);
    }

    /// Something arrives at a client.
    #[cold]
    pub(super) fn tell_of_client_arrival(&mut self, name: u8, item: &Item) {
        let customer = &self.customers[usize::from(name)];
        let (paused, full) = (customer.paused, customer.held.len() >= HELD_MAX);
        match item {
            Item::Response { letter, .. } if paused && !full => self.tell(Told::Held { letter: *letter }),
            Item::Response { letter, .. } if paused => self.tell(Told::Lost { letter: *letter, why: Loss::Full }),
            Item::Response { letter, connection, .. } => {
                let there = self.endpoint_of(*connection).is_some();
                let letter = *letter;
                self.tell(if there { Told::Delivered { letter } } else { Told::Lost { letter, why: Loss::Gone } });
            }
            Item::Broken { connection } if !paused && self.endpoint_of(*connection).is_some() => {
                let node = self.connections[connection.0 as usize].node.0;
                self.tell(Told::Broken { client: name, node });
            }
            _ => {}
        }
    }

    /// A call was answered, perhaps with a connection.
    #[cold]
    pub(super) fn tell_of_connection(&mut self, connection: Option<ConnectionId>) {
        if let Some(connection) = connection {
            let known = self.connections[connection.0 as usize];
            self.tell(Told::Connected { client: known.client.0, node: known.node.0 });
        }
    }

    #[cold]
    pub(super) fn tell_of_outcome(&mut self, client: u8, number: u32, outcome: &Outcome) {
        let why = match outcome {
            Outcome::Done { .. } => None,
            Outcome::NotDone { why } => Some(why.to_string()),
            Outcome::Unknown { why } => Some(why.to_string()),
        };
        let outcome = past(outcome).unwrap_or(history::Outcome::Unknown);
        self.tell(Told::Ended { client, number, outcome, why });
    }

    #[cold]
    pub(super) fn tell_of_writing(&mut self, node: NodeId, life: Life, op: OpId, action: &DiskAction) {
        let work = match action {
            DiskAction::Create { .. } => DiskWork::Create,
            DiskAction::Write { .. } => DiskWork::Write,
            DiskAction::Remove { .. } => DiskWork::Remove,
            DiskAction::Read { .. } => DiskWork::Read,
        };
        let mut facts = match action {
            DiskAction::Write { file, writes } => facts(*file, writes),
            _ => Vec::new(),
        };
        facts.retain(is_told);
        self.tell(Told::Written { node, life, op, file: action.file(), work, facts });
    }

    #[cold]
    pub(super) fn tell_of_durability(&mut self, node: NodeId, facts: &[Fact]) {
        let facts: Vec<Fact> = facts.iter().filter(|fact| is_told(fact)).cloned().collect();
        if !facts.is_empty() {
            self.tell(Told::Durable { node, facts });
        }
    }

    /// Whether something is chosen, in truth, at the index that an acceptance is about.
    #[cold]
    pub(super) fn is_chosen(&mut self, fact: &Fact) -> bool {
        matches!(fact, Fact::Accepted { index, .. } if self.ghost().is_chosen(*index))
    }

    /// This acceptance completed a replication quorum.
    #[cold]
    pub(super) fn tell_of_choice(&mut self, fact: &Fact) {
        if let Fact::Accepted { view, index, digest } = *fact {
            self.tell(Told::Chosen { view, index, digest });
        }
    }

    #[cold]
    pub(super) fn tell_of_cut(&mut self, block: BlockId) {
        let links = self.network.blocked_by(block).map(|(from, to)| (self.end(from), self.end(to))).collect();
        self.tell(if self.network.clogs(block) {
            Told::Clogged { block, links }
        } else {
            Told::CutOff { block, links }
        });
    }

    #[cold]
    pub(super) fn tell_of_ranks(&mut self) {
        let behind = self.network.ranked().map(|((from, to), by)| ((self.end(from), self.end(to)), by)).collect();
        self.tell(Told::Ranked { behind });
    }

    /// Something waits on a clogged link.
    #[cold]
    pub(super) fn tell_of_wait(&mut self, item: &Item) {
        if let Some(letter) = letter_of(item) {
            self.tell(Told::Stuck { letter });
        }
    }
}

/// Slots repeat what records say.
fn is_told(fact: &Fact) -> bool {
    !matches!(fact, Fact::Slot { .. })
}

fn letter_of(item: &Item) -> Option<LetterId> {
    match item {
        Item::Deliver { letter, .. }
        | Item::Request { letter, .. }
        | Item::Response { letter, .. }
        | Item::HungUp { letter, .. } => Some(*letter),
        _ => None,
    }
}
